"""Telling people what happened, and taking it back.

What one and the same thing brings about within a day, and is not read yet, is one notification: it counts
who did it and names the latest. Whoever changes what somebody has holds their box, and looks only then
whether it is still so: events may be heard in any order, and the last word is the truth of the moment.
"""

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

    ``act_id`` tells it from other acts of the same actor; without one it stands alone.
    """

    user_id: UUID
    type: Type
    actor_id: UUID | None = None
    subject_id: UUID | None = None
    act_id: UUID | None = None
    detail: str | None = None

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


async def tell(tx: Tx, live: Live, tale: Tale) -> None:
    """Tell somebody, unless it was their own act, is not so any more, is not for them, or not wanted."""
    user_id, actor_id = tale.user_id, tale.actor_id
    if actor_id == user_id or not await accounts.stay(tx, [user_id]):
        return
    channels = await preferences.find(tx, user_id, tale.type)
    if not channels.in_app:
        return
    box = await boxes_store.take(tx, user_id)
    if actor_id is not None and await blocks.stands_between(tx, user_id, actor_id):
        return
    if not await is_true(tx, tale.type, user_id, actor_id, tale.subject_id, tale.act_id):
        return
    row = await _join(tx, box, tale) if tale.act_id and actor_id else await _add(tx, box, tale)
    if row is None:
        return
    hint(tx, live, user_id)
    if channels.email and WORDINGS[tale.type].mails == "at once":
        await enqueue(tx, SEND_NOTICE, SendNotice(user_id, row.id))


async def _add(tx: Tx, box: Box, tale: Tale) -> Row:
    now = clock.now()
    actors = [] if tale.actor_id is None else [str(tale.actor_id)]
    row = Row(
        id=new_id(),
        user_id=box.user_id,
        seq=box.seq,
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
    await store.add(tx, row)
    await boxes_store.add(tx, box.user_id, 1, 1)
    return row


async def _join(tx: Tx, box: Box, tale: Tale) -> Row | None:
    """Tell it together with others; None if that was done, or was undone and done again within the day."""
    assert tale.group is not None
    assert tale.actor_id is not None
    assert tale.act_id is not None
    since = clock.now() - TOGETHER
    if await acts_store.was_told(tx, box.user_id, tale.group, tale.actor_id, tale.act_id, since):
        return None
    row = await store.find_open(tx, box.user_id, tale.group, box.read_seq, since)
    if row is None:
        row = await _add(tx, box, tale)
    else:
        known = await acts_store.has(tx, row.id, tale.actor_id)
        actors = [str(tale.actor_id), *(one for one in row.actor_ids if one != str(tale.actor_id))]
        row = msgspec.structs.replace(
            row,
            seq=box.seq,
            actor_ids=actors[:NAMED],
            actor_count=row.actor_count + (not known),
            detail=tale.detail,
            updated_at=clock.now(),
        )
        await store.change(tx, row)
    await acts_store.add(tx, Act(row.id, tale.actor_id, tale.act_id, box.user_id))
    return row


async def take_back(tx: Tx, live: Live, tale: Tale) -> None:
    """Tell it no longer, where it was not read yet and is not so any more."""
    assert tale.group is not None
    assert tale.act_id is not None
    box = await boxes_store.hold(tx, tale.user_id)
    actor_id = tale.actor_id
    if actor_id is None:
        act = await acts_store.find_act(tx, tale.user_id, tale.group, tale.act_id)
        if act is None:
            return
        actor_id = act.actor_id
    if await is_true(tx, tale.type, tale.user_id, actor_id, tale.subject_id, tale.act_id):
        return
    row = await acts_store.find_with(tx, tale.user_id, tale.group, actor_id, tale.act_id)
    if row is None or not row.unread(box.read_seq):
        return
    await acts_store.remove(tx, row.id, actor_id, tale.act_id)
    if tale.detail is not None and row.detail == tale.detail:
        row = msgspec.structs.replace(row, detail=None)
    await _without(tx, box, row, actor_id)
    hint(tx, live, tale.user_id)


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
