"""PostgreSQL by asyncpg: the same transactions, for several processes on several hosts."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress
from time import perf_counter
from typing import Any, TypeVar

import asyncpg
import structlog

from veza.core.db.base import Database, Tx, UrlRefused, read_by_turns
from veza.core.db.postgres_pool import ERRORS, connecting, open_pool, translate
from veza.core.db.replica import Replica, drop
from veza.core.db.statement import Statement
from veza.core.errors import DatabaseBusy, Unavailable
from veza.core.metrics import observe_commit

T = TypeVar("T")
RowT = TypeVar("RowT")
log = structlog.get_logger()

# For the first rows of a table that has to be sorted, too.
SCAN_SECONDS = 3_600
# The same number in every process: "veza" in ASCII.
SCRIPT_LOCK = 0x76657A61


class PostgresDatabase(Database):
    """A PostgreSQL database, 15 or newer."""

    dialect = "postgresql"
    shared = True

    def __init__(self, url: str, *, size: int = 10, read_url: str = "") -> None:
        super().__init__()
        self.url = url
        self._size = size
        self._replica = Replica(read_url, size, self.acquire, self.release) if read_url else None
        self._pool: asyncpg.Pool | None = None
        self._opening = asyncio.Lock()
        self._closed = False
        self._listening: asyncio.Task[None] | None = None
        self._stirred = asyncio.Event()

    async def pool(self) -> asyncpg.Pool:
        """The pool, opened at first use. Raises Unavailable once the database is closed."""
        if self._pool is None:
            async with self._opening:
                if self._closed:  # what is left of work under way would open it for good
                    raise Unavailable(headers={"Retry-After": "5"})
                if self._pool is None:
                    self._pool = await self._open()
        return self._pool

    async def _open(self) -> asyncpg.Pool:
        with connecting():
            opened = await open_pool(self.url, self._size)
        if self._closed:  # meanwhile
            opened.terminate()
        return opened

    async def acquire(self) -> asyncpg.Connection:
        """A connection of the pool; at most 10 seconds' wait."""
        try:
            return await (await self.pool()).acquire(timeout=10)
        except ERRORS as error:
            raise translate(error) from error

    def listen(self, channel: str, callback: Callable[[], None]) -> None:
        """Call ``callback`` whenever a transaction of any process that notified ``channel`` was committed."""
        super().listen(channel, callback)
        self._stirred.set()

    async def release(self, connection: asyncpg.Connection) -> None:
        """Give a connection back to the pool."""
        if self._pool is not None:
            await self._pool.release(connection)

    async def start(self) -> None:
        """Listen on a connection of its own, again and again when it is lost."""
        if self._listening is None:
            self._listening = asyncio.create_task(self._listen_on(), name="postgres-listen")

    async def _listen_on(self) -> None:
        while True:
            try:
                await self._listen_once()
            except (UrlRefused, *ERRORS):  # a name that is none may be one later
                log.warning("postgres.listen_lost")
            await asyncio.sleep(1)

    async def _listen_once(self) -> None:
        async with self.alone() as connection:
            heard: set[str] = set()
            connection.add_termination_listener(lambda _: self._stirred.set())
            while not connection.is_closed():
                self._stirred.clear()
                for channel in self._listeners.keys() - heard:
                    await connection.add_listener(channel, lambda *said: self.wake(said[2]))
                    heard.add(channel)
                    self.wake(channel)  # for what was said before we listened
                await self._stirred.wait()

    def read(self) -> Tx:
        """A connection of the pool, from the first statement to the end."""
        return _PostgresTx(self, writes=False)

    def look(self) -> Tx:
        """The same, perhaps on a connection to the copy, where there is one."""
        return self.read() if self._replica is None else _Look(self, self._replica)

    def snapshot(self, *, apart: bool = False) -> Tx:
        """A transaction at REPEATABLE READ that only reads."""
        begin = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
        return _PostgresTx(self, writes=False, begin=begin, apart=apart)

    def write(self) -> Tx:
        """A transaction at READ COMMITTED."""
        return _PostgresTx(self, writes=True, begin="BEGIN")

    @asynccontextmanager
    async def alone(self) -> AsyncIterator[asyncpg.Connection]:
        """A connection outside the pool."""
        with connecting():
            connection = await asyncpg.connect(self.url)
        try:
            yield connection
        finally:
            await connection.close()

    @asynccontextmanager
    async def turn(self, name: str) -> AsyncIterator[None]:
        """Hold a lock of this name for as long as its own connection lives."""
        async with self.alone() as connection:
            await connection.execute("SELECT pg_advisory_lock($1, hashtext($2))", SCRIPT_LOCK, name)
            yield

    async def script(self, sql: str, *, unless: str | None = None) -> bool:
        """Run it on a connection of its own, one script at a time in all processes, with no limit of time."""
        async with self.alone() as connection, connection.transaction():
            await connection.execute("SELECT pg_advisory_xact_lock($1)", SCRIPT_LOCK)
            if unless is not None and await connection.fetch(unless):
                return False
            await connection.execute(sql)
        return True

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
                await self.release(connection)

    async def close(self) -> None:
        """Wait up to 10 seconds for what is under way, then drop it."""
        if self._listening is not None:
            self._listening.cancel()
            await asyncio.wait([self._listening])
        self._closed = True
        if self._replica is not None:
            await self._replica.close()
        if self._pool is not None:
            try:
                await asyncio.wait_for(self._pool.close(), 10)
            except TimeoutError:
                self._pool.terminate()


async def scan(
    connection: asyncpg.Connection, text: str, most: int, *args: Any
) -> AsyncIterator[list[tuple[Any, ...]]]:
    """Every row of a query, so many at a time, within the transaction that this connection is in."""
    cursor = await connection.cursor(text, *args, timeout=SCAN_SECONDS)
    while rows := await cursor.fetch(most, timeout=SCAN_SECONDS):
        yield [tuple(row) for row in rows]


class _PostgresTx(Tx):
    database: PostgresDatabase

    def __init__(
        self, database: PostgresDatabase, *, writes: bool, begin: str = "", apart: bool = False
    ) -> None:
        super().__init__(database)
        self._writes = writes
        self._apart = apart
        self._how = begin
        self._connection: asyncpg.Connection | None = None

    async def _begin(self) -> asyncpg.Connection:
        if self._over or self._failure is not None:
            raise self._unusable()
        if self._connection is None:
            if self._writes:
                self._take_task()
            try:
                self._connection = await self.database.acquire()
            finally:
                if self._connection is None:
                    self._leave_task()
            if self._how:
                with self._failing():
                    await self._connection.execute(self._how)
        return self._connection

    @contextmanager
    def _failing(self) -> Iterator[None]:
        """Note that the transaction cannot go on; a cancelled statement ends it, too."""
        try:
            yield
        except BaseException as error:
            if self._how:
                self._failure = error
            if isinstance(error, asyncpg.InternalClientError) and self._connection is not None:
                self._connection.terminate()  # it stays in the middle of that for ever
            if isinstance(error, ERRORS) and (meaning := translate(error)) is not error:
                raise meaning from error
            raise

    async def first(self, statement: Statement[RowT], /, **params: Any) -> RowT | None:
        connection, compiled = await self._begin(), statement.postgres
        with self._failing():
            row = await connection.fetchrow(compiled.text, *compiled.bind(params))
        return None if row is None else compiled.read(row)

    async def all(self, statement: Statement[RowT], /, **params: Any) -> list[RowT]:
        connection, compiled = await self._begin(), statement.postgres
        with self._failing():
            rows = await connection.fetch(compiled.text, *compiled.bind(params))
        if self._apart:
            return await read_by_turns(compiled.read, rows)
        return [compiled.read(row) for row in rows]

    async def scan(
        self, statement: Statement[Any], /, *, most: int = 2_000, **params: Any
    ) -> AsyncIterator[list[tuple[Any, ...]]]:
        if not self._how:
            raise TypeError("only a snapshot is scanned")
        connection, compiled = await self._begin(), statement.postgres
        with self._failing():
            # What is done with the rows may take longer than a transaction may idle otherwise.
            await connection.execute("SET LOCAL idle_in_transaction_session_timeout = 0")
            async for rows in scan(connection, compiled.text, most, *compiled.bind(params)):
                yield rows

    async def run(self, statement: Statement[Any], /, **params: Any) -> int:
        self._refuse_in_view()
        connection, compiled = await self._begin(), statement.postgres
        with self._failing():
            status = await connection.execute(compiled.text, *compiled.bind(params))
        count = status.rpartition(" ")[2]
        return int(count) if count.isdigit() else 0

    async def run_many(self, statement: Statement[Any], rows: Iterable[Mapping[str, Any]], /) -> None:
        self._refuse_in_view()
        connection, compiled = await self._begin(), statement.postgres
        with self._failing():
            await connection.executemany(compiled.text, [compiled.bind(row) for row in rows])

    def _refuse_in_view(self) -> None:
        if not self._writes:
            raise TypeError("a view only reads")

    async def _commit(self) -> None:
        if self._writes and self._notified:
            await self._begin()
        if self._writes and self._connection is not None:
            # A caller who goes away in the middle of a COMMIT leaves it to finish.
            await asyncio.shield(self._finish_well())
            return
        self.committed()
        await self.close()  # and not only when the last byte of an answer is sent

    async def _finish_well(self) -> None:
        notify = "".join(f'NOTIFY "{channel}";' for channel in sorted(self._notified))
        began = perf_counter()
        status = await self._finish(notify + "COMMIT")
        observe_commit(perf_counter() - began, 1)
        if status != "COMMIT":  # the server had given it up
            raise Unavailable(headers={"Retry-After": "1"})
        self.committed()

    async def _finish(self, how: str) -> str:
        connection, self._connection = self._connection, None
        assert connection is not None
        self._leave_task()
        self._over = True
        try:
            return str(await connection.execute(how))
        except ERRORS as error:
            with suppress(asyncpg.InterfaceError):  # lost, and terminated already
                connection.terminate()
            meaning = translate(error)
            if meaning is error:
                raise
            raise meaning from error
        finally:
            await self.database.release(connection)

    async def close(self) -> None:
        self._over = True
        if self._span is not None:
            self._trace_end("ROLLBACK")
        if self._connection is None:
            return
        if self._how:
            await asyncio.shield(self._undo())
        else:
            connection, self._connection = self._connection, None
            await self._give_back(connection)

    async def _give_back(self, connection: asyncpg.Connection) -> None:
        await self.database.release(connection)

    async def _undo(self) -> None:
        # The connection may be in the middle of a cancelled statement, or gone: either way nothing is kept.
        with suppress(Unavailable, *ERRORS):
            await self._finish("ROLLBACK")


class _Look(_PostgresTx):
    """A view of the copy, if that is as new as whoever looks may ask for; else of the primary."""

    def __init__(self, database: PostgresDatabase, replica: Replica) -> None:
        super().__init__(database, writes=False)
        self._replica = replica
        self._lent = False

    async def _begin(self) -> asyncpg.Connection:
        if self._connection is None and not self._over:
            self._connection = await self._replica.acquire()
            self._lent = self._connection is not None
        return await super()._begin()

    async def first(self, statement: Statement[RowT], /, **params: Any) -> RowT | None:
        return await self._ask(super().first, statement, params)

    async def all(self, statement: Statement[RowT], /, **params: Any) -> list[RowT]:
        return await self._ask(super().all, statement, params)

    async def _ask(self, how: Callable[..., Awaitable[T]], statement: Any, params: dict[str, Any]) -> T:
        """Ask the primary what the copy could not answer: it ends what is in the way of its following."""
        try:
            return await how(statement, **params)
        except (DatabaseBusy, Unavailable) as error:
            if not self._lent:
                raise
            self._replica.rest(error)
            if self._connection is not None and isinstance(error, Unavailable):
                drop(self._connection)
            await self.close()
            self._over = False
            return await how(statement, **params)

    async def _give_back(self, connection: asyncpg.Connection) -> None:
        if self._lent:
            self._lent = False
            await self._replica.release(connection)
        else:
            await super()._give_back(connection)
