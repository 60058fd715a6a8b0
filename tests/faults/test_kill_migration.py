"""An upgrade of a database that is in use, killed in the middle and run again."""

import asyncio
import random
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import UUID

import asyncpg

from tests.core.test_migrate import schema
from tests.faults.halting import LOCK, statements
from tests.faults.test_process_serve import WAIT, start
from veza.access.secrets import new_secret
from veza.core.db import Database, open_database
from veza.core.db.migrate import current_revision, upgrade, upgrade_sql
from veza.core.db.postgres import SCRIPT_LOCK

# What comes after it copies rows, changes some, counts others, and makes a table anew.
MIDDLE = "0016"
KILLS = 3
SERVICE = "UPDATE products SET product_type = 'service' WHERE created_at = 1"


@asynccontextmanager
async def opened(url: str) -> AsyncIterator[Database]:
    """As the next process finds it: nothing is remembered from before."""
    database = open_database(url)
    try:
        yield database
    finally:
        await database.close()


def literal(kind: str, number: int) -> str:
    """A value of this type: the same for the same number, so that what refers to a row finds it."""
    if kind == "uuid":
        return f"'{UUID(int=number)}'"
    return f"x'{number:032x}'" if kind.startswith("BLOB") else f"'{number}'"


Columns = dict[str, dict[str, str]]


async def columns_of(database: Database) -> Columns:
    """The columns of each table, with their types."""
    found: Columns = {}
    for table, column, kind, *_ in (await schema(database))["columns"]:
        found.setdefault(table, {})[column] = kind
    return found


async def fill(database: Database) -> None:
    """Two rows in each table, every column of them filled; of the two products the second is a service."""
    script = ["SET LOCAL session_replication_role = replica"] if database.dialect == "postgresql" else []
    for table, columns in (await columns_of(database)).items():
        for number in (0, 1):
            values = ", ".join(literal(kind, number) for kind in columns.values())
            script.append(f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({values})")
    await database.script(";\n".join([*script, SERVICE]))


async def contents(database: Database, columns: Columns) -> set[tuple[str, str]]:
    """All rows, as far as they are of these columns: the table of each, and its text."""
    shown = "ROW({})::text" if database.dialect == "postgresql" else "json_array({})"
    each = "{}" if database.dialect == "postgresql" else "quote({})"
    parts = (
        f"SELECT '{table}', {shown.format(', '.join(map(each.format, names)))} FROM {table}"
        for table, names in columns.items()
    )
    return set(await database.rows(" UNION ALL ".join(parts)))


async def kill_at(position: int, url: str, folder: Path) -> None:
    """Run `veza migrate`, and have it killed after so many statements."""
    choices = {"VEZA_DATABASE_URL": url, "VEZA_SECRET_KEY": new_secret(), "HALTING": str(position)}
    if url.startswith("sqlite"):
        process = await start(folder, "migrate", **choices)
        said = await asyncio.wait_for(process.communicate(), WAIT)
        assert process.returncode == -signal.SIGKILL, said
        return
    holder = await asyncpg.connect(url)
    try:
        await holder.execute("SELECT pg_advisory_lock($1)", LOCK)
        process = await start(folder, "migrate", **choices)
        waiting = "SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND objid = $1 AND NOT granted"
        async with asyncio.timeout(WAIT):
            while not await holder.fetch(waiting, LOCK):
                assert process.returncode is None, await process.communicate()
                await asyncio.sleep(0.01)
        process.kill()
        said = await process.communicate()
        assert process.returncode == -signal.SIGKILL, said
        # Nobody has told the server, which goes on to the end of what it was sent.
        await holder.execute("SELECT pg_advisory_unlock($1)", LOCK)
        await holder.execute("SELECT pg_advisory_lock($1)", SCRIPT_LOCK)
    finally:
        await holder.close()


async def test_a_killed_upgrade_leaves_schema_and_rows_as_they_were(
    bare_url: str, database: Database, tmp_path: Path
) -> None:
    """X10: wherever it was, and the next run brings every row along."""
    async with opened(bare_url) as bare:
        await bare.script(upgrade_sql(bare.dialect, None, MIDDLE))
        await fill(bare)
        shape, columns = await schema(bare), await columns_of(bare)
        rows = await contents(bare, columns)
        assert len(rows) == 2 * len(columns)
        steps = len(statements(upgrade_sql(bare.dialect, MIDDLE)))
    for position in random.sample(range(1, steps + 1), KILLS):
        await kill_at(position, bare_url, tmp_path)
        async with opened(bare_url) as bare:
            assert await current_revision(bare) == MIDDLE, position
            assert await schema(bare) == shape, position
            assert await contents(bare, columns) == rows, position
    async with opened(bare_url) as bare:
        assert await upgrade(bare) is True
        assert await schema(bare) == await schema(database)
        assert await contents(bare, columns) >= rows
        await brought_along(bare)


async def brought_along(database: Database) -> None:
    """What the steps make of rows that were there."""
    for query, wanted in (
        ("SELECT COUNT(*) FROM fresh_plays JOIN plays ON plays.id = fresh_plays.id", 2),
        ("SELECT COUNT(*) FROM fresh_plays WHERE track_id IS NOT NULL", 2),
        ("SELECT COUNT(*) FROM audit_queue JOIN events ON events.id = audit_queue.id", 2),
        ("SELECT COUNT(*) FROM licences WHERE repeatable", 1),
        ("SELECT total FROM user_counts WHERE scope = ''", 2),
        ("SELECT total FROM track_counts WHERE scope = '*'", 2),
    ):
        assert await database.rows(query) == [(wanted,)], query
    if database.dialect == "sqlite":
        assert await database.rows("SELECT * FROM pragma_foreign_key_check") == []
        assert await database.rows("SELECT * FROM pragma_integrity_check") == [("ok",)]
