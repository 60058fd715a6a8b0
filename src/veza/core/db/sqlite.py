"""SQLite in this process: readers beside one writer, whose commits are shared.

The statements of a transaction run on the event loop: each is an index look-up or a bounded list, some tens
of microseconds, less than the way to a thread and back; who runs very many gives way to others in
between, and keeps the writer. What waits for the disk, the commit with its fsync, runs in a thread; see
:mod:`veza.core.db.sqlite_writer`. Statements marked ``heavy`` go to a reader in a thread.

Another process may write to the file as well, now and then, as an operator's commands do (`veza import`).
What it commits is noticed within :data:`LOOK_SECONDS`, and sooner by whoever writes: then the version moves
and every listener is called, since nobody can say what has changed.
"""

import asyncio
import contextlib
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import apsw
import sqlalchemy as sa
import structlog

from veza.core.db.base import Database, Tx
from veza.core.db.sqlite_base import connect
from veza.core.db.sqlite_bulk import BulkTx
from veza.core.db.sqlite_tx import ReadTx, SnapshotTx, WriteTx, fetch
from veza.core.db.sqlite_writer import Writer
from veza.core.db.statement import Args, Statement
from veza.core.errors import NO_ROOM, InsufficientStorage
from veza.core.metrics import watch

Row = tuple[Any, ...]
RowT = TypeVar("RowT")
log = structlog.get_logger()

READERS = 3
LOOK_SECONDS = 0.05
# From one try to stop a query in a thread to the next: before it has begun there is nothing to stop.
_AGAIN_SECONDS = 0.05

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
        return ReadTx(self)

    def snapshot(self, *, apart: bool = False) -> Tx:
        """A transaction on one of the readers, of which others then have one less."""
        return SnapshotTx(self, apart=apart)

    def write(self) -> Tx:
        """A part of the group that is open, or the first of a new one."""
        return WriteTx(self)

    def bulk(self) -> Tx:
        """A transaction on a connection of its own."""
        return BulkTx(self, self.path, self.writer.know)

    async def read_heavy(self, text: str, args: Args) -> list[tuple[Any, ...]]:
        """Run a query that may take a while on a reader of its own, off the event loop."""
        connection = await self.borrow()
        # Given back when the thread is done with it, however long ago the caller went away.
        read = partial(fetch, connection, text, args)
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
            _stop(connection, work)
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
        """Others may have this reader, unless it is of a moment still.

        So it is while a list is half read, whatever ROLLBACK says, which an interrupt refuses besides.
        """
        try:
            if connection.txn_state() == apsw.SQLITE_TXN_NONE:
                self._heavy_idle.append(connection)
            else:
                self._heavy.remove(connection)
                connection.close(force=True)
        except apsw.ConnectionClosedError:
            pass  # as the database is
        finally:
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
            except apsw.Error as error:
                # Of the reasons that the kernel has, SQLite itself tells only one from an error of the disk.
                no_room = isinstance(error, apsw.FullError) or (
                    isinstance(error, apsw.IOError) and connection.system_errno in NO_ROOM
                )
                if not connection.getautocommit():
                    connection.execute("ROLLBACK")
                if no_room:
                    raise InsufficientStorage from error
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
        ending = asyncio.get_running_loop().run_in_executor(None, self._readers.shutdown)
        while not ending.done():
            for connection in self._heavy:
                connection.interrupt()
            await asyncio.wait([ending], timeout=_AGAIN_SECONDS)
        for connection in (*self._heavy, self.reader):
            connection.close()


def _size(path: Path) -> float:
    try:
        return float(path.stat().st_size)
    except OSError:  # there is no log while nothing was written
        return 0.0


def _stop(connection: apsw.Connection, work: "asyncio.Future[Any]") -> None:
    if not work.done():
        connection.interrupt()
        asyncio.get_running_loop().call_later(_AGAIN_SECONDS, _stop, connection, work)


def _done(then: Callable[[], None], work: "asyncio.Future[Any]") -> None:
    if not work.cancelled():
        work.exception()  # retrieved, also when nobody waits any more
    then()
