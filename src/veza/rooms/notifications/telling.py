"""Telling people what happened, and taking it back.

What one and the same thing brings about within a day, and is not read yet, is one notification: it counts
who did it and names the latest. Whoever changes what somebody has holds their box, and looks only then
whether it is still so: events may be heard in any order, and the last word is the truth of the moment.

Much is told in one transaction: all boxes are held at once, and what is new is written when all is said.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import timedelta
from uuid import UUID

import msgspec

from veza.core import clock
from veza.core.db import Tx
from veza.core.ids import new_id
from veza.core.jobs import enqueue
from veza.core.live import Live
from veza.rooms.accounts import service as accounts
from veza.rooms.following import blocks
from veza.rooms.notifications import acts_store, boxes_store, preferences, store
from veza.rooms.notifications.acts_store import Act
from veza.rooms.notifications.boxes_store import Box
from veza.rooms.notifications.kinds import SEND_NOTICE, SendNotice
from veza.rooms.notifications.store import Row
from veza.rooms.notifications.truths import is_true
from veza.rooms.notifications.wording import WORDINGS, Type

TOGETHER = timedelta(days=1)
NAMED = 3
# Where hints go whose notifications have changed: {"users": [ids]}.
TOPIC = "notifications"


class Tale(msgspec.Struct, frozen=True):
    """Something to tell ``user_id`` of: what ``actor_id`` did, if it was somebody.

    ``act_id`` tells it from other acts of the same actor; without one it stands alone. ``undone``: it is not
    so any more, and whoever did it may be unknown.
    """

    user_id: UUID
    type: Type
    actor_id: UUID | None = None
    subject_id: UUID | None = None
    act_id: UUID | None = None
    detail: str | None = None
    undone: bool = False

    @property
    def group(self) -> str | None:
        """What it is told together with."""
        return None if self.act_id is None else f"{self.type}:{self.subject_id}"


class Hints(msgspec.Struct, frozen=True):
    """Whose notifications have changed."""

    users: list[UUID]


def hint(tx: Tx, live: Live, *user_ids: UUID) -> None:
    """Tell the streams of these users, once ``tx`` is committed, that there is something new."""
    live.publish_after(tx, TOPIC, Hints(list(user_ids)))


async def tell_all(tx: Tx, live: Live, tales: Sequence[Tale]) -> None:
    """Tell what is not somebody's own act, is so, is for them, and wanted; take back what is not so any more.

    Taken back is only what was not read yet.
    """
    tales = [tale for tale in tales if tale.actor_id != tale.user_id]
    if not tales:
        return
    there = await accounts.stay(tx, {tale.user_id for tale in tales})
    channels = await preferences.find_some(tx, {(tale.user_id, tale.type) for tale in tales})
    tales = [
        tale
        for tale in tales
        if tale.user_id in there and (tale.undone or channels[tale.user_id, tale.type].in_app)
    ]
    boxes = await boxes_store.open_some(tx, {tale.user_id for tale in tales})
    pairs = {(tale.user_id, tale.actor_id) for tale in tales if tale.actor_id and not tale.undone}
    apart = await blocks.list_between(tx, pairs)
    telling = Telling(tx, boxes)
    for tale in tales:
        if tale.undone:
            await telling.take_back(tale)
        elif (tale.user_id, tale.actor_id) not in apart:
            row_id = await telling.tell(tale)
            if row_id and channels[tale.user_id, tale.type].email and WORDINGS[tale.type].mails == "at once":
                await enqueue(tx, SEND_NOTICE, SendNotice(tale.user_id, row_id))
    await telling.write()
    if telling.changed:
        hint(tx, live, *telling.changed)


class Telling:
    """What is told in one transaction to those whose ``boxes`` it holds; :meth:`write` when all is said."""

    def __init__(self, tx: Tx, boxes: Mapping[UUID, Box]) -> None:
        self._tx = tx
        self._boxes = dict(boxes)
        self.changed: set[UUID] = set()
        self._more: Counter[UUID] = Counter()
        self._new: dict[UUID, Row] = {}
        self._joined: dict[UUID, Row] = {}
        self._acts: list[Act] = []
        # Of each group that was looked at: its latest notification, and whether there was one before.
        self._latest: dict[tuple[UUID, str], Row | None] = {}
        self._begun: set[tuple[UUID, str]] = set()
        self._said: dict[tuple[UUID, str, UUID], list[Act]] = {}

    async def tell(self, tale: Tale) -> UUID | None:
        """Tell it; which notification tells of it now, or None where it is not so, or told already."""
        if not await is_true(self._tx, tale.type, tale.user_id, tale.actor_id, tale.subject_id, tale.act_id):
            return None
        if tale.group is None or tale.actor_id is None or tale.act_id is None:
            return self._add(tale).id
        return await self._join(tale, tale.group, tale.actor_id, tale.act_id)

    def _add(self, tale: Tale) -> Row:
        now = clock.now()
        actors = [] if tale.actor_id is None else [str(tale.actor_id)]
        row = Row(
            id=new_id(),
            user_id=tale.user_id,
            seq=self._take_place(tale.user_id),
            type=tale.type,
            group_key=tale.group,
            actor_ids=actors,
            actor_count=len(actors),
            subject_id=tale.subject_id,
            detail=tale.detail,
            read_at=None,
            created_at=now,
            updated_at=now,
        )
        self._new[row.id] = row
        self._more[row.user_id] += 1
        return row

    def _take_place(self, user_id: UUID) -> int:
        box = self._boxes[user_id]
        self._boxes[user_id] = box = msgspec.structs.replace(box, seq=box.seq + 1)
        self.changed.add(user_id)
        return box.seq

    async def _join(self, tale: Tale, group: str, actor_id: UUID, act_id: UUID) -> UUID | None:
        """Tell it with others of its group; None if it was within the day, be it undone and done again."""
        user_id, place = tale.user_id, (tale.user_id, group)
        since = clock.now() - TOGETHER
        if place not in self._latest:
            found = await store.find_latest(self._tx, user_id, group, since)
            self._latest[place] = found
            if found is not None:
                self._begun.add(place)
        said = self._said.setdefault((user_id, group, actor_id), [])
        before = (
            await acts_store.list_by(self._tx, user_id, group, actor_id, since)
            if place in self._begun
            else []
        )
        if any(act.act_id == act_id for act in (*before, *said)):
            return None
        row = self._latest[place]
        if row is None or not row.unread(self._boxes[user_id].read_seq):
            row = self._add(tale)
        else:
            known = any(act.notification_id == row.id for act in (*before, *said))
            row = self._add_to(row, tale, actor_id, known=known)
        self._latest[place] = row
        act = Act(row.id, actor_id, act_id, user_id)
        said.append(act)
        self._acts.append(act)
        return row.id

    def _add_to(self, row: Row, tale: Tale, actor_id: UUID, *, known: bool) -> Row:
        actors = [str(actor_id), *(one for one in row.actor_ids if one != str(actor_id))]
        row = msgspec.structs.replace(
            row,
            seq=self._take_place(row.user_id),
            actor_ids=actors[:NAMED],
            actor_count=row.actor_count + (not known),
            detail=tale.detail,
            updated_at=clock.now(),
        )
        (self._new if row.id in self._new else self._joined)[row.id] = row
        return row

    async def write(self) -> None:
        """Write down what was told so far."""
        boxes = [(one, self._boxes[one].seq, self._more[one]) for one in sorted(self.changed)]
        await boxes_store.save_some(self._tx, boxes)
        await store.add_many(self._tx, self._new.values())
        await store.change_many(self._tx, self._joined.values())
        await acts_store.add_many(self._tx, self._acts)
        for told in (self._more, self._new, self._joined, self._acts, self._latest, self._begun, self._said):
            told.clear()

    async def take_back(self, tale: Tale) -> None:
        """Tell it no longer, where it was not read yet and is not so any more."""
        assert tale.group is not None
        assert tale.act_id is not None
        await self.write()
        user_id, actor_id = tale.user_id, tale.actor_id
        if actor_id is None:
            act = await acts_store.find_act(self._tx, user_id, tale.group, tale.act_id)
            if act is None:
                return
            actor_id = act.actor_id
        if await is_true(self._tx, tale.type, user_id, actor_id, tale.subject_id, tale.act_id):
            return
        row = await acts_store.find_with(self._tx, user_id, tale.group, actor_id, tale.act_id)
        if row is None or not row.unread(self._boxes[user_id].read_seq):
            return
        await acts_store.remove(self._tx, row.id, actor_id, tale.act_id)
        if tale.detail is not None and row.detail == tale.detail:
            row = msgspec.structs.replace(row, detail=None)
        await _without(self._tx, self._boxes[user_id], row, actor_id)
        self.changed.add(user_id)


async def part(tx: Tx, live: Live, user_id: UUID, actor_id: UUID, most: int) -> bool:
    """Tell somebody no longer of what an actor did, in so many notifications; whether there may be more."""
    box = await boxes_store.hold(tx, user_id)
    rows = await acts_store.list_between(tx, user_id, actor_id, most)
    for row in rows:
        await acts_store.remove_by(tx, row.id, actor_id)
        await _without(tx, box, row, actor_id)
    if rows:
        hint(tx, live, user_id)
    return len(rows) >= most


async def _without(tx: Tx, box: Box, row: Row, actor_id: UUID) -> None:
    """Keep what is left of a notification of which an act was taken away."""
    if await acts_store.has(tx, row.id, actor_id):
        await store.change(tx, row)
        return
    left = [one for one in row.actor_ids if one != str(actor_id)]
    if not left:
        left = [str(one) for one in await acts_store.list_actors(tx, row.id, NAMED)]
    if not left:
        await store.remove(tx, box.user_id, row.id)
        await boxes_store.add(tx, box.user_id, -1, -int(row.unread(box.read_seq)))
        return
    await store.change(tx, msgspec.structs.replace(row, actor_ids=left, actor_count=row.actor_count - 1))
