"""SQLite's one writer: turns, shared commits, a full disk, and a process that is killed."""

# ruff: noqa: PT012 - what must raise is a whole transaction

import asyncio
import contextlib
import os
import random
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import apsw
import pytest
import sqlalchemy as sa

from tests.core.things import ALL, COUNT, add, names, store
from veza.core.db import Database, Statement, UniqueViolation, sqlite_base, sqlite_writer
from veza.core.db.sqlite import READERS, SqliteDatabase
from veza.core.db.sqlite_tx import AT_A_TIME
from veza.core.errors import DatabaseBusy, InsufficientStorage, Unavailable

__all__ = ["store"]

pytestmark = pytest.mark.parametrize("dialect", ["sqlite"])

ENDLESS = Statement(
    sa.text(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT sum(i) AS i FROM n"
    ).columns(i=sa.Integer),
    int,
    heavy=True,
)


@pytest.fixture
def sqlite(store: Database) -> SqliteDatabase:
    assert isinstance(store, SqliteDatabase)
    return store


async def write(database: Database, name: str, *, fill: int = 0) -> None:
    async with database.write() as tx:
        await add(tx, name, data="x" * fill)


class Commits:
    """Counts what a connection commits."""

    def __init__(self, database: SqliteDatabase) -> None:
        self.count = 0
        database.writer.connection.set_commit_hook(self._hook)

    def _hook(self) -> bool:
        self.count += 1
        return False


# ── groups ─────────────────────────────────────────────────────────────────────────────────────────────


async def test_those_who_wait_share_a_commit(sqlite: SqliteDatabase, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite_writer, "GROUP_SECONDS", 60.0)  # however slow they are
    commits = Commits(sqlite)
    await asyncio.gather(*(write(sqlite, f"n{number:03}") for number in range(100)))
    assert len(await names(sqlite)) == 100
    assert 1 <= commits.count <= 10


async def test_one_alone_does_not_wait_for_others(sqlite: SqliteDatabase) -> None:
    commits = Commits(sqlite)
    for name in "abc":
        await write(sqlite, name)
    assert commits.count == 3


async def test_a_failure_within_a_group_is_undone_alone(sqlite: SqliteDatabase) -> None:
    results = await asyncio.gather(
        *(write(sqlite, name) for name in ("a", "b", "A", "c", "B", "d")), return_exceptions=True
    )
    assert [type(result) for result in results] == [
        type(None), type(None), UniqueViolation, type(None), UniqueViolation, type(None)
    ]  # fmt: skip
    assert await names(sqlite) == ["a", "b", "c", "d"]


async def test_a_group_that_grows_without_end_is_committed(
    sqlite: SqliteDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite_writer, "GROUP_SIZE", 8)
    commits = Commits(sqlite)
    await asyncio.gather(*(write(sqlite, f"n{number:03}") for number in range(64)))
    assert commits.count >= 8


async def test_turns_come_in_the_order_of_asking(sqlite: SqliteDatabase) -> None:
    order: list[int] = []

    async def ask(number: int) -> None:
        async with sqlite.write() as tx:
            await add(tx, str(number))
            order.append(number)

    await asyncio.gather(*map(ask, range(50)))
    assert order == list(range(50))


async def test_who_goes_away_in_the_moment_of_the_turn_passes_it_on(sqlite: SqliteDatabase) -> None:
    tx = sqlite.write()
    await add(tx, "a")
    leaving = asyncio.create_task(write(sqlite, "b"))
    await asyncio.sleep(0)
    await tx.close()
    leaving.cancel()
    async with asyncio.timeout(30):
        await write(sqlite, "c")
    assert await names(sqlite) == ["c"]


async def test_many_statements_keep_the_writer_and_not_the_loop(sqlite: SqliteDatabase) -> None:
    """X1: others read meanwhile what was there before, and whoever wants to write comes after all of it."""
    seen: list[int | None] = []

    async def look() -> None:
        while True:
            async with sqlite.read() as view:
                seen.append(await view.first(COUNT))
            await asyncio.sleep(0)

    looking = asyncio.create_task(look())
    async with sqlite.write() as tx:
        await add(tx, "first")
        later = asyncio.create_task(write(sqlite, "later"))
        for number in range(5 * AT_A_TIME):
            await add(tx, f"n{number:04}")
        assert len(seen) >= 5
        assert set(seen) == {0}
        assert await tx.first(COUNT) == 5 * AT_A_TIME + 1
    looking.cancel()
    await later
    assert len(await names(sqlite)) == 5 * AT_A_TIME + 2


# ── waiting ────────────────────────────────────────────────────────────────────────────────────────────


async def test_who_waits_too_long_is_told(sqlite: SqliteDatabase, monkeypatch: pytest.MonkeyPatch) -> None:
    """X1: busy, said with Retry-After; the write itself goes on and is kept."""
    monkeypatch.setattr(sqlite_writer, "PATIENCE", 0.1)
    async with sqlite.write() as tx:
        await add(tx, "a")
        waiting = asyncio.create_task(write(sqlite, "b"))
        with pytest.raises(DatabaseBusy) as caught:
            await waiting
        assert caught.value.headers == {"Retry-After": "1"}
    await write(sqlite, "c")
    assert await names(sqlite) == ["a", "c"]


async def test_another_process_with_the_lock_does_not_stop_the_loop(
    sqlite: SqliteDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    """X1: a lock held from outside."""
    moment = 0.0
    monkeypatch.setattr(sqlite_writer, "perf_counter", lambda: moment)
    outside = sqlite_base.connect(sqlite.path)
    outside.execute("BEGIN IMMEDIATE")
    try:
        refused = asyncio.create_task(write(sqlite, "a"))
        await asyncio.sleep(0.02)
        assert not refused.done()
        moment += sqlite_writer.PATIENCE + 0.1
        with pytest.raises(DatabaseBusy):
            await refused
        soon = asyncio.create_task(write(sqlite, "b"))
        await asyncio.sleep(0.03)
        outside.execute("ROLLBACK")
        await soon
    finally:
        outside.close()
    assert await names(sqlite) == ["b"]


async def test_closing_refuses_those_who_wait_and_finishes_the_one_who_works(
    sqlite: SqliteDatabase, database_url: str
) -> None:
    other = SqliteDatabase(Path(database_url.removeprefix("sqlite:///")))
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def work() -> None:
        async with other.write() as tx:
            await add(tx, "a")
            begun.set()
            await go_on.wait()

    working = asyncio.create_task(work())
    await begun.wait()
    waiting = asyncio.create_task(write(other, "b"))
    await asyncio.sleep(0)
    closing = asyncio.create_task(other.close())
    with pytest.raises(Unavailable):
        await waiting
    go_on.set()
    async with asyncio.timeout(30):
        await working
        await closing
    with pytest.raises(Unavailable):
        await write(other, "c")
    assert await names(sqlite) == ["a"]


async def test_closing_does_not_wait_for_ever(
    sqlite: SqliteDatabase, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite_writer, "CLOSING_SECONDS", 0.1)
    other = SqliteDatabase(Path(database_url.removeprefix("sqlite:///")))
    stuck = other.write()
    await add(stuck, "a")
    async with asyncio.timeout(30):
        await other.close()
    with pytest.raises(Unavailable):
        await add(stuck, "b")
    await stuck.close()
    assert await names(sqlite) == []


# ── no room ────────────────────────────────────────────────────────────────────────────────────────────


def shrink(database: SqliteDatabase, spare: int) -> None:
    """Leave room for so many pages more; None at all is felt at a statement, a failed write at the commit."""
    pages = int(str(database.writer.connection.pragma("page_count")))
    database.writer.connection.pragma("max_page_count", pages + spare)


def grow(database: SqliteDatabase) -> None:
    database.writer.connection.pragma("max_page_count", 1_000_000)


@pytest.mark.parametrize("spare", range(6))
async def test_a_full_disk_fools_nobody(sqlite: SqliteDatabase, spare: int) -> None:
    """X5: of those in one group some fit and some do not; each is told the truth, and later all is well."""
    shrink(sqlite, spare)
    wanted = [f"n{number:02}" for number in range(20)]
    async with asyncio.timeout(30):
        results = await asyncio.gather(
            *(write(sqlite, name, fill=3_000) for name in wanted), return_exceptions=True
        )
    told = [name for name, result in zip(wanted, results, strict=True) if result is None]
    assert await names(sqlite) == told
    assert {type(result) for result in results} - {type(None)} == {InsufficientStorage}
    grow(sqlite)
    async with asyncio.timeout(30):
        await write(sqlite, "later")
    assert await names(sqlite) == sorted([*told, "later"])


async def test_a_body_that_ignores_a_full_disk_writes_nothing_more(sqlite: SqliteDatabase) -> None:
    """X5: SQLite may have undone the transaction; a later statement must not be one of its own."""
    await write(sqlite, "before")
    shrink(sqlite, 0)
    with pytest.raises(RuntimeError, match="only be undone"):
        async with sqlite.write() as tx:
            await add(tx, "a")
            with contextlib.suppress(InsufficientStorage):
                await add(tx, "big", data="x" * 100_000)
            grow(sqlite)
            with contextlib.suppress(RuntimeError):
                await add(tx, "b")
    await write(sqlite, "later")
    assert await names(sqlite) == ["before", "later"]


@pytest.mark.parametrize(
    ("failure", "meaning"),
    [(apsw.FullError("full"), InsufficientStorage), (apsw.IOError("fsync"), Unavailable)],
)
async def test_a_commit_that_fails_is_a_no_to_the_whole_group(
    sqlite: SqliteDatabase, failure: apsw.Error, meaning: type[Exception]
) -> None:
    """C22, X5: whoever shared the commit is told that it failed, and none of it is there."""

    def fail() -> bool:
        raise failure

    sqlite.writer.connection.set_commit_hook(fail)
    told: list[str] = []

    async def write_and_tell(name: str) -> None:
        async with sqlite.write() as tx:
            await add(tx, name)
            tx.on_commit(lambda: told.append(name))

    async with asyncio.timeout(30):
        results = await asyncio.gather(*map(write_and_tell, "abc"), return_exceptions=True)
    assert [type(result) for result in results] == [meaning] * 3
    sqlite.writer.connection.set_commit_hook(None)
    await write(sqlite, "later")
    assert await names(sqlite) == ["later"]
    assert told == []


# ── the write-ahead log ────────────────────────────────────────────────────────────────────────────────


async def test_the_log_stays_small_under_writers_that_never_pause(
    sqlite: SqliteDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite_writer, "CHECKPOINT_PAGES", 50)
    monkeypatch.setattr(sqlite_writer, "OVERDUE_PAGES", 200)
    # However quick they are: none that is made beside them ever catches up.
    monkeypatch.setattr(sqlite.writer, "_checkpoint", lambda: None)

    async def keep_writing(name: str) -> None:
        for number in range(60):
            await write(sqlite, f"{name}{number}", fill=8_000)

    await asyncio.gather(*map(keep_writing, "abcdefgh"))
    log = os.stat(f"{sqlite.path}-wal").st_size  # noqa: PTH116 - at once
    assert log < 1_000 * 4096, f"{log} bytes"
    async with sqlite.read() as view:
        assert await view.first(COUNT) == 480


async def test_a_log_that_only_grows_has_a_checkpoint_for_each_stretch_of_it(
    sqlite: SqliteDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite_writer, "CHECKPOINT_PAGES", 100)
    checkpoint, asked = sqlite.writer._checkpoint, 0

    def count() -> None:
        nonlocal asked
        asked += 1
        checkpoint()

    monkeypatch.setattr(sqlite.writer, "_checkpoint", count)
    reader = sqlite_base.connect(sqlite.path)
    reader.execute("BEGIN")
    reader.execute("SELECT count(*) FROM things").fetchall()  # so it is never begun anew
    try:
        for number in range(40):
            await write(sqlite, str(number), fill=40_000)
            # Behind one that was asked for.
            await asyncio.wrap_future(sqlite.writer._checkpointer.submit(lambda: None))
        pages = os.stat(f"{sqlite.path}-wal").st_size // 4096  # noqa: PTH116 - at once
    finally:
        reader.close()
    assert pages > 400
    assert pages // (100 + 20) <= asked <= pages // 100  # a write has fewer than 20


async def test_a_checkpoint_that_fails_fails_nobody(
    sqlite: SqliteDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite_writer, "CHECKPOINT_PAGES", 1)
    blocker = sqlite_base.connect(sqlite.path)
    blocker.execute("BEGIN")
    blocker.execute("SELECT count(*) FROM things").fetchall()
    try:
        for name in "abc":
            await write(sqlite, name)
    finally:
        blocker.close()
    assert await names(sqlite) == ["a", "b", "c"]


# ── reading in threads ─────────────────────────────────────────────────────────────────────────────────


async def test_a_heavy_query_leaves_the_loop_free_and_can_be_cancelled(sqlite: SqliteDatabase) -> None:
    async def ask() -> int | None:
        async with sqlite.read() as view:
            return await view.first(ENDLESS)

    asking = [asyncio.create_task(ask()) for _ in range(5)]
    await asyncio.sleep(0.05)
    await write(sqlite, "meanwhile")
    for task in asking:
        task.cancel()
    async with asyncio.timeout(30):
        await asyncio.wait(asking)
        assert all(task.cancelled() for task in asking)
        while len(sqlite._heavy_idle) < 3:  # noqa: ASYNC110 - a thread gives them back
            await asyncio.sleep(0.01)


async def test_closing_stops_heavy_queries(sqlite: SqliteDatabase) -> None:
    other = SqliteDatabase(sqlite.path)

    async def ask() -> int | None:
        async with other.read() as view:
            return await view.first(ENDLESS)

    asking = asyncio.create_task(ask())
    await asyncio.sleep(0.05)
    async with asyncio.timeout(30):
        await other.close()
        with pytest.raises(Unavailable):
            await asking


@pytest.mark.parametrize("how", ["cancelled", "closed"])
async def test_a_heavy_query_that_has_not_begun_is_stopped_too(sqlite: SqliteDatabase, how: str) -> None:
    """X13: its thread may be slow to come, and what is stopped before it has begun would go on for ever."""
    other, begin = SqliteDatabase(sqlite.path), threading.Event()
    for _ in range(READERS):
        other._readers.submit(begin.wait, 60)

    async def ask() -> int | None:
        async with other.read() as view:
            return await view.first(ENDLESS)

    asking = asyncio.create_task(ask())
    await asyncio.sleep(0)
    closing = asyncio.create_task(other.close()) if how == "closed" else None
    if closing is None:
        asking.cancel()
    for _ in range(10):
        await asyncio.sleep(0.01)
    begin.set()
    async with asyncio.timeout(30):
        await asyncio.wait([asking])
        while how == "cancelled" and not other._heavy_idle:  # noqa: ASYNC110 - as above
            await asyncio.sleep(0.01)
        await (closing or other.close())
    assert asking.cancelled() if how == "cancelled" else isinstance(asking.exception(), Unavailable)


async def test_an_old_sqlite_is_refused(
    sqlite: SqliteDatabase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(apsw, "sqlite_lib_version", lambda: "3.51.2")
    with pytest.raises(RuntimeError, match=r"3\.51\.2"):
        sqlite_base.connect(tmp_path / "old.db")


# ── killed ─────────────────────────────────────────────────────────────────────────────────────────────

# Imports once, and then forks a process to be killed for each line it is given.
WRITERS = """
import asyncio, os, sys
from tests.core.things import add
from veza.core.db import open_database

async def keep_writing(database, name):
    for number in range(1_000_000):
        async with database.write() as tx:
            await add(tx, f"{name}-{number}", number=1)
            await add(tx, f"{name}-{number}-too", number=2)
        os.write(1, f"{name}-{number}\\n".encode())

async def main(generation):
    database = open_database(sys.argv[1])
    await asyncio.gather(*(keep_writing(database, f"{generation}-{i}") for i in range(8)))

for line in sys.stdin:
    pid = os.fork()
    if pid == 0:
        os.write(1, f"{os.getpid()}\\n".encode())
        asyncio.run(main(line.strip()))
    os.waitpid(pid, 0)
    os.write(1, b"gone\\n")
"""


def kill_writers(url: str, times: int) -> set[str]:
    """Start and kill so many processes; return what they were told is kept."""
    acknowledged: set[str] = set()
    with subprocess.Popen(
        [sys.executable, "-c", WRITERS, url],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
    ) as writers:
        assert writers.stdin is not None
        assert writers.stdout is not None
        for generation in range(times):
            writers.stdin.write(f"{generation}\n")
            writers.stdin.flush()
            pid = int(writers.stdout.readline())
            acknowledged |= {writers.stdout.readline().strip() for _ in range(1 + generation)}
            time.sleep(random.uniform(0, 0.01))  # into whatever they are doing
            os.kill(pid, signal.SIGKILL)
            acknowledged |= set(map(str.strip, iter(writers.stdout.readline, "gone\n")))
        writers.stdin.close()
    return acknowledged


async def test_what_was_acknowledged_outlives_a_kill(sqlite: SqliteDatabase) -> None:
    """X14: 30 times; eight tasks in each process write two rows at a time."""
    acknowledged = await asyncio.to_thread(kill_writers, f"sqlite:///{sqlite.path}", 30)
    async with sqlite.read() as view:
        found = {thing.name for thing in await view.all(ALL)}
    assert len(acknowledged) >= 465
    assert acknowledged <= found, "lost"
    firsts = {name for name in found if not name.endswith("-too")}
    assert found - firsts == {f"{name}-too" for name in firsts}, "half"
    assert await sqlite.rows("PRAGMA integrity_check") == [("ok",)]
