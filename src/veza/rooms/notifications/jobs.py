"""What is done about notifications when nobody waits for it."""

from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

import msgspec

from veza.core import clock
from veza.core.db import Database, Tx
from veza.core.events import EventJob
from veza.core.hearing import Heard, Hearer
from veza.core.ids import first_id_at, new_id
from veza.core.jobs import Job, NoPayload, enqueue, finish
from veza.core.live import Live
from veza.core.worker import Task
from veza.rooms.following.events import UserBlocked
from veza.rooms.notifications import acts_store, boxes_store, fanning, releases_store, store
from veza.rooms.notifications.kinds import (
    FAN_OUT,
    FORGET_RELEASE,
    FORGET_USER,
    PART,
    PURGE,
    RELEASE,
    SETTLE,
    TELL,
    OfTrack,
    OfUser,
)
from veza.rooms.notifications.service import PIECE, count_gone
from veza.rooms.notifications.store import Aged
from veza.rooms.notifications.tellers import hear, hear_all
from veza.rooms.notifications.telling import part
from veza.rooms.tracks.events import TrackDeleted, TrackProcessed, TrackPublished

READ_KEPT = timedelta(days=90)
UNREAD_KEPT = timedelta(days=365)
# Of one user; the oldest go first.
MOST_KEPT = 100_000
_ACTS_PIECE = 100


class _Gone(msgspec.Struct, frozen=True):
    user_id: UUID


async def tell_of_processed(tx: Tx, event: TrackProcessed) -> None:
    """Tell the owner of a track that it is ready; of those that were imported, who did it sees them all."""
    if not event.imported:
        await enqueue(tx, TELL, EventJob(new_id(), event.kind, msgspec.to_builtins(event)))


async def forget_release(tx: Tx, event: TrackDeleted) -> None:
    """What followers were told of a track leads nowhere now: it is removed, if they were."""
    if await releases_store.remove(tx, event.track_id):
        await enqueue(tx, FORGET_RELEASE, OfTrack(event.track_id))


class NotificationJobs:
    """The jobs of this room, with what they work on."""

    def __init__(self, database: Database, live: Live) -> None:
        self._database = database
        self._live = live

    def tasks(self) -> Sequence[Task]:
        """What the worker is to know."""
        return [
            Task(TELL, self.tell),
            Task(RELEASE, self.release),
            Task(FAN_OUT, fanning.FanningOut(self._database, self._live).run),
            Task(FORGET_RELEASE, self.forget_release),
            Task(PART, self.part),
            Task(FORGET_USER, self.forget_user),
            Task(SETTLE, self.settle),
            Task(PURGE, self.purge),
        ]

    def hearer(self) -> Hearer:
        """What tells people of events, many at a time."""

        async def hear_piece(tx: Tx, heard: Sequence[Heard]) -> None:
            await hear_all(tx, self._live, heard)

        return Hearer(self._database, TELL, hear_piece)

    async def tell(self, job: Job, told: EventJob) -> None:
        """Tell whoever is to be told of an event alone: once, for the job is struck off with it."""
        async with self._database.write() as tx:
            await finish(tx, job)
            await hear(tx, self._live, told)

    async def release(self, job: Job, told: EventJob) -> None:
        """Begin to tell followers of a track."""
        event = msgspec.convert(told.data, TrackPublished)
        async with self._database.write() as tx:
            await finish(tx, job)
            await fanning.release(tx, event.track_id, event.user_id)

    async def part(self, _job: Job, told: EventJob) -> None:
        """Of two users between whom there is a block neither is told of the other."""
        event = msgspec.convert(told.data, UserBlocked)
        for one, other in ((event.user_id, event.blocked_id), (event.blocked_id, event.user_id)):
            await self._part(one, other)

    async def forget_user(self, _job: Job, told: EventJob) -> None:
        """Remove all that an account that is gone was told, and all that others were told of it."""
        user_id = msgspec.convert(told.data, _Gone).user_id
        more = True
        while more:
            async with self._database.write() as tx:
                box = await boxes_store.hold(tx, user_id)
                gone = await store.remove_oldest(tx, user_id, PIECE)
                await count_gone(tx, box, gone)
                more = len(gone) >= PIECE
                if not more:
                    await boxes_store.remove(tx, user_id)
        while readers := await self._list_told_of(user_id):
            for reader in readers:
                await self._part(reader, user_id)

    async def _list_told_of(self, actor_id: UUID) -> list[UUID]:
        async with self._database.read() as view:
            return await acts_store.list_told_of(view, actor_id, PIECE)

    async def _part(self, user_id: UUID, actor_id: UUID) -> None:
        more = True
        while more:
            async with self._database.write() as tx:
                more = await part(tx, self._live, user_id, actor_id, _ACTS_PIECE)

    async def forget_release(self, _job: Job, what: OfTrack) -> None:
        """Remove all by which followers were told of a track."""
        while await self._purge_release(what.track_id) >= PIECE:
            pass

    async def _purge_release(self, track_id: UUID) -> int:
        async with self._database.read() as view:
            told = await store.list_released(view, track_id, PIECE)
        return await self._remove(told)

    async def settle(self, _job: Job, what: OfUser) -> None:
        """Write into the rows what somebody has read by reading all: so they are found as what they are."""
        more, now = True, clock.now()
        while more:
            async with self._database.write() as tx:
                box = await boxes_store.hold(tx, what.user_id)
                more = await store.settle(tx, what.user_id, box.read_seq, now, PIECE)

    async def purge(self, _job: Job, _told: NoPayload) -> None:
        """Remove what was read long ago, what nobody read for longer, and of full boxes the oldest."""
        while await self._purge_read() >= PIECE:
            pass
        while await self._purge_unread() >= PIECE:
            pass
        async with self._database.read() as view:
            full = await boxes_store.list_full(view, MOST_KEPT)
        for user_id in full:
            await self._empty(user_id)

    async def _purge_read(self) -> int:
        async with self._database.read() as view:
            aged = await store.list_read_before(view, clock.now() - READ_KEPT, PIECE)
        return await self._remove(aged)

    async def _purge_unread(self) -> int:
        async with self._database.read() as view:
            aged = await store.list_made_before(view, first_id_at(clock.now() - UNREAD_KEPT), PIECE)
        return await self._remove(aged)

    async def _remove(self, aged: Sequence[Aged]) -> int:
        if not aged:
            return 0
        async with self._database.write() as tx:
            boxes = await boxes_store.hold_some(tx, {one.user_id for one in aged})
            gone = await store.remove_some(tx, [one.id for one in aged])
            for user_id in sorted(boxes):
                await count_gone(tx, boxes[user_id], [one for one in gone if one.user_id == user_id])
        return len(aged)

    async def _empty(self, user_id: UUID) -> None:
        more = True
        while more:
            async with self._database.write() as tx:
                box = await boxes_store.hold(tx, user_id)
                much = min(max(box.total - MOST_KEPT, 0), PIECE)
                await count_gone(tx, box, await store.remove_oldest(tx, user_id, much) if much else [])
                more = much >= PIECE
