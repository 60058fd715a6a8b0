"""A transaction that writes very much: alone, on a connection of its own, in a thread."""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import apsw

from veza.core.db.base import Database, Tx
from veza.core.db.sqlite_base import connect, translate
from veza.core.db.statement import Statement

RowT = TypeVar("RowT")
ResultT = TypeVar("ResultT")

# What is written in no order keeps its pages at hand.
CACHE_KIB = 128_000


class BulkTx(Tx):
    """Statements run in a thread, so that Python can work beside them; whoever else writes meanwhile waits.

    ``know`` is told of the commit.
    """

    def __init__(self, database: Database, path: Path, know: Callable[[], None]) -> None:
        super().__init__(database)
        self._path = path
        self._know = know
        self._thread = ThreadPoolExecutor(1, "veza-sqlite-bulk")
        self._connection: apsw.Connection | None = None

    async def _do(self, work: Callable[[apsw.Connection], ResultT]) -> ResultT:
        if self._over or self._failure is not None:
            raise self._unusable()
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, self._in_thread, work)
        except Exception as error:  # noqa: BLE001 - noted, and raised again
            self._fail(error)

    def _in_thread(self, work: Callable[[apsw.Connection], ResultT]) -> ResultT:
        if self._connection is None:
            self._connection = connect(self._path, cache_kib=CACHE_KIB)
            self._connection.execute("BEGIN IMMEDIATE")
        return work(self._connection)

    def _fail(self, error: Exception) -> NoReturn:
        self._failure = error
        meaning = translate(error)
        if meaning is error:
            raise error
        raise meaning from error

    async def first(self, statement: Statement[RowT], /, **params: Any) -> RowT | None:
        """The first row, or None."""
        rows = await self.all(statement, **params)
        return rows[0] if rows else None

    async def all(self, statement: Statement[RowT], /, **params: Any) -> list[RowT]:
        """Every row."""
        text, args, read = statement.sqlite.text, statement.sqlite.bind(params), statement.sqlite.read
        return [read(row) for row in await self._do(lambda on: on.execute(text, args).fetchall())]

    async def run(self, statement: Statement[Any], /, **params: Any) -> int:
        """Run a statement that returns nothing; how many rows it changed."""
        text, args = statement.sqlite.text, statement.sqlite.bind(params)

        def work(connection: apsw.Connection) -> int:
            connection.execute(text, args).fetchall()
            return connection.changes()

        return await self._do(work)

    async def run_many(self, statement: Statement[Any], rows: Iterable[Mapping[str, Any]], /) -> None:
        """Run a statement once for each of ``rows``."""
        text, args = statement.sqlite.text, [statement.sqlite.bind(row) for row in rows]
        await self._do(lambda on: on.executemany(text, args).fetchall())

    async def _commit(self) -> None:
        if self._connection is not None:
            await self._do(lambda on: on.execute("COMMIT").fetchall())
            self._know()
        self.committed()

    async def close(self) -> None:
        """Give the connection back; what was not committed is undone, and what runs is stopped."""
        self._over = True
        if self._connection is not None:
            self._connection.interrupt()
        await asyncio.get_running_loop().run_in_executor(None, self._thread.shutdown)
        if self._connection is not None:
            self._connection.close()
            self._connection = None
