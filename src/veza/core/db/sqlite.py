"""SQLite in this process: readers beside one writer, whose commits are shared.

The statements of a transaction run on the event loop: each is an index look-up or a bounded list, some tens
of microseconds, less than the way to a thread and back. What waits for the disk, the commit with its fsync,
runs in a thread. While it runs, further transactions queue; they then run one after another, each in a
savepoint of its own, and share the next fsync (group commit). A lone transaction commits at once. One that
fails is undone alone. Statements marked ``heavy`` go to a reader in a thread.
"""

import asyncio
import re
from collections import deque
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from time import perf_counter
from typing import Any, TypeVar

import apsw

from veza.core.db.base import Database, Tx, UniqueViolation
from veza.core.db.statement import Statement
from veza.core.errors import Conflict, DatabaseBusy, InsufficientStorage, Unavailable

RowT = TypeVar("RowT")

GROUP_SIZE = 256
GROUP_SECONDS = 0.02
CHECKPOINT_PAGES = 2_000
READERS = 3


def connect(path: Path, *, readonly: bool = False) -> apsw.Connection:
    """A connection set up as Veza needs it."""
    flags = apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_CREATE
    connection = apsw.Connection(str(path), flags, statementcachesize=400)
    connection.set_busy_timeout(5_000)
    for pragma in (
        "journal_mode=WAL",
        "synchronous=FULL",
        "foreign_keys=ON",
        "temp_store=MEMORY",
        "cache_size=-16000",
        "mmap_size=1073741824",
        f"query_only={'ON' if readonly else 'OFF'}",
    ):
        connection.execute(f"PRAGMA {pragma}").fetchall()
    return connection


def translate(error: apsw.Error) -> Exception:
    """The error as the rest of Veza knows it."""
    text = str(error)
    if isinstance(error, apsw.ConstraintError):
        if unique := re.search(r"UNIQUE constraint failed: (.+)", text):
            table, columns = "", []
            for part in unique[1].split(", "):
                table, _, column = part.rpartition(".")
                columns.append(column)
            return UniqueViolation(f"uq_{table}_{'_'.join(columns)}")
        return Conflict()
    if isinstance(error, apsw.BusyError | apsw.LockedError):
        return DatabaseBusy(headers={"Retry-After": "1"})
    if isinstance(error, apsw.FullError):
        return InsufficientStorage()
    if isinstance(error, apsw.IOError | apsw.ReadOnlyError | apsw.CantOpenError):
        return Unavailable(headers={"Retry-After": "5"})
    return error


class _Group:
    """Transactions that share one commit."""

    __slots__ = ("begun", "done", "members")

    def __init__(self, done: asyncio.Future[None]) -> None:
        self.begun = perf_counter()
        self.done = done
        self.members: list[_WriteTx] = []


class SqliteDatabase(Database):
    """One SQLite file, written by this process alone."""

    dialect = "sqlite"
    shared = False

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.path = path
        self.writer = connect(path)
        self.writer.execute("PRAGMA wal_autocheckpoint=0").fetchall()
        self.reader = connect(path, readonly=True)
        self._heavy: list[apsw.Connection] = [connect(path, readonly=True) for _ in range(READERS)]
        self._heavy_free = asyncio.Semaphore(READERS)
        self._readers = ThreadPoolExecutor(READERS, "veza-sqlite-read")
        self._committer = ThreadPoolExecutor(1, "veza-sqlite-commit")
        self._checkpointer = ThreadPoolExecutor(1, "veza-sqlite-checkpoint")
        self._checkpoints = connect(path)
        self._checkpointing = False
        self._busy = False
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._group: _Group | None = None
        self._flushes: set[asyncio.Task[None]] = set()
        self.writer.set_wal_hook(self._on_wal)

    def read(self) -> Tx:
        """A view through the one reader of the event loop."""
        return _ReadTx(self)

    def write(self) -> Tx:
        """A savepoint in the group that is open, or the first of a new one."""
        return _WriteTx(self)

    # ── the writer's turn ──────────────────────────────────────────────────────────────────────────

    async def enter(self) -> _Group:
        """Wait for the turn at the writer and open a savepoint."""
        if self._busy:
            turn = asyncio.get_running_loop().create_future()
            self._waiting.append(turn)
            try:
                await turn
            except asyncio.CancelledError:
                if turn.done() and not turn.cancelled():
                    self.leave()
                raise
        self._busy = True
        try:
            if self._group is None:
                self.writer.execute("BEGIN IMMEDIATE")
                self._group = _Group(asyncio.get_running_loop().create_future())
            self.writer.execute("SAVEPOINT one")
        except apsw.Error as error:
            self.leave()
            raise translate(error) from error
        return self._group

    def leave(self) -> None:
        """Pass the turn on; whoever is last, or a group that is full, has it committed first."""
        group = self._group
        if group and self.writer.getautocommit():
            # A full disk or a failed write made SQLite undo everything: nobody in the group was told yes.
            self._group = None
            _fail(group, InsufficientStorage())
            group = None
        while self._waiting and self._waiting[0].cancelled():
            self._waiting.popleft()
        full = group and (len(group.members) >= GROUP_SIZE or perf_counter() - group.begun > GROUP_SECONDS)
        if group and (full or not self._waiting):
            flush = asyncio.get_running_loop().create_task(self._flush(group))
            self._flushes.add(flush)
            flush.add_done_callback(self._flushes.discard)
        elif self._waiting:
            self._waiting.popleft().set_result(None)
        else:
            self._busy = False

    async def _flush(self, group: _Group) -> None:
        self._group = None
        try:
            if group.members:
                await asyncio.get_running_loop().run_in_executor(
                    self._committer, self.writer.execute, "COMMIT"
                )
            else:
                self.writer.execute("ROLLBACK")
        except apsw.Error as error:
            if not self.writer.getautocommit():
                self.writer.execute("ROLLBACK")
            _fail(group, translate(error))
        else:
            for tx in group.members:
                tx.committed()
            group.done.set_result(None)
        finally:
            self.leave()

    # ── reading in a thread ────────────────────────────────────────────────────────────────────────

    async def read_heavy(self, text: str, args: tuple[Any, ...]) -> list[tuple[Any, ...]]:
        """Run a query that may take a while on a reader of its own, off the event loop."""
        async with self._heavy_free:
            connection = self._heavy.pop()
            work = asyncio.get_running_loop().run_in_executor(self._readers, _fetch, connection, text, args)
            try:
                return await asyncio.shield(work)
            except asyncio.CancelledError:
                connection.interrupt()
                await asyncio.wait([work])
                raise
            finally:
                self._heavy.append(connection)

    # ── the write-ahead log ────────────────────────────────────────────────────────────────────────

    def _on_wal(self, _connection: apsw.Connection, _name: str, pages: int) -> int:
        if pages >= CHECKPOINT_PAGES and not self._checkpointing:
            self._checkpointing = True
            self._checkpointer.submit(self._checkpoint)
        return apsw.SQLITE_OK

    def _checkpoint(self) -> None:
        # On a connection and a thread of its own: the writer never waits for it.
        try:
            self._checkpoints.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)
        except apsw.BusyError:
            pass
        finally:
            self._checkpointing = False

    # ── the rest ───────────────────────────────────────────────────────────────────────────────────

    async def script(self, sql: str) -> None:
        """Run it on a connection of its own, with foreign keys unchecked so that tables can be made anew."""
        connection = connect(self.path)
        try:
            connection.execute("PRAGMA foreign_keys=OFF").fetchall()
            connection.execute("BEGIN EXCLUSIVE")
            try:
                connection.execute(sql).fetchall()
                connection.execute("COMMIT")
            except apsw.Error:
                if not connection.getautocommit():
                    connection.execute("ROLLBACK")
                raise
        finally:
            connection.close()

    async def rows(self, sql: str) -> list[tuple[Any, ...]]:
        """Ask the reader."""
        return list(self.reader.execute(sql))

    async def check(self) -> None:
        """Take the writer's turn once."""
        async with asyncio.timeout(5):
            await self.enter()
            self.writer.execute("RELEASE one")
            self.leave()

    async def close(self) -> None:
        """Wait for the commit under way."""
        while self._flushes:
            await asyncio.wait(self._flushes)
        for pool in (self._committer, self._readers, self._checkpointer):
            pool.shutdown()
        for connection in (*self._heavy, self.reader, self.writer, self._checkpoints):
            connection.close()


def _fail(group: _Group, error: BaseException) -> None:
    if group.members:
        group.done.set_exception(error)


def _fetch(connection: apsw.Connection, text: str, args: tuple[Any, ...]) -> list[tuple[Any, ...]]:
    return connection.execute(text, args).fetchall()


class _SqliteTx(Tx):
    database: SqliteDatabase

    async def _fetch(self, statement: Statement[Any], params: Mapping[str, Any]) -> list[Any]:
        raise NotImplementedError

    async def first(self, statement: Statement[RowT], /, **params: Any) -> RowT | None:
        rows = await self._fetch(statement, params)
        return statement.sqlite.read(rows[0]) if rows else None

    async def all(self, statement: Statement[RowT], /, **params: Any) -> list[RowT]:
        read = statement.sqlite.read
        return [read(row) for row in await self._fetch(statement, params)]


class _ReadTx(_SqliteTx):
    async def _fetch(self, statement: Statement[Any], params: Mapping[str, Any]) -> list[Any]:
        compiled = statement.sqlite
        try:
            if statement.heavy:
                return await self.database.read_heavy(compiled.text, compiled.bind(params))
            return self.database.reader.execute(compiled.text, compiled.bind(params)).fetchall()
        except apsw.Error as error:
            raise translate(error) from error

    async def run(self, *_: Any, **__: Any) -> int:
        raise TypeError("a view only reads")

    async def run_many(self, *_: Any) -> None:
        raise TypeError("a view only reads")

    async def _commit(self) -> None:
        """Nothing was changed."""

    async def close(self) -> None:
        """Nothing is held."""


class _WriteTx(_SqliteTx):
    _group: _Group | None = None
    _over = False

    async def _begin(self) -> apsw.Connection:
        if self._over:
            raise RuntimeError("this transaction is over")
        if self._group is None:
            self._group = await self.database.enter()
        return self.database.writer

    async def _fetch(self, statement: Statement[Any], params: Mapping[str, Any]) -> list[Any]:
        connection = await self._begin()
        compiled = statement.sqlite
        try:
            return connection.execute(compiled.text, compiled.bind(params)).fetchall()
        except apsw.Error as error:
            raise translate(error) from error

    async def run(self, statement: Statement[Any], /, **params: Any) -> int:
        connection = await self._begin()
        compiled = statement.sqlite
        try:
            connection.execute(compiled.text, compiled.bind(params)).fetchall()
        except apsw.Error as error:
            raise translate(error) from error
        return connection.changes()

    async def run_many(self, statement: Statement[Any], rows: Iterable[Mapping[str, Any]], /) -> None:
        connection = await self._begin()
        compiled = statement.sqlite
        try:
            connection.executemany(compiled.text, map(compiled.bind, rows)).fetchall()
        except apsw.Error as error:
            raise translate(error) from error

    async def _commit(self) -> None:
        group, database = self._group, self.database
        self._over = True
        if group is None:
            self.committed()
            return
        try:
            database.writer.execute("RELEASE one")
        except apsw.Error as error:
            database.leave()
            raise translate(error) from error
        group.members.append(self)
        database.leave()
        # A caller who goes away does not undo what others share.
        await asyncio.shield(group.done)

    async def close(self) -> None:
        if self._over:
            return
        self._over = True
        if self._group is not None:
            if not self.database.writer.getautocommit():
                self.database.writer.execute("ROLLBACK TO one")
                self.database.writer.execute("RELEASE one")
            self.database.leave()
