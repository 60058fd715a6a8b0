"""A SQLite file that is only looked at, beside a server or without one: nothing is written or locked."""

from pathlib import Path
from typing import Any, NoReturn, TypeVar

import apsw

from veza.core.db.base import Database, Tx
from veza.core.db.statement import Statement

RowT = TypeVar("RowT")

_PATIENCE_MS = 2_000


class LookedAt(Database):
    """The database in this file, which must be there. Raises apsw.Error, as its methods do."""

    dialect = "sqlite"
    shared = True

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.url = f"sqlite:///{path}"
        self.connection = apsw.Connection(str(path), apsw.SQLITE_OPEN_READONLY)
        self.connection.set_busy_timeout(_PATIENCE_MS)

    async def start(self) -> None:
        """There is nothing to hear."""

    def read(self) -> Tx:
        """A view."""
        return _Look(self)

    def snapshot(self, *, apart: bool = False) -> Tx:  # noqa: ARG002 - the base's signature
        """A view, too: nobody asks for more here."""
        return _Look(self)

    def write(self) -> NoReturn:
        """Refuse."""
        raise TypeError("this database is only looked at")

    async def script(self, *_: Any, **__: Any) -> NoReturn:
        """Refuse."""
        raise TypeError("this database is only looked at")

    async def rows(self, sql: str) -> list[tuple[Any, ...]]:
        """The rows of a plain text query."""
        return list(self.connection.execute(sql))

    async def check(self) -> None:
        """Read the schema."""
        await self.rows("SELECT count(*) FROM sqlite_master")

    async def close(self) -> None:
        """Let go."""
        self.connection.close()


class _Look(Tx):
    database: LookedAt

    async def first(self, statement: Statement[RowT], /, **params: Any) -> RowT | None:
        rows = await self.all(statement, **params)
        return rows[0] if rows else None

    async def all(self, statement: Statement[RowT], /, **params: Any) -> list[RowT]:
        compiled = statement.sqlite
        rows = self.database.connection.execute(compiled.text, compiled.bind(params))
        return [compiled.read(row) for row in rows]

    async def run(self, *_: Any, **__: Any) -> NoReturn:
        raise TypeError("a view only reads")

    async def run_many(self, *_: Any) -> NoReturn:
        raise TypeError("a view only reads")

    async def _commit(self) -> None:
        self.committed()

    async def close(self) -> None:
        self._over = True
