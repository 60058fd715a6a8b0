"""How often a track is liked, heard and talked about: kept in the transaction that makes it so."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from uuid import UUID

from veza.access.actor import Actor
from veza.access.policy import Action, may
from veza.core.db import Database, Tx
from veza.core.jobs import Job, JobKind, NoPayload, enqueue, finish
from veza.core.worker import Task
from veza.rooms.tracks import counts_store as store
from veza.rooms.tracks.counts_store import Heard, Totals
from veza.rooms.tracks.errors import TrackNotFound, TrackNotReady

# Lists by popularity follow within some seconds, and take no more of the writer than a tenth.
SHOW_PLAYS = JobKind("tracks.show_plays", NoPayload)
SHOW_AFTER = timedelta(seconds=5)
_BATCH, _PAUSE = 50, timedelta(milliseconds=100)

__all__ = ["Heard", "Totals"]


async def add_likes(tx: Tx, track_id: UUID, change: int) -> None:
    """So many likes more, or less. Raises :class:`TrackNotFound` where the track has gone meanwhile."""
    if not await store.add(tx, track_id, "like_count", change):
        raise TrackNotFound


async def add_comments(tx: Tx, track_id: UUID, change: int) -> None:
    """So many comments more, or less. Raises :class:`TrackNotFound` where the track has gone meanwhile.

    Until ``tx`` is over nobody else comments on this track.
    """
    if not await store.add(tx, track_id, "comment_count", change):
        raise TrackNotFound


async def unlike_all(tx: Tx, track_ids: Sequence[UUID], user_id: UUID) -> None:
    """One like less for each of these tracks; of those that are gone there is nothing to count.

    Held with them are all tracks of the user, who takes the likes back because their account ends: these go
    next, and of two users that like each other's one would wait for the other.
    """
    await store.lock_many(tx, track_ids, user_id)
    for track_id in track_ids:
        await store.add(tx, track_id, "like_count", -1)


async def hold(tx: Tx, track_ids: Iterable[UUID]) -> dict[UUID, Heard]:
    """Those of these tracks that there are, whoever may see them; none is deleted until ``tx`` is over."""
    return await store.hold(tx, track_ids)


def check_audible(actor: Actor, track: Heard | None) -> Heard:
    """The track, if ``actor`` may hear it now. Raises :class:`TrackNotFound` and :class:`TrackNotReady`."""
    if track is None or track.user_id in actor.hidden:
        raise TrackNotFound
    if not (track.listed or may(actor, Action.EDIT_TRACK, track)):
        raise TrackNotFound
    if track.status != "ready":
        raise TrackNotReady
    return track


async def totals(tx: Tx, track_id: UUID) -> Totals:
    """What the plays of a track add up to."""
    return await store.find_totals(tx, track_id)


async def add_plays(tx: Tx, gained: Mapping[UUID, Totals]) -> None:
    """Add to what the plays of these tracks add up to; lists sorted by popularity follow soon."""
    # The job before the rows that it will want, as it takes them itself: so neither waits for the other.
    if any(gain.charted for gain in gained.values()):
        await enqueue(tx, SHOW_PLAYS, NoPayload(), delay=SHOW_AFTER, unique_key=SHOW_PLAYS.name)
    await store.add_totals(tx, gained)


def tasks(database: Database) -> Sequence[Task]:
    """What the worker is to know."""

    async def show_plays(job: Job, _told: NoPayload) -> None:
        async with database.write() as tx:
            # Struck off here and not afterwards: a play that comes later finds none waiting, and queues one.
            await finish(tx, job)
            if await store.show_plays(tx, _BATCH) == _BATCH:
                await enqueue(tx, SHOW_PLAYS, NoPayload(), delay=_PAUSE, unique_key=SHOW_PLAYS.name)
            elif await store.any_behind(tx):
                await enqueue(tx, SHOW_PLAYS, NoPayload(), delay=SHOW_AFTER, unique_key=SHOW_PLAYS.name)

    return [Task(SHOW_PLAYS, show_plays)]
