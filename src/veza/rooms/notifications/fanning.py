"""Telling followers of a new track: in pieces, one after another, so that nobody waits for many.

Each piece is a transaction that tells some of them, strikes its job off and queues the next: so each follower
is told once, wherever it is cut off, and whoever began to follow since then is not.
"""

from datetime import timedelta
from uuid import UUID

from veza.access.actor import GUEST
from veza.core import clock
from veza.core.db import Database, Tx
from veza.core.ids import new_id
from veza.core.jobs import Job, enqueue, finish
from veza.core.live import Live
from veza.rooms.accounts import service as accounts
from veza.rooms.following import service as following
from veza.rooms.notifications import boxes_store, preferences_store, releases_store, store
from veza.rooms.notifications.kinds import FAN_OUT, FanOut
from veza.rooms.notifications.store import Row
from veza.rooms.notifications.telling import hint
from veza.rooms.tracks import service as tracks

# A few milliseconds of the writer.
PIECE = 200
# Of one artist, in a day: whoever puts a whole archive online is not to fill the lists of all who follow.
MOST_RELEASES = 20
_DAY = timedelta(days=1)


async def release(tx: Tx, track_id: UUID, user_id: UUID) -> None:
    """Have followers told of a track that can be heard by everybody now, if they were not before."""
    now = clock.now()
    begun = await releases_store.hold(tx, track_id)
    if begun is not None:
        if begun.paused is not None:
            await releases_store.pause(tx, track_id, None)
            await enqueue(tx, FAN_OUT, begun.paused)
        return
    if await releases_store.count_since(tx, user_id, now - _DAY) >= MOST_RELEASES:
        return
    if await releases_store.add(tx, track_id, user_id):
        await enqueue(tx, FAN_OUT, FanOut(track_id, user_id, now))


class FanningOut:
    """Tells a piece of a track's followers at a time."""

    def __init__(self, database: Database, live: Live) -> None:
        self._database = database
        self._live = live

    async def run(self, job: Job, what: FanOut) -> None:
        """Tell the next piece; the rest is for another job."""
        async with self._database.write() as tx:
            await finish(tx, job)
            # Held first: whoever shows the track again then finds either it shown here, or this broken off.
            await releases_store.hold(tx, what.track_id)
            if not await tracks.list_titles(tx, GUEST, [what.track_id]):
                await releases_store.pause(tx, what.track_id, what)
                return
            found = await following.list_since(tx, what.user_id, what.after, what.before, PIECE)
            if len(found) == PIECE:
                after = (found[-1].followed_at, found[-1].user_id)
                await enqueue(tx, FAN_OUT, FanOut(what.track_id, what.user_id, what.before, after))
            await self._tell(tx, what, [one.user_id for one in found])

    async def _tell(self, tx: Tx, what: FanOut, followers: list[UUID]) -> None:
        there = await accounts.stay(tx, followers)
        there -= set(await preferences_store.list_deaf(tx, followers, "track_released"))
        if not there:
            return
        now = clock.now()
        rows = [
            Row(
                id=new_id(),
                user_id=place.user_id,
                seq=place.seq,
                type="track_released",
                group_key=None,
                actor_ids=[str(what.user_id)],
                actor_count=1,
                subject_id=what.track_id,
                detail=None,
                read_at=None,
                created_at=now,
                updated_at=now,
            )
            for place in await boxes_store.place_each(tx, there)
        ]
        await store.add_many(tx, rows)
        hint(tx, self._live, *there)
