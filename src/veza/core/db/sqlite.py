"""SQLite in this process: readers beside one writer, whose commits are shared.

The statements of a transaction run on the event loop: each is an index look-up or a bounded list, some tens
of microseconds, less than the way to a thread and back. What waits for the disk, the commit with its fsync,
runs in a thread; see :mod:`veza.core.db.sqlite_writer`. Statements marked ``heavy`` go to a reader in a
thread.

Another process may write to the file as well, now and then, as an operator's commands do (`veza import`).
What it commits is noticed within :data:`LOOK_SECONDS`, and sooner by whoever writes: then the version moves
and every listener is called, since nobody can say what has changed.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import apsw
import sqlalchemy as sa
import structlog

from veza.core.db.base import Database, Tx
from veza.core.db.sqlite_base import connect, translate
from veza.core.db.sqlite_bulk import BulkTx
from veza.core.db.sqlite_writer import Group, Writer
from veza.core.db.statement import Args, Statement
from veza.core.metrics import watch

Row = tuple[Any, ...]
RowT = TypeVar("RowT")
log = structlog.get_logger()

READERS = 3
LOOK_SECONDS = 0.05

_NOTHING: frozenset[str] = frozenset()
_ANYTHING = Statement(sa.select(sa.literal(1)), int)


class SqliteDatabase(Database):
    """One SQLite file, written by this process; what others write is noticed."""

    dialect = "sqlite"
    shared = False

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.path = path
        self.url = f"sqlite:///{path}"
        self.writer = Writer(path, self.wake_all)
        self._looking: asyncio.Task[None] | None = None
        self.reader = connect(path, readonly=True)
        # Opened as they are wanted: to read the schema takes some milliseconds each.
        self._heavy: list[apsw.Connection] = []
        self._heavy_idle: list[apsw.Connection] = []
        self._heavy_free = asyncio.Semaphore(READERS)
        self._readers = ThreadPoolExecutor(READERS, "veza-sqlite-read")

    def version(self, tables: Iterable[str]) -> int | None:
        """How many commits there were: of this process to ``tables``, and what was noticed of others."""
        return self.writer.commits_to(tables)

    async def start(self) -> None:
        """Begin to notice what other processes commit, and to show how large the files are."""
        if self._looking is None:
            watch("veza_database_bytes", "Size of the database's file.", partial(_size, self.path))
            watch("veza_wal_bytes", "Size of its write-ahead log.", partial(_size, Path(f"{self.path}-wal")))
            self._looking = asyncio.create_task(self._look(), name="sqlite-look")

    async def _look(self) -> None:
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            try:
                self.writer.look()
            except apsw.Error:
                log.exception("database.look_failed")

    def read(self) -> Tx:
        """A view through the one reader of the event loop."""
        return _ReadTx(self)

    def snapshot(self) -> Tx:
        """A transaction on one of the readers, of which others then have one less."""
        return _SnapshotTx(self)

    def write(self) -> Tx:
        """A savepoint in the group that is open, or the first of a new one."""
        return _WriteTx(self)

    def bulk(self) -> Tx:
        """A transaction on a connection of its own."""
        return BulkTx(self, self.path, self.writer.know)

    async def read_heavy(self, text: str, args: Args) -> list[tuple[Any, ...]]:
        """Run a query that may take a while on a reader of its own, off the event loop."""
        connection = await self.borrow()
        # Given back when the thread is done with it, however long ago the caller went away.
        read = partial(_fetch, connection, text, args)
        return await self.read_on(connection, read, then=partial(self.give_back, connection))

    async def read_on(
        self, connection: apsw.Connection, do: Callable[[], list[Row]], *, then: Callable[[], None]
    ) -> list[Row]:
        """Read by a reader that was borrowed, off the loop; ``then`` the thread is done with it."""
        work = asyncio.get_running_loop().run_in_executor(self._readers, do)
        work.add_done_callback(partial(_done, then))
        try:
            return await asyncio.shield(work)
        except asyncio.CancelledError:
            connection.interrupt()
            raise

    async def borrow(self) -> apsw.Connection:
        """One of the readers, once one is free."""
        await self._heavy_free.acquire()
        try:
            return self._heavy_idle.pop() if self._heavy_idle else self._open_heavy()
        except apsw.Error:
            self._heavy_free.release()
            raise

    def _open_heavy(self) -> apsw.Connection:
        # They read much once, not little often.
        connection = connect(self.path, readonly=True, cache_kib=4_000)
        self._heavy.append(connection)
        return connection

    def give_back(self, connection: apsw.Connection) -> None:
        """Others may have this reader."""
        self._heavy_idle.append(connection)
        self._heavy_free.release()

    async def script(self, sql: str, *, unless: str | None = None) -> bool:
        """Run it on a connection of its own, with foreign keys unchecked so that tables can be made anew."""
        with contextlib.closing(connect(self.path)) as connection:
            connection.execute("PRAGMA foreign_keys=OFF").fetchall()
            connection.execute("BEGIN IMMEDIATE")
            try:
                if unless is not None and connection.execute(unless).fetchall():
                    connection.execute("ROLLBACK")
                    return False
                connection.execute(sql).fetchall()
                connection.execute("COMMIT")
            except apsw.Error:
                if not connection.getautocommit():
                    connection.execute("ROLLBACK")
                raise
        self.writer.know()
        return True

    async def rows(self, sql: str) -> list[tuple[Any, ...]]:
        """Ask the reader."""
        return list(self.reader.execute(sql))

    async def check(self) -> None:
        """Take the writer's turn once."""
        tx = self.write()
        try:
            await tx.first(_ANYTHING)
        finally:
            await tx.close()

    async def examine(self, *, deep: bool) -> list[str]:
        """What SQLite finds in its pages; ``deep`` compares each index with its table as well."""
        how = "integrity_check" if deep else "quick_check"
        found = await self.read_heavy(f"PRAGMA {how}(20)", ())
        return [str(said) for (said,) in found if said != "ok"]

    async def close(self) -> None:
        """Refuse new transactions, wait for those that have begun, stop the queries in threads."""
        if self._looking is not None:
            self._looking.cancel()
            await asyncio.wait([self._looking])
        await self.writer.close()
        for connection in self._heavy:
            connection.interrupt()
        await asyncio.get_running_loop().run_in_executor(None, self._readers.shutdown)
        for connection in (*self._heavy, self.reader):
            connection.close()


def _size(path: Path) -> float:
    try:
        return float(path.stat().st_size)
    except OSError:  # there is no log while nothing was written
        return 0.0


def _fetch(connection: apsw.Connection, text: str, args: Args) -> list[tuple[Any, ...]]:
    return connection.execute(text, args).fetchall()


def _done(then: Callable[[], None], work: "asyncio.Future[Any]") -> None:
    if not work.cancelled():
        work.exception()  # retrieved, also when nobody waits any more
    then()


def _raise(error: Exception) -> NoReturn:
    meaning = translate(error)
    if meaning is error:
        raise error
    raise meaning from error


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
        if self._over:
            raise self._unusable()
        try:
            if statement.heavy:
                return await self.database.read_heavy(compiled.text, compiled.bind(params))
            return self.database.reader.execute(compiled.text, compiled.bind(params)).fetchall()
        except apsw.Error as error:
            _raise(error)

    async def run(self, *_: Any, **__: Any) -> int:
        raise TypeError("a view only reads")

    async def run_many(self, *_: Any) -> None:
        raise TypeError("a view only reads")

    async def _commit(self) -> None:
        self.committed()

    async def close(self) -> None:
        self._over = True


class _SnapshotTx(_ReadTx):
    _connection: apsw.Connection | None = None
    _reading = False

    async def _fetch(self, statement: Statement[Any], params: Mapping[str, Any]) -> list[Any]:
        compiled = statement.sqlite
        if self._over:
            raise self._unusable()
        try:
            connection = await self._begin()
            if not statement.heavy:
                return connection.execute(compiled.text, compiled.bind(params)).fetchall()
            self._reading = True
            read = partial(_fetch, connection, compiled.text, compiled.bind(params))
            return await self.database.read_on(connection, read, then=self._read)
        except apsw.Error as error:
            _raise(error)

    async def _begin(self) -> apsw.Connection:
        if self._connection is None:
            self._connection = await self.database.borrow()
            self._connection.execute("BEGIN")
        return self._connection

    async def scan(
        self, statement: Statement[Any], /, *, most: int = 2_000
    ) -> AsyncIterator[list[tuple[Any, ...]]]:
        compiled = statement.sqlite
        if self._over:
            raise self._unusable()
        try:
            connection = await self._begin()
            cursor = connection.execute(compiled.text, compiled.bind({}))
            while True:
                self._reading = True
                read = partial(list[Row], islice(cursor, most))
                if not (rows := await self.database.read_on(connection, read, then=self._read)):
                    return
                yield rows
        except apsw.Error as error:
            _raise(error)

    def _read(self) -> None:
        self._reading = False
        if self._over:
            self._let_go()

    def _let_go(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with contextlib.suppress(apsw.Error):
                connection.execute("ROLLBACK")
            self.database.give_back(connection)

    async def _commit(self) -> None:
        self.committed()
        self._let_go()  # and not only when the last byte of an answer is sent

    async def close(self) -> None:
        self._over = True
        if not self._reading:  # else the thread's end lets go: its caller went away
            self._let_go()


class _WriteTx(_SqliteTx):
    _group: Group | None = None

    def __init__(self, database: SqliteDatabase) -> None:
        super().__init__(database)
        self.written: set[str] | None = set()

    def _note(self, writes: frozenset[str] | None) -> None:
        """Remember what is written; of tables that are not known, that it may be any."""
        if writes is None:
            self.written = None
        elif self.written is not None:
            self.written |= writes

    async def _begin(self) -> apsw.Connection:
        if self._over or self._failure is not None:
            raise self._unusable()
        if self._group is None:
            self._take_task()
            try:
                self._group = await self.database.writer.enter()
            finally:
                if self._group is None:
                    self._leave_task()
        return self.database.writer.connection

    def _fail(self, error: Exception) -> NoReturn:
        self._failure = error
        self.database.writer.note(error)
        _raise(error)

    async def _fetch(self, statement: Statement[Any], params: Mapping[str, Any]) -> list[Any]:
        connection, compiled = await self._begin(), statement.sqlite
        try:
            rows = connection.execute(compiled.text, compiled.bind(params)).fetchall()
        except Exception as error:  # noqa: BLE001 - noted, and raised again
            self._fail(error)
        if compiled.writes != _NOTHING:
            self._note(compiled.writes)
        return rows

    async def first_each(
        self, statement: Statement[RowT], rows: Iterable[Mapping[str, Any]], /
    ) -> list[RowT | None]:
        connection, compiled = await self._begin(), statement.sqlite
        execute, bind, read, text = connection.execute, compiled.bind, compiled.read, compiled.text
        try:
            found = [execute(text, bind(row)).fetchall() for row in rows]
        except Exception as error:  # noqa: BLE001 - noted, and raised again
            self._fail(error)
        if compiled.writes != _NOTHING:
            self._note(compiled.writes)
        return [read(some[0]) if some else None for some in found]

    async def run(self, statement: Statement[Any], /, **params: Any) -> int:
        connection, compiled = await self._begin(), statement.sqlite
        try:
            connection.execute(compiled.text, compiled.bind(params)).fetchall()
        except Exception as error:  # noqa: BLE001 - noted, and raised again
            self._fail(error)
        self._note(compiled.writes)
        return connection.changes()

    async def run_many(self, statement: Statement[Any], rows: Iterable[Mapping[str, Any]], /) -> None:
        connection, compiled = await self._begin(), statement.sqlite
        try:
            connection.executemany(compiled.text, map(compiled.bind, rows)).fetchall()
        except Exception as error:  # noqa: BLE001 - noted, and raised again
            self._fail(error)
        self._note(compiled.writes)

    async def run_each(self, statement: Statement[Any], rows: Iterable[Mapping[str, Any]], /) -> None:
        await self.run_many(statement, rows)  # there is nobody to wait for

    async def _commit(self) -> None:
        group, writer = self._group, self.database.writer
        if group is None:
            self.committed()
            return
        try:
            writer.release()
        except apsw.Error as error:
            self._fail(error)
        self._over = True
        done: asyncio.Future[Exception | None] = asyncio.get_running_loop().create_future()
        group.members.append((self, self.written, done))
        self._leave_task()
        writer.leave()
        problem = await done
        if problem is not None:
            _raise(problem)

    async def close(self) -> None:
        if self._over:
            return
        self._over = True
        if self._group is not None:
            self._leave_task()
            self.database.writer.undo()
            self.database.writer.leave()
