"""What was said: reading it, and what may be done with it afterwards.

Of what hidden people say nothing is shown, but to who moderates the room: they can remove it. Each change
takes the next place of its room, which is held.
"""

from collections.abc import Sequence
from uuid import UUID

import msgspec

from veza.access.actor import Actor, Member
from veza.access.policy import Action, may, require
from veza.core import clock
from veza.core.db import Tx
from veza.core.errors import Detail, Forbidden, InvalidRequest
from veza.core.live import Live
from veza.core.text import fold
from veza.rooms.chat import hints, members_store, rooms_store, service
from veza.rooms.chat import messages_store as store
from veza.rooms.chat.errors import (
    Banned,
    MessageNotFound,
    Muted,
    NotInRoom,
    RoomNotFound,
    TooManyPinned,
    TooManyReactions,
)
from veza.rooms.chat.events import MessageRemoved
from veza.rooms.chat.frames import Deleted, Edited, HasRead, Reacted
from veza.rooms.chat.messages_store import MessageRow
from veza.rooms.chat.rooms_store import Seat
from veza.rooms.chat.saying import find_named
from veza.rooms.chat.schemas import Message, MessageList

MOST_PINNED = 50
MOST_EMOJI = 20
# In larger rooms nobody is told who has read what.
MOST_RECEIPTS = 100
_LAST = 2**62


async def list_messages(
    tx: Tx, actor: Member, room_id: UUID, before: UUID | None, after: UUID | None, limit: int
) -> MessageList:
    """Messages before or after one, or the latest; the oldest first.

    Raises RoomNotFound, Banned, InvalidRequest.
    """
    if before is not None and after is not None:
        raise InvalidRequest(details=[Detail("after", "Say `before` or `after`, not both.", "INVALID")])
    hidden = service.hidden_in(await service.get_seat(tx, actor, room_id), actor)
    if after is not None:
        place = await _place(tx, room_id, after, "after")
        rows = await store.list_slice(tx, room_id, "after", place, limit + 1, hidden)
        return MessageList(await seen_by(tx, actor.id, rows[:limit]), len(rows) > limit)
    place = _LAST if before is None else await _place(tx, room_id, before, "before")
    rows = await store.list_slice(tx, room_id, "before", place, limit + 1, hidden)
    return MessageList(await seen_by(tx, actor.id, rows[:limit][::-1]), len(rows) > limit)


async def _place(tx: Tx, room_id: UUID, message_id: UUID, field: str) -> int:
    found = await store.find(tx, message_id)
    if found is None or found.room_id != room_id:
        raise InvalidRequest(details=[Detail(field, "There is no such message in this room.", "INVALID")])
    return found.seq


async def seen_by(tx: Tx, user_id: UUID | None, rows: Sequence[MessageRow]) -> list[Message]:
    """Messages with what was given to them; ``user_id`` sees which of it is theirs."""
    if not rows:
        return []
    given = await store.list_reactions(tx, [row.id for row in rows], user_id)
    return [row.seen(given.get(row.id, ())) for row in rows]


async def get_visible(tx: Tx, actor: Member, message_id: UUID) -> Message:
    """The message, if it is in a room that ``actor`` may look into. Raises MessageNotFound."""
    row = await store.find(tx, message_id)
    if row is None or row.deleted_at is not None:
        raise MessageNotFound
    try:
        seat = await service.get_seat(tx, actor, row.room_id)
    except (RoomNotFound, Banned):
        raise MessageNotFound from None
    if row.user_id in service.hidden_in(seat, actor):
        raise MessageNotFound
    return (await seen_by(tx, actor.id, [row]))[0]


async def take_down(tx: Tx, actor: Member, message_id: UUID) -> None:
    """Who keeps order everywhere deletes what was reported, also where they are not: told in two seconds.

    Raises MessageNotFound, Forbidden.
    """
    require(actor, Action.TAKE_DOWN_MESSAGE)
    row = await store.find(tx, message_id)
    room = None if row is None else await rooms_store.hold(tx, row.room_id)
    row = await store.find(tx, message_id)
    if room is None or row is None or row.deleted_at is not None:
        raise MessageNotFound
    tx.emit(MessageRemoved(row.id, row.room_id, row.user_id, actor.id))
    await store.delete(tx, row.id, room.seq + 1)
    await rooms_store.changed(tx, row.room_id)


async def find_visible(tx: Tx, actor: Actor, message_id: UUID) -> Message | None:
    """The message, if there is one in a room that ``actor`` is in, and they see who said it."""
    row = await store.find(tx, message_id)
    if row is None or row.deleted_at is not None or row.user_id in actor.hidden:
        return None
    seat = await service.find_seat(tx, actor, row.room_id)
    return (await seen_by(tx, actor.id, [row]))[0] if seat is not None and seat.role else None


async def search(
    tx: Tx, actor: Member, room_id: UUID, words: str, before: UUID | None, limit: int
) -> MessageList:
    """Messages among the last hundred thousand that hold these words as they stand, the latest first.

    Raises RoomNotFound, Banned, InvalidRequest.
    """
    seat = await service.get_seat(tx, actor, room_id)
    folded = fold(words)
    if not folded:
        raise InvalidRequest(details=[Detail("q", "Say what to look for.", "INVALID")])
    place = seat.seq + 1 if before is None else await _place(tx, room_id, before, "before")
    hidden = service.hidden_in(seat, actor)
    rows = await store.search(tx, room_id, folded, before=place, limit=limit + 1, hidden=hidden)
    return MessageList(await seen_by(tx, actor.id, rows[:limit]), len(rows) > limit)


async def list_pinned(tx: Tx, actor: Member, room_id: UUID) -> MessageList:
    """What is pinned in a room. Raises RoomNotFound, Banned."""
    hidden = service.hidden_in(await service.get_seat(tx, actor, room_id), actor)
    rows = [row for row in await store.list_pinned(tx, room_id) if row.user_id not in hidden]
    return MessageList(await seen_by(tx, actor.id, rows), has_more=False)


async def edit(tx: Tx, live: Live, actor: Member, message_id: UUID, content: str) -> Message:
    """Its author gives a message other words. Raises MessageNotFound, Forbidden, Muted."""
    seat, row = await _hold(tx, actor, message_id)
    require(actor, Action.EDIT_MESSAGE, row)
    refuse_silent(actor, seat)
    row = msgspec.structs.replace(
        row,
        content=content,
        mentions=await find_named(tx, actor, row.room_id, content),
        edited_at=clock.now(),
        change_seq=seat.seq + 1,
    )
    await store.edit(tx, row, fold(content))
    return await _changed(tx, live, actor, row)


async def delete(tx: Tx, live: Live, actor: Member, message_id: UUID) -> UUID:
    """Its author, or who moderates the room, leaves of a message only that it was there; the room's id.

    Raises MessageNotFound, Forbidden.
    """
    seat, row = await _hold(tx, actor, message_id)
    if not may(actor, Action.DELETE_MESSAGE, row):
        require(actor, Action.MODERATE_ROOM, seat)
        tx.emit(MessageRemoved(row.id, row.room_id, row.user_id, actor.id))
    seq = seat.seq + 1
    await store.delete(tx, row.id, seq)
    await rooms_store.changed(tx, row.room_id)
    frame = Deleted(room_id=row.room_id, message_id=row.id, seq=seq)
    hints.tell_after(tx, live, row.room_id, [hints.entry(seq, row.user_id, frame)])
    return row.room_id


async def pin(tx: Tx, live: Live, actor: Member, message_id: UUID, *, pinned: bool) -> Message:
    """Who moderates a room pins a message, or takes it down.

    Raises MessageNotFound, Forbidden, TooManyPinned.
    """
    seat, row = await _hold(tx, actor, message_id)
    if seat.type != "direct":
        require(actor, Action.MODERATE_ROOM, seat)
    if pinned == (row.pinned_at is not None):
        return (await seen_by(tx, actor.id, [row]))[0]
    if pinned and len(await store.list_pinned(tx, row.room_id)) >= MOST_PINNED:
        raise TooManyPinned
    at = clock.now() if pinned else None
    row = msgspec.structs.replace(row, pinned_at=at, change_seq=seat.seq + 1)
    await store.pin(tx, row.id, at, row.change_seq)
    return await _changed(tx, live, actor, row)


async def react(tx: Tx, live: Live, actor: Member, message_id: UUID, emoji: str, *, given: bool) -> Message:
    """Give an emoji to a message, or take it back, as often as one will, to the same effect.

    Raises MessageNotFound, also for what hidden people say, Forbidden, Muted, TooManyReactions.
    """
    seat, row = await _hold(tx, actor, message_id)
    if row.user_id in actor.hidden:
        raise MessageNotFound
    refuse_silent(actor, seat)
    there = (await store.list_reactions(tx, [row.id], actor.id)).get(row.id, [])
    if given and len(there) >= MOST_EMOJI and emoji not in {one.emoji for one in there}:
        raise TooManyReactions
    change = store.react if given else store.unreact
    if not await change(tx, row.id, emoji, actor.id):
        return row.seen(there)
    row = msgspec.structs.replace(row, change_seq=seat.seq + 1)
    await store.touch(tx, row.id, row.change_seq)
    await rooms_store.changed(tx, row.room_id)
    there = (await store.list_reactions(tx, [row.id], actor.id)).get(row.id, [])
    frame = Reacted(
        room_id=row.room_id,
        message_id=row.id,
        user_id=actor.id,
        emoji=emoji,
        removed=not given,
        count=next((one.count for one in there if one.emoji == emoji), 0),
        seq=row.change_seq,
    )
    hints.tell_after(tx, live, row.room_id, [hints.entry(row.change_seq, actor.id, frame)])
    return row.seen(there)


async def read_to(tx: Tx, live: Live, actor: Member, room_id: UUID, message_id: UUID) -> int:
    """``actor`` has read up to a message; its place. Raises RoomNotFound, NotInRoom, MessageNotFound."""
    seat = await service.get_seat(tx, actor, room_id)
    if seat.role is None:
        raise NotInRoom
    found = await store.find(tx, message_id)
    if found is None or found.room_id != room_id:
        raise MessageNotFound
    if await members_store.read_to(tx, room_id, actor.id, found.seq) and seat.member_count <= MOST_RECEIPTS:
        frame = HasRead(room_id=room_id, user_id=actor.id, message_id=message_id, seq=found.seq)
        hints.tell_after(tx, live, room_id, [hints.entry(0, actor.id, frame)])
    return found.seq


async def _hold(tx: Tx, actor: Member, message_id: UUID) -> tuple[Seat, MessageRow]:
    """A message that ``actor`` sees, in its room, which is held."""
    row = await store.find(tx, message_id)
    if row is None:
        raise MessageNotFound
    try:
        seat = await service.hold(tx, actor, row.room_id)
    except RoomNotFound:
        raise MessageNotFound from None
    row = await store.find(tx, message_id)
    if row is None or row.deleted_at is not None or row.user_id in service.hidden_in(seat, actor):
        raise MessageNotFound
    return seat, row


def refuse_silent(actor: Member, seat: Seat) -> None:
    """Raise NotInRoom, Forbidden or Muted unless ``actor`` may speak."""
    if seat.role is None:
        raise NotInRoom
    if not may(actor, Action.SPEAK, seat):
        raise Forbidden
    if seat.muted_until is not None and seat.muted_until > clock.now():
        raise Muted


async def _changed(tx: Tx, live: Live, actor: Member, row: MessageRow) -> Message:
    await rooms_store.changed(tx, row.room_id)
    [plain] = await seen_by(tx, None, [row])
    frame = Edited(room_id=row.room_id, message=plain)
    hints.tell_after(tx, live, row.room_id, [hints.entry(row.change_seq, row.user_id, frame)])
    return (await seen_by(tx, actor.id, [row]))[0]
