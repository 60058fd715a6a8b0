"""Which database a URL means."""

from pathlib import Path

from veza.core.db.base import Database
from veza.core.db.sqlite import SqliteDatabase


def open_database(url: str, *, pool: int = 10, read_url: str = "") -> Database:
    """The database at ``sqlite:///path`` or ``postgresql://…``, which a copy at ``read_url`` may follow.

    Raises :class:`ValueError` for any other scheme.
    """
    if url.startswith(("postgresql://", "postgres://")):
        from veza.core.db.postgres import PostgresDatabase  # noqa: PLC0415 - SQLite does without asyncpg

        return PostgresDatabase(url, size=pool, read_url=read_url)
    if url.startswith("sqlite:///"):
        path = Path(url.removeprefix("sqlite:///"))
        path.parent.mkdir(parents=True, exist_ok=True)
        return SqliteDatabase(path)
    raise ValueError("a database URL begins with sqlite:/// or postgresql://")
