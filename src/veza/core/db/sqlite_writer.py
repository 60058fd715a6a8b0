"""The one writer of a SQLite file: who has the turn, and commits that are shared.

A transaction runs while it has the turn, in a savepoint of its own where others of its group were before it.
The last one in the queue, or a group that is full, has the whole group committed by a thread; meanwhile
further transactions queue and then share the next commit. A lone transaction is committed at once, and one
that fails is undone alone.
"""

import asyncio
import contextlib
from collections import Counter, deque
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from time import perf_counter

import apsw

from veza.core.db.base import Tx
from veza.core.db.sqlite_base import connect, translate
from veza.core.errors import DatabaseBusy, Unavailable
from veza.core.metrics import observe_commit

GROUP_SIZE = 256
GROUP_SECONDS = 0.02
PATIENCE = 5.0
CLOSING_SECONDS = 10.0
# How much the log grows from one checkpoint to the next. Each is two syncs that a commit may wait for, and a
# page that was written twice meanwhile is carried over once.
CHECKPOINT_PAGES = 4_000
# Beyond this (64 MiB) a commit carries the log over itself. A checkpoint beside it may never catch up with
# writers that do not pause, and only a log carried over whole is begun anew.
OVERDUE_PAGES = 16_000


class Group:
    """Transactions that share one commit, and who waits for it."""

    __slots__ = ("begun", "members")

    def __init__(self) -> None:
        self.begun = perf_counter()
        # Each with the tables that it wrote to, or None for any.
        self.members: list[tuple[Tx, set[str] | None, asyncio.Future[Exception | None]]] = []

    @property
    def full(self) -> bool:
        """Whether it must be committed although others wait to join."""
        return len(self.members) >= GROUP_SIZE or perf_counter() - self.begun > GROUP_SECONDS

    def settle(self, error: Exception | None) -> None:
        """Tell every member."""
        for *_, done in self.members:
            if not done.done():
                done.set_result(error)
        self.members.clear()  # each of them knows its group


class Writer:
    """A connection that transactions take turns at, in the order in which they came."""

    def __init__(self, path: Path, on_foreign: Callable[[], None] = lambda: None) -> None:
        self.connection = connect(path)
        # Only the start of a group can meet another process's lock, and waits for it without blocking.
        self.connection.set_busy_timeout(0)
        self.connection.set_wal_hook(self._on_wal)
        self._undone_by: Exception | None = None
        self._busy = False
        self._closed = False
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._group: Group | None = None
        self._idle: asyncio.Future[None] | None = None
        # Commits that may have changed anything, and those that are known to have changed these tables.
        self._commits = 0
        self._commits_to: Counter[str] = Counter()
        self._on_foreign = on_foreign
        self._seen = self._data_version()
        self._committer = ThreadPoolExecutor(1, "veza-sqlite-commit")
        self._checkpointer = ThreadPoolExecutor(1, "veza-sqlite-checkpoint")
        self._path = path
        self._checkpoints: apsw.Connection | None = None
        self._checkpointing = False
        self._carried = 0  # how long the log was when the last checkpoint was asked for

    def commits_to(self, tables: Iterable[str]) -> int:
        """How many commits there were that may have changed one of these tables."""
        return self._commits + sum(self._commits_to[table] for table in tables)

    async def enter(self) -> Group:
        """Wait for the turn, to change what can be undone alone; who enters must also :meth:`leave`.

        Raises :class:`DatabaseBusy` after five seconds, and :class:`Unavailable` when the database closes.
        """
        if self._closed:
            raise Unavailable(headers={"Retry-After": "5"})
        if self._busy:
            await self._wait_for_turn()
        self._busy = True
        try:
            group = self._group or await self._begin()
            if group.members:  # before them there is nothing to go back to but the start
                self.connection.execute("SAVEPOINT one")
        except BaseException as error:
            self.leave()
            if isinstance(error, apsw.Error):
                raise translate(error) from error
            raise
        return group

    async def _wait_for_turn(self) -> None:
        loop = asyncio.get_running_loop()
        turn: asyncio.Future[None] = loop.create_future()
        self._waiting.append(turn)
        timer = loop.call_later(PATIENCE, _refuse, turn, DatabaseBusy(headers={"Retry-After": "1"}))
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled() and turn.exception() is None:
                self.leave()  # given in the same moment
            raise
        finally:
            timer.cancel()

    async def _begin(self) -> Group:
        deadline = perf_counter() + PATIENCE
        while True:
            try:
                self.connection.execute("BEGIN IMMEDIATE")
            except apsw.BusyError:
                if perf_counter() > deadline:
                    raise
                await asyncio.sleep(0.01)
            else:
                break
        self._group = group = Group()
        self._notice()
        return group

    def look(self) -> None:
        """Notice what another process has committed; a group that is under way looked when it began."""
        if not (self._busy or self._closed):
            self._notice()

    def know(self) -> None:
        """What was just committed on another connection was this process's own."""
        if not (self._busy or self._closed):
            self._seen = self._data_version()
            self._commits += 1

    def _notice(self) -> None:
        # Of this connection: its own commits leave the number as it is, and every other one changes it.
        version = self._data_version()
        if version != self._seen:
            self._seen = version
            self._commits += 1
            self._on_foreign()

    def _data_version(self) -> int:
        return int(self.connection.pragma("data_version"))

    def note(self, error: Exception) -> None:
        """Remember what made SQLite undo the whole group, if it did (a full disk, a failed write)."""
        if self._undone():
            self._undone_by = error

    def release(self) -> None:
        """Keep what the transaction whose turn it is has done, for the group's commit."""
        if self._shared():
            self.connection.execute("RELEASE one")

    def undo(self) -> None:
        """Undo what the transaction whose turn it is has done."""
        if self._undone():
            return
        if not self._shared():
            self._rollback()
            return
        try:
            self.connection.execute("ROLLBACK TO one")
            self.connection.execute("RELEASE one")
        except apsw.Error as error:
            # Rather nothing of the group than a part of what failed.
            self._rollback()
            self.note(error)

    def _shared(self) -> bool:
        """Whether others of the group are before the one whose turn it is, which has a savepoint then."""
        return self._group is not None and bool(self._group.members)

    def leave(self) -> None:
        """Pass the turn on; whoever is last, or a group that is full, has it committed first."""
        group = self._group
        if group is not None and self._undone():
            self._group = None
            group.settle(self._undone_by or Unavailable(headers={"Retry-After": "5"}))
            group = None
        self._undone_by = None
        while self._waiting and self._waiting[0].done():
            self._waiting.popleft()
        if group is not None and (group.full or not self._waiting):
            self._flush(group)
        elif self._waiting:
            self._waiting.popleft().set_result(None)
        else:
            self._busy = False
            if self._idle is not None and not self._idle.done():
                self._idle.set_result(None)

    def _flush(self, group: Group) -> None:
        self._group = None
        if not group.members:
            self._rollback()
            self.leave()
            return
        # A future and not a task: nothing can cancel it, and the turn stays taken until the commit is over.
        loop = asyncio.get_running_loop()
        work = loop.run_in_executor(self._committer, self._commit)
        work.add_done_callback(partial(self._flushed, group))

    def _commit(self) -> float:
        """In the thread: make durable what was done; how many seconds it took, the fsync with it."""
        began = perf_counter()
        self.connection.execute("COMMIT")
        return perf_counter() - began

    def _flushed(self, group: Group, work: asyncio.Future[float]) -> None:
        error = work.exception()
        if error is None:
            observe_commit(work.result(), len(group.members))
            for _, written, _ in group.members:
                if written is None:
                    self._commits += 1
                else:
                    self._commits_to.update(written)
            for tx, *_ in group.members:
                tx.committed()
            group.settle(None)
        else:
            self._rollback()
            group.settle(error if isinstance(error, Exception) else Unavailable())
        self.leave()

    def _rollback(self) -> None:
        with contextlib.suppress(apsw.Error):
            if not self.connection.getautocommit():
                self.connection.execute("ROLLBACK")

    def _undone(self) -> bool:
        try:
            return bool(self.connection.getautocommit())
        except apsw.ConnectionClosedError:
            return True

    # ── the write-ahead log ────────────────────────────────────────────────────────────────────────

    def _on_wal(self, connection: apsw.Connection, _name: str, pages: int) -> int:
        if pages < self._carried:
            self._carried = 0  # it was begun anew
        if pages >= OVERDUE_PAGES:
            with contextlib.suppress(apsw.Error):  # the commit itself has succeeded
                connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)
        elif pages - self._carried >= CHECKPOINT_PAGES and not self._checkpointing:
            self._carried, self._checkpointing = pages, True
            self._checkpointer.submit(self._checkpoint)
        return apsw.SQLITE_OK

    def _checkpoint(self) -> None:
        # On a connection and a thread of its own: the writer does not wait for it.
        try:
            if self._checkpoints is None:
                self._checkpoints = connect(self._path, cache_kib=1_000)
            self._checkpoints.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)
        except apsw.Error:
            pass  # busy, or no room: the log holds everything, and is tried again when it has grown as much
        finally:
            self._checkpointing = False

    async def close(self) -> None:
        """Refuse whoever waits, let the one whose turn it is finish for ten seconds, and let go."""
        self._closed = True
        for turn in self._waiting:
            _refuse(turn, Unavailable(headers={"Retry-After": "5"}))
        loop = asyncio.get_running_loop()
        if self._busy:
            self._idle = loop.create_future()
            await asyncio.wait([self._idle], timeout=CLOSING_SECONDS)
        for pool in (self._committer, self._checkpointer):
            await loop.run_in_executor(None, pool.shutdown)
        if self._checkpoints is not None:
            self._checkpoints.close()
        self.connection.close()
        if self._group is not None:
            self._group.settle(Unavailable(headers={"Retry-After": "5"}))
            self._group = None


def _refuse(turn: asyncio.Future[None], error: Exception) -> None:
    if not turn.done():
        turn.set_exception(error)
