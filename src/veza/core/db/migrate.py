"""Bringing a database to the present schema.

Alembic keeps the order and writes the SQL (its offline mode, from the revision the database is at); our own
drivers run it, in one transaction. So SQLite is only ever touched by one library, and a migration that is
killed leaves the schema as it was.
"""

import io
from pathlib import Path

from alembic.config import Config
from alembic.runtime.environment import EnvironmentContext
from alembic.runtime.migration import StampStep
from alembic.script import ScriptDirectory

from veza.core.db.base import Database

SCRIPTS = Path(__file__).parents[2] / "migrations"
# Any number, the same in every process: "veza" in ASCII.
_LOCK = 0x76657A61


class UnknownRevision(Exception):  # noqa: N818 - reads better where it is raised
    """The database was migrated by a newer Veza; this one must not touch it."""


def _scripts() -> ScriptDirectory:
    config = Config()
    config.set_main_option("script_location", str(SCRIPTS))
    config.set_main_option("path_separator", "os")
    return ScriptDirectory.from_config(config)


async def current_revision(database: Database) -> str | None:
    """The revision the database is at; None when it is empty."""
    if database.dialect == "sqlite":
        found = await database.rows("SELECT name FROM sqlite_master WHERE name = 'alembic_version'")
    else:
        found = await database.rows("SELECT 1 WHERE to_regclass('alembic_version') IS NOT NULL")
    if not found:
        return None
    rows = await database.rows("SELECT version_num FROM alembic_version")
    return str(rows[0][0]) if rows else None


def head_revision() -> str:
    """The newest revision this Veza knows."""
    return str(_scripts().get_current_head())


def upgrade_sql(dialect: str, start: str | None) -> str:
    """The SQL from revision ``start`` to the newest, without BEGIN and COMMIT."""
    scripts, out = _scripts(), io.StringIO()

    def steps(_revision: object, _context: object) -> list[StampStep]:
        return scripts._upgrade_revs("head", start or "base")  # type: ignore[return-value]  # noqa: SLF001 - as alembic's own commands do

    with EnvironmentContext(Config(), scripts, fn=steps, as_sql=True, starting_rev=start) as environment:
        environment.configure(
            dialect_name=dialect, output_buffer=out, transactional_ddl=False, literal_binds=True
        )
        environment.run_migrations()
    return out.getvalue()


async def upgrade(database: Database) -> bool:
    """Migrate to the newest revision; whether there was anything to do.

    Several processes may call this at once: one works, the others wait and then find nothing to do.
    Raises :class:`UnknownRevision` when the database is ahead of this program.
    """
    start = await current_revision(database)
    if start == head_revision():
        return False
    if start is not None and start not in {script.revision for script in _scripts().walk_revisions()}:
        raise UnknownRevision(start)
    sql = upgrade_sql(database.dialect, start)
    if database.dialect == "postgresql":
        # Whoever waited for the lock and finds the work done stops here, by an error we look for.
        guard = f"SELECT pg_advisory_xact_lock({_LOCK});\n" + _still_at(start)
        sql = guard + sql
    try:
        await database.script(sql)
    except Exception:
        if await current_revision(database) == head_revision():
            return False
        raise
    return True


def _still_at(start: str | None) -> str:
    there = "to_regclass('alembic_version') IS NOT NULL"
    if start is not None:
        there = f"NOT EXISTS (SELECT 1 FROM alembic_version WHERE version_num = '{start}')"  # noqa: S608 - a revision of ours
    return f"DO $$ BEGIN IF {there} THEN RAISE EXCEPTION 'migrated meanwhile'; END IF; END $$;\n"
