"""Filling an empty database with the rows of another: whole, or not at all.

The schema is made at the revision that the rows are of, so that rows of an older Veza can be loaded, and then
migrated like any others. Triggers are off meanwhile: what they would add is among the rows.
"""

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path

from veza.core.db.rows import Column, Row


class NotEmpty(Exception):
    """There is something in this database already; says so in one line."""


class Loader(ABC):
    """A database that is being filled; what it holds is there for others once the block of it ends well."""

    @abstractmethod
    async def write(self, table: str, columns: Sequence[Column], parts: AsyncIterator[Sequence[Row]]) -> None:
        """Let a table hold these rows, and no others."""

    @abstractmethod
    def scan(self, table: str, columns: Sequence[Column]) -> AsyncIterator[list[Row]]:
        """The rows that a table holds, in no order."""


def loading(url: str, revision: str) -> AbstractAsyncContextManager[Loader]:
    """Fill the database at this URL, at this revision of the schema. Raises :class:`NotEmpty`."""
    if url.startswith("sqlite:///"):
        from veza.core.db.loading_sqlite import load_sqlite  # noqa: PLC0415 - each without the other's driver

        return load_sqlite(Path(url.removeprefix("sqlite:///")), revision)
    from veza.core.db.loading_postgres import load_postgres  # noqa: PLC0415 - as above

    return load_postgres(url, revision)


def listed(columns: Sequence[Column]) -> str:
    """The names of columns as SQL has them; all are ours, or were when the rows were written."""
    return ", ".join(quoted(column.name) for column in columns)


def quoted(name: str) -> str:
    """A name as SQL has it. Raises ValueError for one that is none of ours, whoever wrote the rows."""
    if not name.isidentifier() or not name.isascii():
        raise ValueError(f"no table or column is called {name[:60]!r}")
    return f'"{name}"'
