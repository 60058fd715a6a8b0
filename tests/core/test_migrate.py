"""The schema is what the tables say, however the database came to it."""

import asyncio
import importlib
import pkgutil
import random
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.schema import CreateIndex, CreateTable

import veza.rooms
from tests.faults.halting import statements
from veza.core.db import Database, migrate, open_database
from veza.core.db.migrate import UnknownRevision, current_revision, head_revision, upgrade, upgrade_sql
from veza.core.db.statement import POSTGRES, SQLITE
from veza.core.db.types import metadata

LONGEST_NAME = 63  # of PostgreSQL

# Full-text tables, and those that SQLite keeps for them, are not described by any table of ours.
OURS = "(SELECT name FROM pragma_table_list WHERE type = 'table' AND name NOT LIKE 'sqlite_%')"
SHOW = {
    "sqlite": {
        "tables": f"SELECT name FROM {OURS} ORDER BY 1",
        "columns": f'SELECT m.name, c.name, c.type, c."notnull", c.pk, c.dflt_value FROM {OURS} m,'
        " pragma_table_info(m.name) c ORDER BY 1, 2",
        "indexes": "SELECT tbl_name, name, sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL"
        " ORDER BY 1, 2",
        "uniques": "SELECT m.name, i.origin, (SELECT group_concat(name) FROM (SELECT name FROM"
        " pragma_index_info(i.name) ORDER BY seqno))"
        f" FROM {OURS} m, pragma_index_list(m.name) i WHERE i.origin <> 'c' ORDER BY 1, 2, 3",
        "references": 'SELECT m.name, f."from", f."table", f."to", f.on_delete, f.on_update'
        " FROM sqlite_master m,"
        " pragma_foreign_key_list(m.name) f WHERE m.type = 'table' ORDER BY 1, 2",
    },
    "postgresql": {
        "tables": "SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY 1",
        "columns": "SELECT table_name, column_name, data_type, is_nullable, column_default"
        " FROM information_schema.columns WHERE table_schema = 'public' ORDER BY 1, 2",
        "indexes": "SELECT tablename, indexname, indexdef FROM pg_indexes WHERE schemaname = 'public'"
        " ORDER BY 1, 2",
        "uniques": "SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid) FROM pg_constraint"
        " WHERE connamespace = 'public'::regnamespace AND contype IN ('p', 'u', 'c') ORDER BY 1, 2",
        "references": "SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid) FROM pg_constraint"
        " WHERE connamespace = 'public'::regnamespace AND contype = 'f' ORDER BY 1, 2",
    },
}


def load_tables() -> None:
    """Import every module that describes tables."""
    for name in ("events", "jobs", "idempotency", "installation"):
        importlib.import_module(f"veza.core.{name}")
    for room in pkgutil.iter_modules(veza.rooms.__path__):
        package = importlib.import_module(f"veza.rooms.{room.name}")
        if "tables" in {module.name for module in pkgutil.iter_modules(package.__path__)}:
            importlib.import_module(f"veza.rooms.{room.name}.tables")


async def schema(database: Database) -> dict[str, list[tuple[Any, ...]]]:
    """What the database says of itself, without the table of revisions."""
    shown = {part: await database.rows(query) for part, query in SHOW[database.dialect].items()}
    return {
        part: [_plain(row) for row in found if row[0] != "alembic_version"] for part, found in shown.items()
    }


def _plain(row: tuple[Any, ...]) -> tuple[Any, ...]:
    return tuple(re.sub(r"\s+", " ", value) if isinstance(value, str) else value for value in row)


@pytest.fixture
async def bare(bare_url: str) -> AsyncIterator[Database]:
    """A database without a table."""
    opened = open_database(bare_url)
    yield opened
    await opened.close()


@pytest.fixture
async def beside(bare: Database, bare_url: str) -> AsyncIterator[Database]:
    """Another process that sees the same database."""
    opened = open_database(bare_url)
    yield opened
    await opened.close()


async def test_from_nothing_to_the_newest(bare: Database) -> None:
    assert await current_revision(bare) is None
    assert await upgrade(bare) is True
    assert await current_revision(bare) == head_revision()
    before = await schema(bare)
    assert await upgrade(bare) is False
    assert await schema(bare) == before


async def test_the_migrated_schema_is_what_the_tables_say(bare: Database, database: Database) -> None:
    """Columns, types, defaults, nullability, keys, indexes, foreign keys: a migration forgets none."""
    load_tables()
    kind = SQLITE if bare.dialect == "sqlite" else POSTGRES
    script = [str(CreateTable(table).compile(dialect=kind)) for table in metadata.sorted_tables]
    for table in metadata.sorted_tables:
        script += [
            str(CreateIndex(index).compile(dialect=kind))
            for index in sorted(table.indexes, key=lambda i: str(i.name))
            if index.info.get("only", bare.dialect) == bare.dialect
        ]
    await bare.script(";\n".join(script))
    said, migrated = await schema(bare), await schema(database)
    for part, rows in said.items():
        assert migrated[part] == rows, part


async def test_constraints_have_the_names_that_errors_say(database: Database) -> None:
    """SQLite's errors name a table and columns, from which the name is made: it must be PostgreSQL's."""
    load_tables()
    for table in metadata.sorted_tables:
        wanted = {f"pk_{table.name}"}
        for constraint in table.constraints:
            if isinstance(constraint, sa.UniqueConstraint):
                wanted.add("_".join(("uq", table.name, *(column.name for column in constraint.columns))))
        for index in table.indexes:
            name = str(index.name)
            assert len(name) <= LONGEST_NAME, name
            assert name.startswith("uq_" if index.unique else "ix_"), name
            if index.unique and all(isinstance(part, sa.Column) for part in index.expressions):
                assert name == "_".join(("uq", table.name, *(column.name for column in index.columns)))
        assert all(len(name) <= LONGEST_NAME for name in wanted)
        assert not any(key.deferrable for key in table.foreign_keys), (
            "it would fail a commit that others share"
        )
        if database.dialect == "postgresql":
            found = await database.rows(
                f"SELECT conname FROM pg_constraint WHERE conrelid = '{table.name}'::regclass"
                " AND contype IN ('p', 'u')"
            )
            assert {name for (name,) in found} == wanted


async def test_two_processes_migrate_at_once(bare: Database, beside: Database) -> None:
    async with asyncio.timeout(30):
        worked = await asyncio.gather(upgrade(bare), upgrade(beside), upgrade(bare), upgrade(beside))
    assert sorted(worked) == [False, False, False, True]
    assert await current_revision(bare) == head_revision()


@pytest.mark.parametrize("start", ["0001"])
async def test_who_comes_second_does_nothing_twice(
    bare: Database, start: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also from a revision between, where no `CREATE TABLE` would fail."""
    await bare.script(
        "CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL);"
        f"INSERT INTO alembic_version VALUES ('{start}');"
        "CREATE TABLE counted (n INTEGER NOT NULL); INSERT INTO counted VALUES (0)"
    )
    step = (
        "UPDATE counted SET n = n + 1;"
        f"UPDATE alembic_version SET version_num = '{head_revision()}' WHERE version_num = '{start}'"
    )
    monkeypatch.setattr(migrate, "upgrade_sql", lambda _dialect, _start: step)
    async with asyncio.timeout(30):
        worked = await asyncio.gather(*(upgrade(bare) for _ in range(4)))
    assert sorted(worked) == [False, False, False, True]
    assert await bare.rows("SELECT n FROM counted") == [(1,)]


async def test_an_error_at_a_statement_leaves_the_schema_as_it_was(
    bare: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """X10: and the next run finishes. Killed, and with rows: tests/faults/test_kill_migration.py."""
    parts = statements(upgrade_sql(bare.dialect, None))
    for position in random.sample(range(len(parts) + 1), 6):
        broken = ";\n".join([*parts[:position], "SELECT no_such_thing", *parts[position:]])
        monkeypatch.setattr(migrate, "upgrade_sql", lambda _dialect, _start, sql=broken: sql)
        with pytest.raises(Exception, match=r"no_such_thing|no such column"):
            await upgrade(bare)
        assert all(not found for found in (await schema(bare)).values()), position
        assert await current_revision(bare) is None, position
    monkeypatch.undo()
    assert await upgrade(bare) is True


# What a table lets in: keys, unique indexes, checks, references and triggers.
RULES = {
    "sqlite": "SELECT m.name, 'PRIMARY KEY (' || group_concat(c.name, ', ' ORDER BY c.pk) || ')'"
    f" FROM {OURS} m, pragma_table_info(m.name) c WHERE c.pk > 0 GROUP BY 1"
    " UNION SELECT m.name, 'UNIQUE (' || (SELECT group_concat(name, ', ' ORDER BY seqno) FROM"
    f" pragma_index_info(i.name)) || ')' FROM {OURS} m, pragma_index_list(m.name) i WHERE i.origin = 'u'"
    " UNION SELECT tbl_name, sql FROM sqlite_master WHERE type = 'trigger'"
    " OR type = 'index' AND sql LIKE 'CREATE UNIQUE%' OR type = 'table' AND sql LIKE '%CHECK (%'"
    " UNION SELECT m.name, 'FOREIGN KEY (' || f.\"from\" || ') REFERENCES ' || f.\"table\""
    f" FROM {OURS} m, pragma_foreign_key_list(m.name) f",
    "postgresql": "SELECT conrelid::regclass::text, pg_get_constraintdef(oid) FROM pg_constraint"
    " WHERE connamespace = 'public'::regnamespace AND contype <> 'n'"
    " UNION SELECT tablename, indexdef FROM pg_indexes WHERE schemaname = 'public'"
    " AND indexdef LIKE 'CREATE UNIQUE%' AND indexname NOT IN (SELECT conname FROM pg_constraint)"
    " UNION SELECT tgrelid::regclass::text, pg_get_triggerdef(oid) FROM pg_trigger WHERE NOT tgisinternal",
}
# Rules of tables that were there before which a step changes, and why the program before does not mind.
CHANGED = {
    "0020": {"events": "it only ever added to them, and what is queued beside them it does not see"},
    "0026": {"licences": "all that it adds are not repeatable, and of these it is still one for a product"},
    "0027": {"chat_rooms": "the room of no thing is as many as one likes: it leaves the column empty"},
}


async def test_the_program_before_goes_on_working(bare: Database) -> None:
    """X10: each step leaves all columns as they were, asks for none that older programs do not write, and
    refuses nothing of them but what is named above."""
    columns: dict[tuple[str, str], tuple[Any, ...]] = {}
    rules: set[tuple[str, str]] = set()
    for number in range(1, int(head_revision()) + 1):
        revision, before = f"{number:04}", f"{number - 1:04}" if number > 1 else None
        await bare.script(upgrade_sql(bare.dialect, before, revision))
        after = {
            (table, name): (kind, needed in {1, "NO"}, more[-1])
            for table, name, kind, needed, *more in await bare.rows(SHOW[bare.dialect]["columns"])
        }
        tables = {table for table, _ in columns}
        assert {name: kind for name, kind in after.items() if name in columns} == columns, revision
        for (table, column), (_, needed, default) in after.items():
            if table in tables and (table, column) not in columns:
                assert not needed or default is not None, (revision, table, column)
        found = {_plain(row) for row in await bare.rows(RULES[bare.dialect])}
        changed = {(table, rule) for table, rule in found ^ rules if table in tables}
        known = CHANGED.get(revision, {})
        assert {table for table, _ in changed} == known.keys(), (revision, changed)
        columns, rules = after, found


async def test_a_database_of_a_newer_veza_is_not_touched(database: Database) -> None:
    """X11."""
    before = await schema(database)
    known = head_revision()
    await database.script("UPDATE alembic_version SET version_num = '9999'")
    try:
        with pytest.raises(UnknownRevision, match="9999"):
            await upgrade(database)
        assert await schema(database) == before
    finally:
        await database.script(f"UPDATE alembic_version SET version_num = '{known}'")


def test_revisions_are_a_line_with_files_named_after_them() -> None:
    scripts = list(migrate._scripts().walk_revisions())
    numbers = [script.revision for script in reversed(scripts)]
    assert numbers == [f"{number:04}" for number in range(1, len(scripts) + 1)]
    assert all(Path(script.path).name.startswith(f"r{script.revision}_") for script in scripts)
