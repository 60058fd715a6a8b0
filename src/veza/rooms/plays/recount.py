"""Counting all again: what is kept of plays is what the plays themselves add up to."""

from uuid import UUID

import msgspec

from veza.core.db import Database
from veza.rooms.plays import recount_store as store

_AT_ONCE = 100


class Recount(msgspec.Struct, frozen=True):
    """How many tracks were counted again, and those of which something else was kept."""

    tracks: int
    drifted: tuple[UUID, ...]


async def recount(database: Database) -> Recount:
    """Count the plays of every track again, beside whoever is playing; what drifted is told, not mended."""
    counted, drifted, after = 0, list[UUID](), UUID(int=0)
    while True:
        async with database.read() as view:
            batch = await store.list_played(view, after, _AT_ONCE)
            for track_id in batch:
                if await store.drift(view, track_id):
                    drifted.append(track_id)
        counted += len(batch)
        if len(batch) < _AT_ONCE:
            return Recount(counted, tuple(drifted))
        after = batch[-1]
