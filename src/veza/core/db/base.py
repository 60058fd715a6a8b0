"""What both databases offer: transactions that commit whole or not at all."""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar

import structlog

from veza.core.db.statement import Statement
from veza.core.errors import Conflict
from veza.core.tracing import Kind, Recording, aside, tracing
from veza.core.turns import give_way

if TYPE_CHECKING:
    from veza.core.events import Context, Event

RowT = TypeVar("RowT")
log = structlog.get_logger()

# So many rows at a time are made Python's, and held where a list is read in pieces: half a millisecond.
PIECE = 100


class UrlRefused(Exception):
    """The driver makes no sense of a database's URL, or of variables that complete it; says so in a line."""


class UniqueViolation(Conflict):
    """Such a thing exists already."""

    def __init__(self, constraint: str) -> None:
        super().__init__()
        self.constraint = constraint


class Tx(ABC):
    """A transaction, or, from :meth:`Database.read`, a view that only reads; for one task.

    It begins with its first statement and holds nothing before. In a view each statement sees what was
    committed when it began (in a :meth:`Database.snapshot` when the first of them began); a write transaction
    also sees its own changes. After a statement that failed, a
    write transaction can only be undone. Nothing slow (hashing, files, the network) belongs between the
    first statement of a write transaction and its commit.
    """

    def __init__(self, database: "Database") -> None:
        self.database = database
        self.context: Callable[[], Context] | None = None
        self._emitted: list[Event] = []
        self._callbacks: list[Callable[[], None]] = []
        self._notified: set[str] = set()
        self._over = False
        self._kept = False
        self._failure: BaseException | None = None
        self._task: asyncio.Task[Any] | None = None
        self._span: Recording | None = None

    @abstractmethod
    async def first(self, statement: Statement[RowT], /, **params: Any) -> RowT | None:
        """The first row, or None."""

    @abstractmethod
    async def all(self, statement: Statement[RowT], /, **params: Any) -> list[RowT]:
        """Every row."""

    async def all_each(self, statement: Statement[RowT], rows: Iterable[Mapping[str, Any]], /) -> list[RowT]:
        """What :meth:`all` returns for each of ``rows``, one after the other, in one list."""
        found: list[RowT] = []
        for row in rows:
            found += await self.all(statement, **row)
        return found

    @abstractmethod
    async def run(self, statement: Statement[Any], /, **params: Any) -> int:
        """Run a statement that returns nothing; how many rows it changed."""

    @abstractmethod
    async def run_many(self, statement: Statement[Any], rows: Iterable[Mapping[str, Any]], /) -> None:
        """Run a statement once for each of ``rows``."""

    async def run_each(self, statement: Statement[Any], rows: Iterable[Mapping[str, Any]], /) -> None:
        """Like :meth:`run_many`, for rows that others may hold: on PostgreSQL one by one.

        There a batch that waits in vain for one of its rows breaks the connection (asyncpg's executemany).
        """
        for row in rows:
            await self.run(statement, **row)

    def scan(
        self, statement: Statement[Any], /, *, most: int = 2_000, **params: Any
    ) -> AsyncIterator[list[tuple[Any, ...]]]:
        """Every row as the driver has it, so many at a time; in a :meth:`Database.snapshot` alone."""
        del statement, most, params
        raise TypeError("only a snapshot is scanned")

    async def pieces(self, statement: Statement[RowT], /, **params: Any) -> AsyncIterator[list[RowT]]:
        """What :meth:`all` returns, a hundred rows at a time, looked up off the event loop, held by nobody.

        In a :meth:`Database.snapshot` alone; one list is read to its end before another is begun.
        """
        read = (statement.sqlite if self.database.dialect == "sqlite" else statement.postgres).read
        async for rows in self.scan(statement, most=PIECE, **params):
            yield [read(row) for row in rows]
            await give_way()

    def emit(self, event: "Event") -> None:
        """Say what happened: recorded, with the jobs that follow from it, in this very transaction."""
        self._emitted.append(event)

    def notify(self, channel: str) -> None:
        """Wake whoever listens on ``channel``, in any process, once this is committed."""
        self._notified.add(channel)

    def on_commit(self, callback: Callable[[], None]) -> None:
        """Call this once the change is durable, before anybody is told of it. It must not fail or wait."""
        self._callbacks.append(callback)

    async def commit(self) -> None:
        """Make the changes durable; returns only when they are. A second time there is nothing to do."""
        while self._emitted:  # what is done at once may say in turn what happened
            emitted, self._emitted = self._emitted, []
            await self.database.record_events(self, emitted)
        if self._kept:
            return
        if self._failure is not None or self._over:
            raise self._unusable()
        try:
            await self._commit()
        except BaseException as error:
            self._trace_end("COMMIT", type(error).__name__)
            raise
        self._over = self._kept = True
        if self._span is not None:
            self._trace_end("COMMIT")

    @abstractmethod
    async def _commit(self) -> None: ...

    @abstractmethod
    async def close(self) -> None:
        """Give everything back; what was not committed is undone."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                await self.commit()
        finally:
            await self.close()

    def committed(self) -> None:
        """Run the callbacks; called by the database alone, once the change is durable."""
        callbacks, self._callbacks = self._callbacks, []
        for callback in callbacks:
            try:
                callback()
            except Exception:
                # The change is durable whatever a callback thinks: its author must not be told otherwise.
                log.exception("database.callback_failed")
        for channel in self._notified:
            self.database.wake(channel)

    def _unusable(self) -> RuntimeError:
        """Why no statement can run any more."""
        if self._failure is not None:
            problem = RuntimeError("a statement of this transaction failed: it can only be undone")
            problem.__cause__ = self._failure
            return problem
        return RuntimeError("this transaction is over")

    def _take_task(self) -> None:
        # A task that waits for its own first transaction to end would wait for ever.
        task = asyncio.current_task()
        if task is not None:
            if task in self.database.writing:
                raise RuntimeError("this task is in the middle of another transaction")
            self.database.writing.add(task)
            self._task = task
        if tracing.recorder is not None:
            # What waits for its turn, or for a connection, is a part of it.
            self._span = aside("transaction", Kind.CLIENT, {"db.system.name": self.database.dialect})

    def _trace_end(self, how: str, error: str | None = None) -> None:
        span, self._span = self._span, None
        if span is not None:
            span.set("db.operation.name", how)
            span.end(error)

    def _leave_task(self) -> None:
        if self._task is not None:
            self.database.writing.discard(self._task)
            self._task = None


async def read_by_turns(read: Callable[[Any], RowT], rows: Sequence[Any]) -> list[RowT]:
    """Rows as Python's, for a list that may be long: others have their turns at the event loop."""
    found: list[RowT] = []
    for start in range(0, len(rows), PIECE):
        found += [read(row) for row in rows[start : start + PIECE]]
        await give_way()
    return found


async def _ignore(tx: Tx, events: "list[Event]") -> None:
    """A database nobody listens to."""


class Database(ABC):
    """A place to read and write."""

    dialect: str
    url: str
    """What :func:`veza.core.db.open_database` opens it by, password included."""
    shared: bool
    """Whether other processes may write to it as well; caches of rows are safe only where this is false."""

    def __init__(self) -> None:
        self.record_events: Callable[[Tx, list[Event]], Awaitable[None]] = _ignore
        self.writing: set[asyncio.Task[Any]] = set()
        self._listeners: dict[str, list[Callable[[], None]]] = {}

    def listen(self, channel: str, callback: Callable[[], None]) -> None:
        """Call ``callback`` whenever a transaction that notified ``channel`` was committed."""
        self._listeners.setdefault(channel, []).append(callback)

    def wake(self, channel: str) -> None:
        """Call the listeners of ``channel`` in this process."""
        for callback in self._listeners.get(channel, ()):
            callback()

    def wake_all(self) -> None:
        """Call every listener in this process: another has committed, and did not say what."""
        for channel in tuple(self._listeners):
            self.wake(channel)

    @abstractmethod
    async def start(self) -> None:
        """Begin to hear of what other processes commit."""

    def version(self, tables: Iterable[str]) -> int | None:
        """Another number after every commit that may have changed one of ``tables``, whoever made it.

        None where that cannot be told.
        """
        del tables
        return None

    @abstractmethod
    def read(self) -> Tx:
        """A view; use it with ``async with``, or close it."""

    def look(self) -> Tx:
        """A view for whoever asks from outside, and only looks: perhaps of a copy of the database.

        It shows all that was committed before its first statement, and may show nothing that came later.
        """
        return self.read()

    @abstractmethod
    def snapshot(self, *, apart: bool = False) -> Tx:
        """A view all of whose statements see one moment, that of the first of them.

        It keeps one of a few connections to itself until it is closed: for what is read in several pieces
        that must fit together, and by whoever needs no other such view meanwhile. ``apart`` all of its
        statements are as if they were heavy, for whoever asks for long lists and has time.
        """

    @abstractmethod
    def write(self) -> Tx:
        """A transaction; ``async with`` commits it when the block ends well."""

    def bulk(self) -> Tx:
        """A transaction for very much at a time, while nobody else is to write.

        On SQLite its statements run off the event loop, and who else writes is refused after five seconds.
        """
        return self.write()

    @asynccontextmanager
    async def turn(self, name: str) -> AsyncIterator[None]:
        """Do what only one process may do at a time; others wait. Alone with a database, nobody does."""
        del name
        yield

    @abstractmethod
    async def script(self, sql: str, *, unless: str | None = None) -> bool:
        """Run many statements in one transaction, alone (migrations).

        Where the query ``unless``, asked within that transaction, has a row, nothing is run and the answer
        is False.
        """

    @abstractmethod
    async def rows(self, sql: str) -> list[tuple[Any, ...]]:
        """The rows of a plain text query (start-up checks and tests)."""

    @abstractmethod
    async def check(self) -> None:
        """Answer, or raise."""

    async def examine(self, *, deep: bool) -> list[str]:
        """What is wrong with the database's own file, if it has one that we can look into."""
        del deep
        return []

    @abstractmethod
    async def close(self) -> None:
        """Finish what is under way and let go."""
