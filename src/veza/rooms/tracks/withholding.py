"""Tracks that are there for nobody but their owner and those who moderate, whatever the owner wants.

One is *withheld* by somebody who moderates, and its owner reads why; or all of somebody's are *closed* while
their account is suspended.
"""

from uuid import UUID

from veza.access.actor import Actor
from veza.access.policy import Action
from veza.core.db import Tx
from veza.core.events import EventJob
from veza.core.jobs import JobKind
from veza.rooms.tracks import service, store
from veza.rooms.tracks.events import TrackRestored, TrackUpdated, TrackWithheld

# Follows a suspension and its end.
CLOSE_USER = JobKind("tracks.close_user", EventJob)


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


async def close(tx: Tx, user_id: UUID, most: int, *, closed: bool) -> int:
    """Close, or open, so many tracks of somebody; how many that were."""
    found = await store.list_otherwise(tx, user_id, most, closed=closed)
    for track_id in found:
        track = await store.lock(tx, track_id)
        if track is not None:
            await store.change(tx, track, {"closed": closed})
            tx.emit(TrackUpdated(track.id, track.user_id))
    return len(found)
