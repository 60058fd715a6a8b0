"""Rooms: making them, finding them, what they are, and how much is said in all of them.

A public room is open to everybody who is signed in and was not banned; to others a private one is not there.
One of a track or playlist is open to whoever sees that, and to nobody else.
Two people have one direct room, whoever begins, which neither leaves.
"""

from datetime import timedelta
from uuid import UUID

import msgspec

from veza.access.actor import Actor, Member
from veza.access.policy import Action, may, require
from veza.core import clock
from veza.core.db import Tx
from veza.core.errors import Detail, ValidationFailed
from veza.core.ids import new_id
from veza.core.live import Live
from veza.core.pages import Page
from veza.rooms.accounts import profiles
from veza.rooms.accounts import service as accounts
from veza.rooms.accounts.errors import UserNotFound
from veza.rooms.chat import hints, members_store, messages_store, rooms_store, subjects
from veza.rooms.chat.errors import Banned, DirectRoom, RoomNotFound, TooManyRooms
from veza.rooms.chat.events import RoomChanged, RoomCreated, RoomDeleted
from veza.rooms.chat.rooms_store import RoomRow, Seat
from veza.rooms.chat.schemas import ChatStats, Room, RoomChanges, RoomDraft, RoomList, Somebody
from veza.rooms.following import blocks

OPEN = frozenset({"public", "track", "playlist"})
MOST_ROOMS = 500
ACTIVE = timedelta(days=1)


async def get_seat(tx: Tx, actor: Member, room_id: UUID) -> Seat:
    """A room that ``actor`` may hear, and what they are in it. Raises RoomNotFound, Banned."""
    seat = await find_seat(tx, actor, room_id)
    if seat is None:
        raise RoomNotFound
    if seat.role is None and not may(actor, Action.MODERATE_ROOM, seat):
        ban = await members_store.find_ban(tx, room_id, actor.id)
        if ban is not None:
            raise Banned
    return seat


async def find_seat(tx: Tx, actor: Actor, room_id: UUID) -> Seat | None:
    """A room that is there for ``actor``, whether or not they were banned from it."""
    seat = None if actor.id is None else await rooms_store.find(tx, room_id, actor.id)
    if seat is None or (seat.role is None and seat.type not in OPEN):
        return None
    return seat if await subjects.is_seen(tx, actor, seat) else None


def hidden_in(seat: Seat, actor: Actor) -> frozenset[UUID]:
    """Whose words in a room ``actor`` does not see."""
    return frozenset() if sees_all(seat, actor) else actor.hidden


def sees_all(seat: Seat, actor: Actor) -> bool:
    """Whether nobody's words in a room are hidden from ``actor``: who may remove them sees them."""
    return may(actor, Action.MODERATE_ROOM, seat)


async def is_closed(tx: Tx, room_id: UUID) -> bool:
    """Whether a room is about something that not everybody sees."""
    about = await rooms_store.find_about(tx, room_id)
    return about is not None and not await subjects.is_open(tx, about)


async def hold(tx: Tx, actor: Member, room_id: UUID, action: Action | None = None) -> Seat:
    """A room that ``actor`` may hear and do this with; nobody else does anything in it until ``tx`` is over.

    Raises RoomNotFound, Banned, :class:`veza.core.errors.Forbidden`, :class:`veza.core.errors.InvalidToken`.
    """
    await accounts.stay_signed_in(tx, actor)
    if await rooms_store.hold(tx, room_id) is None:
        raise RoomNotFound
    seat = await get_seat(tx, actor, room_id)
    if action is not None:
        require(actor, action, seat)
    return seat


async def get_to_moderate(tx: Tx, actor: Member, room_id: UUID) -> Seat:
    """A room that ``actor`` moderates. Raises RoomNotFound, Banned, :class:`veza.core.errors.Forbidden`."""
    seat = await get_seat(tx, actor, room_id)
    require(actor, Action.MODERATE_ROOM, seat)
    return seat


async def create(tx: Tx, actor: Member, draft: RoomDraft) -> Room:
    """A new room, whose owner ``actor`` is; of a direct one, the one there is already.

    Raises ValidationFailed, TooManyRooms, and UserNotFound, also where a block stands between the two.
    """
    if draft.type == "direct":
        return await _create_direct(tx, actor, draft)
    if draft.name is None:
        raise ValidationFailed(details=[Detail("name", "This field is required.", "REQUIRED")])
    if draft.user_id is not None:
        raise ValidationFailed(details=[Detail("user_id", "Only a direct room is with somebody.", "INVALID")])
    await accounts.stay_signed_in(tx, actor)
    await refuse_more(tx, actor.id)
    room = await _add(tx, actor, draft.type, draft.name, draft.topic)
    await members_store.add(tx, room.id, actor.id, "owner", 0)
    return await describe(tx, actor, room.id)


async def _create_direct(tx: Tx, actor: Member, draft: RoomDraft) -> Room:
    other = draft.user_id
    if other is None:
        raise ValidationFailed(details=[Detail("user_id", "This field is required.", "REQUIRED")])
    if other == actor.id:
        raise ValidationFailed(details=[Detail("user_id", "This is you.", "INVALID")])
    # Both are held: so two who begin at once make one room.
    if other not in await blocks.keep_as_they_are(tx, actor, [other]):
        raise UserNotFound
    await blocks.refuse_blocked(tx, actor, other)
    pair = ":".join(sorted((actor.id.hex, other.hex)))
    found = await rooms_store.find_pair(tx, pair, actor.id)
    if found is not None:
        return await describe(tx, actor, found.id)
    for user_id in (actor.id, other):
        await refuse_more(tx, user_id)
    room = await _add(tx, actor, "direct", "", "", pair)
    for user_id in (actor.id, other):
        await members_store.add(tx, room.id, user_id, "member", 0)
    return await describe(tx, actor, room.id)


async def _add(tx: Tx, actor: Member, kind: str, name: str, topic: str, pair: str | None = None) -> RoomRow:
    room = RoomRow(
        id=new_id(),
        type=kind,
        name=name,
        topic=topic,
        pair=pair,
        seq=0,
        version=0,
        message_count=0,
        member_count=2 if pair else 1,
        slow_seconds=0,
        created_by=actor.id,
        created_at=clock.now(),
        last_message_at=None,
    )
    await rooms_store.add(tx, room)
    tx.emit(RoomCreated(room.id, actor.id, kind))
    return room


async def refuse_more(tx: Tx, user_id: UUID) -> None:
    """Raise :class:`TooManyRooms` where a user is in as many as one can be."""
    if await rooms_store.count_own(tx, user_id) >= MOST_ROOMS:
        raise TooManyRooms


async def describe(tx: Tx, actor: Member, room_id: UUID) -> Room:
    """A room as ``actor`` sees it. Raises RoomNotFound, Banned."""
    return (await describe_all(tx, actor, [await get_seat(tx, actor, room_id)]))[0]


async def describe_all(tx: Tx, actor: Member, seats: list[Seat]) -> list[Room]:
    """Rooms as ``actor`` sees them."""
    others = {seat.id: _other(seat, actor.id) for seat in seats if seat.pair}
    known = (
        {user.id: user for user in await profiles.list_by_ids(tx, list(others.values()))} if others else {}
    )
    found = []
    for seat in seats:
        other = known.get(others[seat.id]) if seat.pair else None
        values = {name: getattr(seat, name) for name in Room.__struct_fields__ if name != "partner"}
        found.append(Room(**values, partner=Somebody(other.id, other.username) if other else None))
    return found


def _other(seat: RoomRow, user_id: UUID) -> UUID:
    one, _, two = (seat.pair or "").partition(":")
    return UUID(two if one == user_id.hex else one)


def partner_of(room: RoomRow, user_id: UUID) -> UUID:
    """The other one in a direct room."""
    return _other(room, user_id)


async def list_own(tx: Tx, actor: Member, page: Page) -> RoomList:
    """A page of the rooms that ``actor`` is in, those first in which something was said last."""
    unseen = await subjects.list_unseen(tx, actor, await rooms_store.list_own_about(tx, actor.id))
    total = await rooms_store.count_own(tx, actor.id) - len(unseen)
    found = await rooms_store.page_own(tx, actor.id, page, unseen) if page.offset < total else []
    return RoomList(await describe_all(tx, actor, found), page.of(total))


async def list_public(tx: Tx, actor: Member, page: Page) -> RoomList:
    """A page of the public rooms, the largest first."""
    total = await rooms_store.count_public(tx)
    found = await rooms_store.page_public(tx, actor.id, page) if page.offset < total else []
    return RoomList(await describe_all(tx, actor, found), page.of(total))


async def change(tx: Tx, actor: Member, room_id: UUID, changes: RoomChanges) -> Room:
    """Name a room otherwise, or slow it down. Raises RoomNotFound, Forbidden, DirectRoom."""
    seat = await hold(tx, actor, room_id, Action.MODERATE_ROOM)
    given = msgspec.structs.asdict(changes)
    kept = {name: getattr(seat, name) if value is None else value for name, value in given.items()}
    await rooms_store.edit(tx, room_id, **kept)
    tx.emit(RoomChanged(room_id, actor.id, tuple(name for name, value in given.items() if value is not None)))
    return await describe(tx, actor, room_id)


async def delete(tx: Tx, live: Live, actor: Member, room_id: UUID) -> None:
    """A room's owner, or who keeps order, removes it with all that was said in it.

    Raises RoomNotFound, Forbidden, DirectRoom.
    """
    seat = await hold(tx, actor, room_id)
    if seat.type == "direct":
        raise DirectRoom
    require(actor, Action.MANAGE_ROOM, seat)
    await remove(tx, live, room_id)


async def remove(tx: Tx, live: Live, room_id: UUID) -> None:
    """Remove a room, which is held."""
    await rooms_store.remove(tx, room_id)
    tx.emit(RoomDeleted(room_id))
    hints.look_after(tx, live, room_id)


async def stats(tx: Tx) -> ChatStats:
    """How much is talked, in numbers alone."""
    totals = await rooms_store.totals(tx)
    active = await members_store.count_active(tx, clock.now() - ACTIVE)
    return ChatStats(totals.rooms, totals.messages, active)


async def is_unread(tx: Tx, actor: Actor, room_id: UUID, message_id: UUID) -> bool:
    """Whether somebody may hear a message that is there still, and has not read up to it."""
    seat = await find_seat(tx, actor, room_id)
    if seat is None or seat.role is None or seat.read_seq is None:
        return False
    found = await messages_store.find(tx, message_id)
    if found is None or found.deleted_at is not None or found.user_id in actor.hidden:
        return False
    return found.seq > seat.read_seq
