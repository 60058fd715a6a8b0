"""Bringing a database to the present schema.

Alembic keeps the order and writes the SQL (its offline mode, from the revision the database is at); our own
drivers run it, in one transaction. So SQLite is only ever touched by one library, and a migration that is
killed leaves the schema as it was.
"""

import io
import re
from pathlib import Path
from typing import TYPE_CHECKING

from veza.core.db.base import Database
from veza.core.db.types import metadata

if TYPE_CHECKING:
    from alembic.runtime.migration import StampStep
    from alembic.script import ScriptDirectory

SCRIPTS = Path(__file__).parents[2] / "migrations"
_VERSIONED = {
    "sqlite": "SELECT 1 FROM sqlite_master WHERE name = 'alembic_version'",
    "postgresql": "SELECT 1 WHERE to_regclass('alembic_version') IS NOT NULL",
}


class UnknownRevision(Exception):
    """The database was migrated by a newer Veza; this one must not touch it."""

    def __init__(self, revision: str) -> None:
        super().__init__(f"the database was made by a newer Veza (its schema is {revision}): run that one.")


def _scripts() -> "ScriptDirectory":
    # Here, for a server whose database is at the newest schema starts without Alembic.
    from alembic.config import Config  # noqa: PLC0415 - see above
    from alembic.script import ScriptDirectory  # noqa: PLC0415 - see above

    config = Config()
    config.set_main_option("script_location", str(SCRIPTS))
    config.set_main_option("path_separator", "os")
    return ScriptDirectory.from_config(config)


async def current_revision(database: Database) -> str | None:
    """The revision the database is at; None when it is empty."""
    if not await database.rows(_VERSIONED[database.dialect]):
        return None
    rows = await database.rows("SELECT version_num FROM alembic_version")
    return str(rows[0][0]) if rows else None


def head_revision() -> str:
    """The newest revision this Veza knows: revisions are numbered, and their files named by the number."""
    found = (re.fullmatch(r"r(\d+)_\w+\.py", path.name) for path in (SCRIPTS / "versions").iterdir())
    return max(match[1] for match in found if match)


def is_known(revision: str) -> bool:
    """Whether this Veza knows such a revision."""
    return revision in {script.revision for script in _scripts().walk_revisions()}


def upgrade_sql(dialect: str, start: str | None, end: str = "head") -> str:
    """The SQL from revision ``start`` to ``end``, by default the newest, without BEGIN and COMMIT."""
    from alembic.config import Config  # noqa: PLC0415 - see above
    from alembic.runtime.environment import EnvironmentContext  # noqa: PLC0415 - see above

    scripts, out = _scripts(), io.StringIO()

    def steps(_revision: object, _context: object) -> "list[StampStep]":
        return scripts._upgrade_revs(end, start or "base")  # type: ignore[return-value]  # noqa: SLF001 - as alembic's own commands do

    with EnvironmentContext(Config(), scripts, fn=steps, as_sql=True, starting_rev=start) as environment:
        environment.configure(
            dialect_name=dialect,
            output_buffer=out,
            transactional_ddl=False,
            literal_binds=True,
            target_metadata=metadata,  # for its rules of naming
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
    if start is not None and not is_known(start):
        raise UnknownRevision(start)
    return await database.script(
        upgrade_sql(database.dialect, start), unless=_moved_on(database.dialect, start)
    )


def _moved_on(dialect: str, start: str | None) -> str:
    """A query that has a row when somebody else has migrated meanwhile."""
    if start is not None:
        return f"SELECT 1 WHERE NOT EXISTS (SELECT 1 FROM alembic_version WHERE version_num = '{start}')"  # noqa: S608 - a revision of ours
    return _VERSIONED[dialect]
