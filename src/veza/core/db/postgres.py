"""PostgreSQL by asyncpg: the same transactions, for several processes on several hosts."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import asyncpg
import structlog

from veza.core.db.base import Database, Tx, UniqueViolation
from veza.core.db.statement import Statement
from veza.core.errors import Conflict, DatabaseBusy, InsufficientStorage, Unavailable

RowT = TypeVar("RowT")
log = structlog.get_logger()


def translate(error: Exception) -> Exception:  # noqa: PLR0911 - a table
    """The error as the rest of Veza knows it."""
    match error:
        case asyncpg.UniqueViolationError():
            return UniqueViolation(error.constraint_name or "")
        case asyncpg.IntegrityConstraintViolationError():
            return Conflict()
        case asyncpg.DeadlockDetectedError() | asyncpg.SerializationError() | asyncpg.LockNotAvailableError():
            return DatabaseBusy(headers={"Retry-After": "1"})
        case asyncpg.DiskFullError():
            return InsufficientStorage()
        case (
            asyncpg.PostgresConnectionError()
            | asyncpg.OperatorInterventionError()
            | OSError()
            | TimeoutError()
        ):
            return Unavailable(headers={"Retry-After": "1"})
        case asyncpg.InterfaceError() if "closed" in str(error):
            return Unavailable(headers={"Retry-After": "1"})
    return error


_ERRORS = (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError)


class _Connection(asyncpg.Connection):  # type: ignore[misc]  # asyncpg has no types
    """A connection whose session we never alter, so that giving it back needs no round trip to reset it."""

    def get_reset_query(self) -> str:
        """Nothing to undo."""
        return ""


class PostgresDatabase(Database):
    """A PostgreSQL database, 15 or newer."""

    dialect = "postgresql"
    shared = True

    def __init__(self, url: str, *, size: int = 10) -> None:
        super().__init__()
        self.url = url
        self._size = size
        self._pool: asyncpg.Pool | None = None
        self._opening = asyncio.Lock()
        self._listening: asyncio.Task[None] | None = None

    async def pool(self) -> asyncpg.Pool:
        """The pool, opened at first use."""
        if self._pool is None:
            async with self._opening:
                if self._pool is None:
                    self._pool = await asyncpg.create_pool(
                        self.url,
                        min_size=1,
                        max_size=self._size,
                        connection_class=_Connection,
                        command_timeout=30,
                        server_settings={"application_name": "veza", "timezone": "UTC"},
                    )
        return self._pool

    async def acquire(self) -> asyncpg.Connection:
        """A connection of the pool; at most 10 seconds' wait."""
        try:
            return await (await self.pool()).acquire(timeout=10)
        except _ERRORS as error:
            raise translate(error) from error

    async def start(self) -> None:
        """Listen on a connection of its own, again and again when it is lost."""
        self._listening = asyncio.create_task(self._listen(), name="postgres-listen")

    async def _listen(self) -> None:
        while True:
            lost = asyncio.Event()
            try:
                async with self.alone() as connection:
                    connection.add_termination_listener(lambda _: lost.set())  # noqa: B023 - one loop, one event
                    for channel in self._listeners:
                        await connection.add_listener(channel, lambda *said: self.wake(said[2]))
                    await lost.wait()
            except _ERRORS:
                log.warning("postgres.listen_lost")
            await asyncio.sleep(1)

    def read(self) -> Tx:
        """A connection of the pool, from the first statement to the end."""
        return _PostgresTx(self, writes=False)

    def write(self) -> Tx:
        """A transaction at READ COMMITTED."""
        return _PostgresTx(self, writes=True)

    @asynccontextmanager
    async def alone(self) -> AsyncIterator[asyncpg.Connection]:
        """A connection outside the pool."""
        connection = await asyncpg.connect(self.url)
        try:
            yield connection
        finally:
            await connection.close()

    async def script(self, sql: str) -> None:
        """Run it on a connection of its own, with no limit of time."""
        async with self.alone() as connection, connection.transaction():
            await connection.execute(sql)

    async def rows(self, sql: str) -> list[tuple[Any, ...]]:
        """Ask on a connection of its own."""
        async with self.alone() as connection:
            return [tuple(row) for row in await connection.fetch(sql)]

    async def check(self) -> None:
        """Ask the server anything."""
        async with asyncio.timeout(5):
            connection = await self.acquire()
            try:
                await connection.execute("SELECT 1")
            finally:
                await (await self.pool()).release(connection)

    async def close(self) -> None:
        """Wait up to 10 seconds for what is under way, then drop it."""
        if self._listening is not None:
            self._listening.cancel()
            await asyncio.wait([self._listening])
        if self._pool is not None:
            try:
                await asyncio.wait_for(self._pool.close(), 10)
            except TimeoutError:
                self._pool.terminate()


class _PostgresTx(Tx):
    database: PostgresDatabase

    def __init__(self, database: PostgresDatabase, *, writes: bool) -> None:
        super().__init__(database)
        self._writes = writes
        self._connection: asyncpg.Connection | None = None
        self._over = False

    async def _begin(self) -> asyncpg.Connection:
        if self._connection is None:
            if self._over:
                raise RuntimeError("this transaction is over")
            self._connection = await self.database.acquire()
            if self._writes:
                try:
                    await self._connection.execute("BEGIN")
                except _ERRORS as error:
                    raise translate(error) from error
        return self._connection

    async def first(self, statement: Statement[RowT], /, **params: Any) -> RowT | None:
        connection, compiled = await self._begin(), statement.postgres
        try:
            row = await connection.fetchrow(compiled.text, *compiled.bind(params))
        except _ERRORS as error:
            raise translate(error) from error
        return None if row is None else compiled.read(row)

    async def all(self, statement: Statement[RowT], /, **params: Any) -> list[RowT]:
        connection, compiled = await self._begin(), statement.postgres
        try:
            rows = await connection.fetch(compiled.text, *compiled.bind(params))
        except _ERRORS as error:
            raise translate(error) from error
        return [compiled.read(row) for row in rows]

    async def run(self, statement: Statement[Any], /, **params: Any) -> int:
        self._refuse_in_view()
        connection, compiled = await self._begin(), statement.postgres
        try:
            status = await connection.execute(compiled.text, *compiled.bind(params))
        except _ERRORS as error:
            raise translate(error) from error
        count = status.rpartition(" ")[2]
        return int(count) if count.isdigit() else 0

    async def run_many(self, statement: Statement[Any], rows: Iterable[Mapping[str, Any]], /) -> None:
        self._refuse_in_view()
        connection, compiled = await self._begin(), statement.postgres
        try:
            await connection.executemany(compiled.text, [compiled.bind(row) for row in rows])
        except _ERRORS as error:
            raise translate(error) from error

    def _refuse_in_view(self) -> None:
        if not self._writes:
            raise TypeError("a view only reads")

    async def _commit(self) -> None:
        if self._connection is not None and self._writes:
            for channel in self._notified:
                await self._connection.execute("SELECT pg_notify($1, '')", channel)
            # A caller who goes away in the middle of a COMMIT leaves it to finish.
            await asyncio.shield(self._finish("COMMIT"))
        self._over = True
        self.committed()

    async def _finish(self, how: str) -> None:
        connection, self._connection = self._connection, None
        if connection is None:
            return
        try:
            await connection.execute(how)
        except _ERRORS as error:
            connection.terminate()
            raise translate(error) from error
        finally:
            await (await self.database.pool()).release(connection)

    async def close(self) -> None:
        self._over = True
        if self._connection is None:
            return
        if self._writes:
            await asyncio.shield(self._undo())
        else:
            connection, self._connection = self._connection, None
            await (await self.database.pool()).release(connection)

    async def _undo(self) -> None:
        # The connection may be in the middle of a cancelled statement or gone: either way nothing is kept.
        try:
            await self._finish("ROLLBACK")
        except Unavailable:
            return
