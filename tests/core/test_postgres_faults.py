"""PostgreSQL fails, and the next transaction works."""

# ruff: noqa: PT012 - what must raise is a whole transaction

import asyncio
from collections.abc import AsyncIterator

import pytest
import sqlalchemy as sa

from tests.core.things import ADD, COUNT, RENAME, add, names, row, store
from veza.core.db import Database, Statement, open_database
from veza.core.db.postgres import PostgresDatabase
from veza.core.errors import DatabaseBusy, Unavailable

__all__ = ["store"]

pytestmark = pytest.mark.parametrize("dialect", ["postgresql"])

KILL = (
    "SELECT pg_terminate_backend(pid, 30000) FROM pg_stat_activity"
    " WHERE datname = current_database() AND pid <> pg_backend_pid()"
)
SLEEP = Statement(sa.select(sa.literal_column("1 FROM pg_sleep(30)")), int)


@pytest.fixture
async def other(store: Database, database_url: str) -> AsyncIterator[Database]:
    """Another process."""
    opened = open_database(database_url, pool=2)
    yield opened
    await opened.close()


async def write(database: Database, name: str) -> None:
    async with database.write() as tx:
        await add(tx, name)


async def test_a_connection_lost_within_a_transaction_is_a_503_and_the_pool_heals(store: Database) -> None:
    """X2: the server ends every connection."""
    await asyncio.gather(*(write(store, name) for name in "abcd"))
    with pytest.raises(Unavailable):
        async with store.write() as tx:
            await add(tx, "lost")
            await store.rows(KILL)
            await add(tx, "lost too")
    await asyncio.gather(*(write(store, name) for name in "efgh"))
    assert await names(store) == list("abcdefgh")


async def test_a_connection_lost_before_the_commit_is_no_yes(store: Database) -> None:
    with pytest.raises(Unavailable):
        async with store.write() as tx:
            await add(tx, "lost")
            await store.rows(KILL)
    async with store.read() as view:
        assert await view.first(COUNT) == 0


async def test_a_deadlock_is_said_to_one_and_spares_the_other(store: Database) -> None:
    first, second = row("a"), row("b")
    async with store.write() as tx:
        await tx.run_many(ADD, [first, second])
    both = asyncio.Barrier(2)

    async def rename(one: object, two: object, name: str) -> None:
        async with store.write() as tx:
            await tx.run(RENAME, thing_id=one, new=f"{name}1")
            await both.wait()
            await tx.run(RENAME, thing_id=two, new=f"{name}2")

    async with asyncio.timeout(30):
        results = await asyncio.gather(
            rename(first["id"], second["id"], "x"),
            rename(second["id"], first["id"], "y"),
            return_exceptions=True,
        )
    assert [type(result) for result in results if result] == [DatabaseBusy]
    assert await names(store) in (["x1", "x2"], ["y1", "y2"])


async def test_a_lock_held_too_long_is_busy(store: Database, other: Database) -> None:
    """X1."""
    async with store.write() as tx:
        thing_id = await add(tx, "a")
    limit: Statement[None] = Statement(sa.text("SET LOCAL lock_timeout = '50ms'"))
    async with store.write() as tx:
        await tx.run(RENAME, thing_id=thing_id, new="b")
        waiting = asyncio.create_task(_rename(other, limit, thing_id))
        with pytest.raises(DatabaseBusy):
            await waiting
    assert await names(store) == ["b"]


async def _rename(database: Database, limit: Statement[None], thing_id: object) -> None:
    async with database.write() as tx:
        await tx.run(limit)
        await tx.run(RENAME, thing_id=thing_id, new="c")


async def test_a_transaction_the_server_gave_up_is_never_a_yes(store: Database) -> None:
    """A COMMIT of a failed transaction succeeds in PostgreSQL's eyes, and keeps nothing."""
    with pytest.raises((RuntimeError, Unavailable)):
        async with store.write() as tx:
            await add(tx, "a")
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.05):
                    await tx.first(SLEEP)
    assert await names(store) == []


async def test_many_more_callers_than_connections(other: Database) -> None:
    async with asyncio.timeout(30):
        await asyncio.gather(*(write(other, f"n{number:03}") for number in range(100)))
    assert len(await names(other)) == 100


async def test_cancelled_statements_give_their_connections_back(other: Database) -> None:
    async def ask() -> None:
        async with other.write() as tx:
            await tx.first(SLEEP)

    async with asyncio.timeout(30):
        for _ in range(3):
            asking = [asyncio.create_task(ask()) for _ in range(6)]
            await asyncio.sleep(0.05)
            for task in asking:
                task.cancel()
            await asyncio.wait(asking)
        await asyncio.gather(*(write(other, name) for name in "abcd"))
    assert await names(other) == list("abcd")


async def test_a_notice_reaches_other_processes_also_after_a_lost_connection(
    store: Database, other: Database
) -> None:
    woken, late = asyncio.Event(), asyncio.Event()
    other.listen("news", woken.set)
    await other.start()
    async with asyncio.timeout(30):
        await woken.wait()  # listening begins with one, for what was missed
        other.listen("late", late.set)
        await late.wait()
    for _ in range(2):
        woken.clear()
        late.clear()
        async with store.write() as tx:
            await add(tx, "a" if not await tx.first(COUNT) else "b")
            tx.notify("news")
            tx.notify("late")
        async with asyncio.timeout(30):
            await woken.wait()
            await late.wait()
        woken.clear()
        await store.rows(KILL)
        async with asyncio.timeout(30):
            await woken.wait()


async def test_a_notice_is_not_sent_by_what_is_undone(store: Database, other: Database) -> None:
    woken = asyncio.Event()
    other.listen("news", woken.set)
    await other.start()
    async with asyncio.timeout(30):
        await woken.wait()
    woken.clear()
    tx = store.write()
    await add(tx, "a")
    tx.notify("news")
    await tx.close()
    await asyncio.sleep(0.1)
    assert not woken.is_set()


async def test_a_server_that_is_not_there_is_unavailable(dialect: str) -> None:
    database = open_database("postgresql://nobody@127.0.0.1:1/none")
    assert isinstance(database, PostgresDatabase)
    with pytest.raises(Unavailable):
        await database.check()
    with pytest.raises(Unavailable):
        await write(database, "a")
    await database.close()


async def test_a_closed_database_stays_closed(other: Database) -> None:
    """Also where it is opened in that very moment: a connection would be left for good."""
    opening = asyncio.create_task(names(other))
    await asyncio.sleep(0)
    await other.close()
    for late in (opening, names(other)):
        with pytest.raises(Unavailable):
            await late
