"""A streaming copy is read from, and never shows less than anybody was told is done."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import asyncpg
import pytest
import sqlalchemy as sa

from tests.cluster.nodes import Stand
from tests.cluster.spread import open_spread_world
from tests.conftest import create_database
from tests.core.things import COUNT, NAMES, add, create_sql
from tests.postgres import Postgres, open_postgres
from veza.core.db import Database, Statement, open_database
from veza.core.db.migrate import upgrade
from veza.core.db.replica import PATIENCE, REST, Replica
from veza.doctor import replica
from veza.doctor.replica import look_at_copy
from veza.settings import Settings

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


async def test_what_nodes_answer_is_read_from_the_copy(
    copied: tuple[Postgres, Postgres], stand: Stand, tmp_path: Path
) -> None:
    """Whoever is told of a change at one node sees it at the other, and what they see is the copy's."""
    leader, follower = copied
    url = await create_database(leader.url)
    database, copy = open_database(url), url.replace(folder_of(leader), folder_of(follower))
    await upgrade(database)
    async with open_spread_world(stand, database, tmp_path, database_read_url=copy) as world:
        ada = await world.person("ada")
        here, there = world.at(0, ada), world.at(1, ada)
        before = await _reads(copy)
        for number in range(50):
            made = (await here.post("/playlists", json={"title": f"list {number}"})).json()["data"]
            path = f"/playlists/{made['playlist']['id']}"
            assert (await there.get(path)).json()["data"]["playlist"]["title"] == f"list {number}"
            assert (await there.get("/playlists")).json()["data"]["pagination"]["total"] == number + 1
        await asyncio.sleep(1.1)  # a session says what it did once a second, as it does more
        await there.get("/playlists")
        assert await _reads(copy) - before > 50  # of 100
    await database.close()


async def _reads(url: str) -> int:
    """How many transactions there were in this database."""
    asking = await asyncpg.connect(url)
    await asyncio.sleep(1.5)  # a session that rests says after a second what it did
    query = "SELECT xact_commit FROM pg_stat_database WHERE datname = current_database()"
    found = await asking.fetchval(query)
    await asking.close()
    return int(found)


async def test_a_copy_that_falls_behind_is_not_believed(
    copied: tuple[Postgres, Postgres], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor do many wait for it; and an operator who asks is told."""
    follower = await asyncpg.connect(copied[1].url)
    async with nodes(copied) as (one, other):
        await write(one, "a")
        assert await look(other) == (True, ["a"])
        settings = Settings(database_url=copied[0].url, database_read_url=copied[1].url)
        assert [one.level for one in await look_at_copy(settings)] == ["ok"]
        await follower.execute("SELECT pg_wal_replay_pause()")
        await write(one, "b")
        monkeypatch.setattr(replica, "_NEAR", 0.1)
        (finding,) = await look_at_copy(settings)
        assert (finding.level, "does not catch up" in finding.found) == ("warning", True)
        assert await look(other) == (False, ["a", "b"])
        # Nobody else waits for it meanwhile, but now and then one.
        began = asyncio.get_running_loop().time()
        for _ in range(40):
            assert await look(other) == (False, ["a", "b"])
        assert asyncio.get_running_loop().time() - began < 40 * PATIENCE * 0.8
        await follower.execute("SELECT pg_wal_replay_resume()")
        async with asyncio.timeout(30):
            while await look(other) != (True, ["a", "b"]):  # noqa: ASYNC110 - it tells nobody
                await asyncio.sleep(0.05)
    await follower.close()


@asynccontextmanager
async def muffled(server: Postgres) -> AsyncIterator[tuple[str, asyncio.Event]]:
    """The server behind a wire that carries nothing more, and ends nothing either, once the event is set."""
    mute, carrying, held = asyncio.Event(), set[asyncio.Task[None]](), list[asyncio.StreamWriter]()

    async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65_536):
            if mute.is_set():
                await asyncio.Future()
            writer.write(data)

    async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        ends = await asyncio.open_unix_connection(f"{folder_of(server)}/.s.PGSQL.5432")
        held.extend((ends[1], writer))
        carrying.update(asyncio.create_task(carry(*pair)) for pair in ((reader, ends[1]), (ends[0], writer)))

    wire = await asyncio.start_server(take, "127.0.0.1", 0)
    port = wire.sockets[0].getsockname()[1]
    yield f"postgresql://postgres@127.0.0.1:{port}/postgres?sslmode=disable", mute
    wire.close()
    for task in carrying:
        task.cancel()
    for end in held:
        end.close()


async def test_a_copy_that_hangs_holds_up_nobody_for_long(copied: tuple[Postgres, Postgres]) -> None:
    """X2: as behind a wire that was cut, where nothing comes and nothing ends."""
    async with nodes(copied) as (one, _), muffled(copied[1]) as (wire, mute):
        other = open_database(copied[0].url, read_url=wire)
        await write(one, "a")
        async with asyncio.timeout(5):
            while await look(other) != (True, ["a"]):  # noqa: ASYNC110 - it tells nobody
                await asyncio.sleep(0.05)
        await write(one, "b")
        mute.set()
        began = asyncio.get_running_loop().time()
        assert await asyncio.gather(*(look(other) for _ in range(20))) == [(False, ["a", "b"])] * 20
        assert asyncio.get_running_loop().time() - began < 3
        await other.close()


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


async def test_a_copy_that_stays_behind_is_left_alone_for_a_second_at_most() -> None:
    """X2: each time anew, also after an hour: what it is counted with stays a number."""

    async def nobody(*_: Any) -> Any:
        raise AssertionError

    copy, now = Replica("", 1, nobody, nobody), asyncio.get_running_loop().time
    for _ in range(2_000):
        copy._leave()
        assert copy._rests_until <= now() + REST
        copy._rests_until = float("-inf")
    assert copy._late > 1
