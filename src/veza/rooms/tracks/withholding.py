"""Tracks that are there for nobody but their owner and those who moderate, whatever the owner wants.

One is *withheld* by somebody who moderates, and its owner reads why; or all of somebody's are *closed* while
their account is suspended.
"""

from uuid import UUID

import msgspec

from veza.access.actor import Actor
from veza.access.policy import Action
from veza.core.db import Database, Tx
from veza.core.events import EventJob
from veza.core.jobs import Job, JobKind
from veza.core.worker import Task
from veza.rooms.accounts import profiles
from veza.rooms.accounts.errors import UserNotFound
from veza.rooms.tracks import service, store
from veza.rooms.tracks.events import TrackRestored, TrackUpdated, TrackWithheld

# Follows a suspension and its end.
CLOSE_USER = JobKind("tracks.close_user", EventJob)
PIECE = 50


class _Whose(msgspec.Struct, frozen=True):
    user_id: UUID


async def withhold(tx: Tx, actor: Actor, track_id: UUID, why: str) -> None:
    """Show a track to nobody but its owner, and tell them why. Raises TrackNotFound and Forbidden."""
    track = await service.hold(tx, actor, track_id, Action.WITHHOLD_TRACK)
    await store.change(tx, track, {"withheld": why})
    tx.emit(TrackWithheld(track.id, track.user_id))


async def release(tx: Tx, actor: Actor, track_id: UUID) -> None:
    """Take that back. Raises TrackNotFound and Forbidden."""
    track = await service.hold(tx, actor, track_id, Action.WITHHOLD_TRACK)
    if track.withheld is not None:
        await store.change(tx, track, {"withheld": None})
        tx.emit(TrackRestored(track.id, track.user_id))


def closing(database: Database) -> Task:
    """The task that closes all tracks of somebody who is suspended, and opens them after it."""

    async def run(job: Job, told: EventJob) -> None:
        del job
        user_id = msgspec.convert(told.data, _Whose).user_id
        while await _close(database, user_id):
            pass

    return Task(CLOSE_USER, run)


async def _close(database: Database, user_id: UUID) -> bool:
    """So many of them, as the account is now; whether there may be more."""
    async with database.write() as tx:
        try:
            closed = (await profiles.get_user(tx, user_id)).suspended_at is not None
        except UserNotFound:
            return False
        found = await store.list_otherwise(tx, user_id, PIECE, closed=not closed)
        for track_id in found:
            track = await store.lock(tx, track_id)
            if track is not None:
                await store.change(tx, track, {"closed": closed})
                tx.emit(TrackUpdated(track.id, track.user_id))
    return len(found) == PIECE
