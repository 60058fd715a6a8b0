"""A streaming copy is read from, and never shows less than anybody was told is done."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import asyncpg
import pytest
import sqlalchemy as sa

from tests.core.things import COUNT, NAMES, add, create_sql
from tests.postgres import Postgres, open_postgres
from veza.core.db import Database, Statement, open_database

DURABLE = {"fsync": "on", "synchronous_commit": "on", "full_page_writes": "on"}
IS_COPY = Statement(sa.select(sa.func.pg_is_in_recovery()), bool)
NAP = Statement(sa.select(sa.literal_column("1 FROM pg_sleep(1)")), int)


def folder_of(server: Postgres) -> str:
    return server.url.partition("host=")[2]


@pytest.fixture(scope="module")
def copied() -> Iterator[tuple[Postgres, Postgres]]:
    """A server, and one that follows it."""
    leader = open_postgres(**DURABLE)
    follower = open_postgres(follow=folder_of(leader), **DURABLE)
    yield leader, follower
    follower.stop()
    leader.stop()


@asynccontextmanager
async def nodes(copied: tuple[Postgres, Postgres]) -> AsyncIterator[tuple[Database, Database]]:
    """What two processes have; the table of things is empty."""
    leader, follower = copied
    one, other = (open_database(leader.url, read_url=follower.url) for _ in range(2))
    await one.script(f"DROP TABLE IF EXISTS things; {create_sql('postgresql')}")
    yield one, other
    for node in (one, other):
        await node.close()


async def write(node: Database, name: str) -> None:
    async with node.write() as tx:
        await add(tx, name)


async def look(node: Database) -> tuple[bool, list[str]]:
    """Whether a copy answered, and the names."""
    async with node.look() as view:
        found = await view.all(NAMES)
        return bool(await view.first(IS_COPY)), found


async def test_a_look_shows_all_that_was_acknowledged_at_any_node(copied: tuple[Postgres, Postgres]) -> None:
    """One after the other and all at once; nearly all of it is read from the copy."""
    async with nodes(copied) as (one, other):
        by_copy = 0
        for number in range(200):
            await write(one, f"a{number:03}")
            copy, found = await look(other)
            by_copy += copy
            assert len(found) == number + 1

        async def go(who: int) -> int:
            here, there = (one, other) if who % 2 else (other, one)
            copies = 0
            for number in range(40):
                name = f"b{who}-{number}"
                await write(here, name)
                copy, found = await look(there)
                copies += copy
                assert name in found
            return copies

        by_copy += sum(await asyncio.gather(*(go(who) for who in range(12))))
        assert by_copy > 600  # of 680


async def test_a_copy_that_falls_behind_is_not_believed(copied: tuple[Postgres, Postgres]) -> None:
    follower = await asyncpg.connect(copied[1].url)
    async with nodes(copied) as (one, other):
        await write(one, "a")
        assert await look(other) == (True, ["a"])
        await follower.execute("SELECT pg_wal_replay_pause()")
        await write(one, "b")
        assert await look(other) == (False, ["a", "b"])
        await follower.execute("SELECT pg_wal_replay_resume()")
        async with asyncio.timeout(30):
            while await look(other) != (True, ["a", "b"]):  # noqa: ASYNC110 - it tells nobody
                await asyncio.sleep(0.05)
    await follower.close()


async def test_a_copy_that_dies_is_missed_by_nobody(copied: tuple[Postgres, Postgres]) -> None:
    """X2: what was asked of it is asked of the primary; once it is back it is asked again."""
    async with nodes(copied) as (one, other):
        await write(one, "a")

        async def nap() -> int:
            async with other.look() as view:
                await view.first(NAP)
                return await view.first(COUNT) or 0

        napping = [asyncio.create_task(nap()) for _ in range(5)]
        await asyncio.sleep(0.3)
        await asyncio.to_thread(copied[1].kill)
        assert await look(other) == (False, ["a"])
        assert await asyncio.gather(*napping) == [1] * 5
        await write(one, "b")
        await asyncio.to_thread(copied[1].start)
        async with asyncio.timeout(15):
            while await look(other) != (True, ["a", "b"]):  # noqa: ASYNC110 - it tells nobody
                await asyncio.sleep(0.1)
