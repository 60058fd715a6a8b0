"""Accounts that end while they themselves, and others, write: none waits for one that waits for it."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import UUID

from tests.rooms.listening_house import check_plays, play, song
from tests.rooms.tracks_house import check_counts, plant
from tests.world import PASSWORD, Person, World, open_world
from veza.core.db import Database
from veza.rooms.tracks import store
from veza.rooms.tracks.jobs import ProcessTrack, give_up

WAITING = (
    "SELECT COUNT(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
)


@asynccontextmanager
async def held(database: Database, track_id: str) -> AsyncIterator[None]:
    """Nobody else gets further than this track; on SQLite nobody writes at all."""
    async with database.write() as tx:
        assert await store.lock(tx, UUID(track_id)) is not None
        yield


async def waiting(database: Database, count: int) -> None:
    """Return when so many wait for a lock, or enough time has gone by for all who ever will.

    However slow it is to ask, nobody shall have waited for a lock in vain, as after five seconds.
    """
    ends = time.monotonic() + 0.4
    while time.monotonic() < ends:
        if database.shared and (await database.rows(WAITING))[0][0] >= count:
            return
        await asyncio.sleep(0.01)


async def leave(person: Person) -> int:
    """End an account; the status."""
    return (await person.delete(f"/users/{person.id}", json={"password": PASSWORD})).status_code


async def like(person: Person, *tracks: str) -> None:
    for track in tracks:
        assert (await person.post(f"/tracks/{track}/like")).status_code == 200


async def check_sums(world: World) -> None:
    """What is kept of likes and comments is what there is."""
    for column, table in (("like_count", "likes"), ("comment_count", "comments")):
        kept = f"SELECT {column}, (SELECT COUNT(*) FROM {table} WHERE track_id = tracks.id) FROM tracks"
        for told, counted in await world.parts.database.rows(kept):
            assert told == counted, column
    await check_counts(world)
    await check_plays(world)


async def test_two_that_like_each_other_leave_at_once(database: Database, tmp_path: Path) -> None:
    """U8, T12, T23: each takes back a like of the other's track, which is about to go itself."""
    async with open_world(database, tmp_path) as world:
        ann, bob, olga = [await world.person(name) for name in ("ann", "bob", "olga")]
        anns, bobs, last = [await plant(world, person) for person in (ann, bob, olga)]
        await like(ann, bobs, last)
        await like(bob, anns, last)
        async with held(database, last):
            leaving = asyncio.gather(leave(ann), leave(bob))
            await waiting(database, 2)
        assert await leaving == [200, 200]
        await check_sums(world)


async def test_whoever_leaves_still_writes(database: Database, tmp_path: Path) -> None:
    """U8, T9, T12, T23: all that is under way is done before, or refused after."""
    async with open_world(database, tmp_path) as world:
        olga, stan = await world.person("olga"), await world.person("stan")
        first, middle, last = [await song(world, olga) for _ in range(3)]
        own = [await song(world, stan) for _ in range(3)]
        hopeless = await plant(world, stan, "processing")
        await like(stan, first, middle, last, *own)
        said = await stan.post(f"/tracks/{first}/comments", json={"content": "Before"})
        comment = said.json()["data"]["comment"]["id"]

        async def fail() -> None:
            async with database.write() as tx:
                await give_up(tx, ProcessTrack(UUID(hopeless), "", ""))

        writes: list[Awaitable[object]] = [
            *(stan.post(f"/tracks/{one}/comments", json={"content": "Bye"}) for one in (first, last, own[0])),
            *(stan.delete(f"/tracks/{one}/like") for one in (first, last)),
            stan.delete(f"/tracks/{own[1]}"),
            stan.post("/tracks/batch/delete", json={"track_ids": own[2:]}),
            stan.delete(f"/comments/{comment}"),
            *(play(person, one) for person in (stan, olga) for one in (first, own[0])),
            olga.post(f"/tracks/{own[0]}/like"),
        ]
        async with held(database, middle):
            leaving = asyncio.create_task(leave(stan))
            await waiting(database, 1)
            writing, failing = asyncio.gather(*writes), asyncio.create_task(fail())
            await waiting(database, len(writes))
        assert await leaving == 200
        await failing
        answers = await writing
        assert {answer.status_code for answer in answers} <= {200, 201, 401, 403, 404}, answers
        await check_sums(world)
        assert await database.rows("SELECT COUNT(*) FROM tracks") == [(3,)]
