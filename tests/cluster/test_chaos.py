"""Each part of a platform on many nodes is killed under load and comes back: nothing acknowledged is lost."""

import asyncio
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from tests.bucket import Bucket
from tests.cluster.load import Load
from tests.cluster.moved import moving, shift_at
from tests.cluster.nodes import Stand
from tests.cluster.spread import SpreadWorld, open_spread_world
from tests.postgres import Postgres, open_postgres
from tests.rooms.chat_house import room
from tests.rooms.listening_house import check_plays, song
from tests.rooms.tracks_house import check_counts, short
from tests.store import Store
from veza.core import clock
from veza.core.db import open_database
from veza.core.db.migrate import upgrade

__all__ = ["short"]

PEOPLE = 4
SONGS = 12
# Seconds: of load before and after each kill, how long a part stays away, and how long its loss may be felt.
BEFORE, AWAY, AFTER, FELT = 2.0, 1.0, 8.0, 5.0
DURABLE = {"fsync": "on", "synchronous_commit": "on", "full_page_writes": "on"}


class Parts:
    """What may be killed."""

    def __init__(self, postgres: Postgres, bucket: Bucket, folder: Path) -> None:
        self.postgres = postgres
        self.bucket = bucket
        self._folder = folder
        self._valkey = self._store()

    def _store(self) -> Store:
        (self._folder / "s").unlink(missing_ok=True)
        return Store(self._folder)

    def start_valkey(self) -> None:
        self._valkey = self._store()
        self._valkey.start()

    def kill_valkey(self) -> None:
        self._valkey._process.kill()
        self._valkey._process.wait()


@pytest.fixture(scope="module")
def parts(stand: Stand, tmp_path_factory: pytest.TempPathFactory) -> "AsyncIterator[Parts]":
    """Engines of their own, which keep what they said they would; ``stand``: with a cluster only."""
    del stand
    with tempfile.TemporaryDirectory() as folder:
        made = Parts(open_postgres(**DURABLE), Bucket(tmp_path_factory.mktemp("s3")), Path(folder))
        made.bucket.start()
        made.start_valkey()
        yield made
        made.kill_valkey()
        made.bucket.kill()
        made.postgres.stop()


@asynccontextmanager
async def open_house(parts: Parts, folder: Path) -> AsyncIterator[SpreadWorld]:
    """Two API processes and two workers on these engines, with nobody's limits."""
    database = open_database(parts.postgres.url)
    await upgrade(database)
    path = parts._folder / "clock"
    stand = Stand(str(parts._folder / "s"), parts.bucket.options, path, shift_at(path))
    with moving(stand.shift):
        async with open_spread_world(stand, database, folder, work=True) as world:
            yield world
    await database.close()


async def test_each_part_is_killed_under_load(
    parts: Parts, short: Callable[[str], Path], tmp_path: Path
) -> None:
    """X2, X6, X14, X15: kill -9, a second away, and back; what was acknowledged is there, once."""
    async with open_house(parts, tmp_path) as world:
        people = [await world.person(f"person{n}") for n in range(PEOPLE)]
        owner = await world.person("olga")
        songs = [await song(world, owner) for _ in range(SONGS)]
        load = Load(people, songs, await room(people[0], *people[1:]), short("a.mp3"))
        api, worker = world.nodes.apis[1], world.nodes.workers[1]
        load.start()
        before = 0
        for name, kill, start in (
            ("api", api.end, api.start),
            ("worker", worker.end, worker.start),
            ("postgres", parts.postgres.kill, parts.postgres.start),
            ("valkey", parts.kill_valkey, parts.start_valkey),
            ("s3", parts.bucket.kill, parts.bucket.start),
        ):
            await asyncio.sleep(BEFORE)
            assert load.troubles[before:] == []
            done = load.done.copy()
            killed = time.monotonic()
            await _do(kill)
            await asyncio.sleep(AWAY)
            await _do(start)
            back = time.monotonic()
            await asyncio.sleep(FELT)
            by_then = dict(load.done)
            await asyncio.sleep(AFTER - FELT)
            felt = load.troubles[before:]
            before = len(load.troubles)
            last = max((one.at for one in felt), default=killed)
            sys.stdout.write(
                f"{name}: back after {back - killed:.1f} s; {len(felt)} errors, the last {last - killed:.1f} "
                f"s after the kill, {last - back:.1f} s after it was back; "
                f"{(load.done - done).total()} changes\n"
            )
            assert not [what for what, count in load.done.items() if count == by_then.get(what, 0)], "hang"
            assert last - back <= FELT, felt[-5:]
            if name in {"api", "worker", "valkey"}:
                assert last - killed <= FELT, felt[-5:]
        await load.stop()
        assert load.troubles[before:] == []
        await load.check()
        with clock.shifted(timedelta(minutes=15)):  # leases of who was killed have ended
            for track_id in load.uploads.values():
                assert (await world.ready(people[0], track_id))["status"] == "ready"
        await check_counts(world)
        await check_plays(world)
        assert "crashed" not in world.nodes.said()


async def _do(what: Callable[[], object]) -> None:
    if asyncio.iscoroutinefunction(what):
        await what()
    else:
        await asyncio.to_thread(what)
