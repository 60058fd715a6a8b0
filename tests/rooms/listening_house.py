"""What tests of likes, plays and comments share: tracks of some length, and counting again."""

import asyncio
from datetime import timedelta
from typing import Any

from tests.rooms.tracks_house import plant
from tests.world import Person, World
from veza.rooms.plays.recount import recount
from veza.rooms.tracks import store

LENGTH = 100.0


async def song(world: World, owner: Person, *, public: bool = True, length: float = LENGTH) -> str:
    """A ready track of so many seconds; its id."""
    from uuid import UUID  # noqa: PLC0415 - one use

    track_id = await plant(world, owner, public=public)
    async with world.parts.database.write() as tx:
        track = await store.lock(tx, UUID(track_id))
        assert track is not None
        await store.change(tx, track, {"duration": length})
    return track_id


async def play(person: Person, track_id: str, duration: float = 50, **more: Any) -> Any:
    """Tell of a play; the answer."""
    return await person.post(f"/tracks/{track_id}/play", json={"duration": duration, **more})


async def stats(person: Person, track_id: str) -> tuple[int, int, float, float]:
    """The statistics of a track, in the order of the document."""
    found = (await person.get(f"/tracks/{track_id}/stats")).json()["data"]["stats"]
    return (
        found["total_plays"], found["unique_listeners"], found["average_duration"], found["completion_rate"],
    )  # fmt: skip


async def track(person: Person, track_id: str) -> Any:
    """A track as somebody sees it."""
    return (await person.get(f"/tracks/{track_id}")).json()["data"]["track"]


async def check_plays(world: World) -> None:
    """T22: what is kept of plays is what they add up to."""
    assert (await recount(world.parts.database)).drifted == ()


async def rows_of(world: World, *tables: str) -> dict[str, int]:
    """How many rows each of these tables has."""
    database = world.parts.database
    return {name: (await database.rows(f"SELECT COUNT(*) FROM {name}"))[0][0] for name in tables}


async def until(check: Any, seconds: float = 30) -> None:
    """Wait until ``check`` gives what is true."""
    async with asyncio.timeout(seconds):
        while not await check():  # noqa: ASYNC110 - what is waited for tells nobody
            await asyncio.sleep(0.02)


HALF_A_MINUTE = timedelta(seconds=31)
