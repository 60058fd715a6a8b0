"""SQLite beside another process that writes now and then: what it commits is noticed."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.core.things import add, names, store
from veza.core.db import Database, sqlite_writer
from veza.core.db.sqlite import LOOK_SECONDS, SqliteDatabase

__all__ = ["store"]

pytestmark = pytest.mark.parametrize("dialect", ["sqlite"])

WAIT = 30.0


@pytest.fixture
def here(store: Database) -> SqliteDatabase:
    assert isinstance(store, SqliteDatabase)
    return store


@asynccontextmanager
async def another(path: Path) -> AsyncIterator[SqliteDatabase]:
    """What another process has: connections of its own to the same file."""
    opened = SqliteDatabase(path)
    yield opened
    await opened.close()


async def write(database: Database, name: str, *, fill: int = 0) -> None:
    async with database.write() as tx:
        await add(tx, name, data="x" * fill)


async def test_what_another_process_commits_moves_the_version_and_calls_every_listener(
    here: SqliteDatabase,
) -> None:
    """X9: whatever is remembered of the rows is forgotten, since another may have changed them."""
    heard: list[str] = []
    here.listen("jobs", lambda: heard.append("jobs"))
    here.listen("accounts", lambda: heard.append("accounts"))
    await here.start()
    async with another(here.path) as other:
        before = here.version(["things"])
        await write(other, "theirs")
        async with asyncio.timeout(WAIT):
            while here.version(["things"]) == before:  # noqa: ASYNC110 - nobody tells
                await asyncio.sleep(LOOK_SECONDS / 5)
    assert sorted(heard) == ["accounts", "jobs"]
    assert await names(here) == ["theirs"]


async def test_its_own_commits_and_checkpoints_are_not_taken_for_another_s(here: SqliteDatabase) -> None:
    heard: list[str] = []
    await write(here, "the table was made on another connection")
    before = here.version(["things"])
    here.listen("jobs", lambda: heard.append("jobs"))
    await here.start()
    for number in range(25):  # 10 MB: enough for checkpoints, after which the log begins anew
        await write(here, str(number), fill=400_000)
    await asyncio.sleep(LOOK_SECONDS * 2)
    assert (heard, here.version(["things"])) == ([], (before or 0) + 25)


async def test_who_writes_notices_before_its_own_change(here: SqliteDatabase) -> None:
    """Without waiting for the next look: a transaction begins on what is really there."""
    heard: list[str] = []
    here.listen("jobs", lambda: heard.append("jobs"))
    async with another(here.path) as other:
        await write(other, "theirs")
        await write(here, "ours")
    assert heard == ["jobs"]


async def test_two_that_write_at_once_take_turns(
    here: SqliteDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    """X1: nobody is refused, and nothing is lost."""
    monkeypatch.setattr(
        sqlite_writer, "PATIENCE", 120.0
    )  # a disk may need half a second for each of a hundred
    await here.start()

    async def many(database: Database, name: str) -> None:
        for number in range(60):
            await write(database, f"{name}{number:02}")

    async with another(here.path) as other:
        await asyncio.gather(many(here, "a"), many(other, "b"), many(here, "c"))
    assert len(await names(here)) == 180
