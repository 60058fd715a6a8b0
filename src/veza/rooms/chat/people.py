"""Who is in a room: coming and going, roles, silence, bans.

Nobody changes what their equals or betters are. A room always has an owner: whoever leaves it hands it to the
next in line, and the last one out takes it along.
"""

from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

from veza.access.actor import Member
from veza.access.policy import Action, may
from veza.core import clock
from veza.core.db import Tx
from veza.core.errors import Forbidden
from veza.core.live import Live
from veza.core.pages import Page
from veza.rooms.accounts.errors import UserNotFound
from veza.rooms.chat import hints, rooms_store, service
from veza.rooms.chat import members_store as store
from veza.rooms.chat.errors import (
    AlreadyInRoom,
    DirectRoom,
    NoSuchMember,
    OwnersRoom,
    OwnerStays,
    RoomFull,
)
from veza.rooms.chat.events import MemberAdded, MemberBanned, MemberChanged, MemberRemoved, MemberUnbanned
from veza.rooms.chat.members_store import Ban, MemberRow
from veza.rooms.chat.rooms_store import Seat
from veza.rooms.chat.schemas import MemberChanges, MemberDraft, MemberList
from veza.rooms.following import blocks

MOST_MEMBERS = 10_000
_SILENCED = "Left while silenced."
_RANKS = {"reader": 0, "member": 1, "moderator": 2, "owner": 3}


async def list_members(tx: Tx, actor: Member, room_id: UUID, page: Page) -> MemberList:
    """A page of who is in a room, but for the hidden. Raises RoomNotFound, Banned."""
    seat = await service.get_seat(tx, actor, room_id)
    total, hidden = seat.member_count, service.hidden_in(seat, actor)
    if hidden:
        total -= len(await store.list_some(tx, room_id, hidden))
    found = await store.page(tx, room_id, page, hidden) if page.offset < total else []
    return MemberList(found, page.of(total))


async def join(tx: Tx, live: Live, actor: Member, room_id: UUID) -> None:
    """Come into a public room, as often as one will. Raises RoomNotFound, Banned, TooManyRooms, RoomFull."""
    seat = await service.hold(tx, actor, room_id)
    if seat.role is None:
        await take_in(tx, live, seat, actor.id, "member", actor.id)


async def take_in(tx: Tx, live: Live, room: Seat, user_id: UUID, role: str, by: UUID) -> None:
    """Take somebody into a room, which is held. Raises TooManyRooms, RoomFull."""
    if room.member_count >= MOST_MEMBERS:
        raise RoomFull
    await service.refuse_more(tx, user_id)
    await store.add(tx, room.id, user_id, role, room.seq)
    await rooms_store.count_people(tx, room.id, 1)
    tx.emit(MemberAdded(room.id, user_id, by))
    hints.look_after(tx, live, room.id, user_id)


async def add(tx: Tx, live: Live, actor: Member, room_id: UUID, draft: MemberDraft) -> None:
    """Who moderates a room takes somebody in.

    Raises RoomNotFound, Forbidden, DirectRoom, UserNotFound, AlreadyInRoom, TooManyRooms, RoomFull.
    """
    if draft.user_id not in await blocks.keep_as_they_are(tx, actor, [draft.user_id]):
        raise UserNotFound
    await blocks.refuse_blocked(tx, actor, draft.user_id)
    seat = await _hold(tx, actor, room_id, Action.MODERATE_ROOM)
    if draft.role == "moderator" and not may(actor, Action.MANAGE_ROOM, seat):
        raise Forbidden
    if await store.find(tx, room_id, draft.user_id) is not None:
        raise AlreadyInRoom
    await store.remove_ban(tx, room_id, draft.user_id)
    await take_in(tx, live, seat, draft.user_id, draft.role, actor.id)


async def change(
    tx: Tx, live: Live, actor: Member, room_id: UUID, user_id: UUID, changes: MemberChanges
) -> None:
    """Give somebody in a room another role, or silence them; an owner who makes another one steps back.

    Raises RoomNotFound, Forbidden, DirectRoom, NoSuchMember, OwnersRoom, OwnerStays.
    """
    seat = await _hold(tx, actor, room_id, Action.MODERATE_ROOM)
    member = await _below(tx, actor, seat, user_id)
    role, muted = changes.role or member.role, member.muted_until
    if user_id == actor.id and changes.mute_seconds is not None:
        raise Forbidden("Nobody silences themselves, or ends their own silence.")
    if seat.about_id is not None and "owner" in {role, member.role} and role != member.role:
        raise OwnersRoom
    if member.role == "owner" and role != "owner":
        raise OwnerStays
    if role in {"owner", "moderator"} and role != member.role and not may(actor, Action.MANAGE_ROOM, seat):
        raise Forbidden
    if changes.mute_seconds is not None:
        muted = clock.now() + timedelta(seconds=changes.mute_seconds) if changes.mute_seconds else None
    if role == "owner":
        await _step_back(tx, room_id, user_id)
    await store.change(tx, room_id, user_id, role, muted)
    await rooms_store.count_people(tx, room_id, 0)
    tx.emit(MemberChanged(room_id, user_id, actor.id, role, muted is not None))
    hints.look_after(tx, live, room_id, user_id)


async def _step_back(tx: Tx, room_id: UUID, user_id: UUID) -> None:
    owner = await store.find_heir(tx, room_id, user_id)  # the first in line of all the others
    if owner is not None and owner.role == "owner":
        await store.change(tx, room_id, owner.user_id, "moderator", None)


async def remove(tx: Tx, live: Live, actor: Member, room_id: UUID, user_id: UUID) -> None:
    """Leave a room, or send somebody away from it.

    Raises RoomNotFound, Forbidden, DirectRoom, NoSuchMember, OwnersRoom.
    """
    if user_id == actor.id:
        seat = await _hold(tx, actor, room_id, None)
        if seat.role is None:
            raise NoSuchMember
    else:
        seat = await _hold(tx, actor, room_id, Action.MODERATE_ROOM)
        await _below(tx, actor, seat, user_id)
    await take_out(tx, live, seat, user_id, actor.id)


async def take_out(tx: Tx, live: Live, room: Seat, user_id: UUID, by: UUID) -> None:
    """Take somebody, who is in it, out of a room, which is held; the silenced for as long as they are that.

    Raises OwnersRoom.
    """
    room_id, member = room.id, await store.find(tx, room.id, user_id)
    if room.about_id is not None and member is not None and member.role == "owner":
        raise OwnersRoom
    heir = await store.find_heir(tx, room_id, user_id)
    await store.remove(tx, room_id, user_id)
    if member is not None and member.muted_until is not None and member.muted_until > clock.now():
        # Whoever came back at once would be silenced no longer.
        await store.add_ban(tx, Ban(room_id, user_id, by, _SILENCED, member.muted_until, clock.now()))
    await rooms_store.count_people(tx, room_id, -1)
    tx.emit(MemberRemoved(room_id, user_id, by))
    hints.look_after(tx, live, room_id, user_id)
    if heir is None:
        await service.remove(tx, live, room_id)
    elif member is not None and member.role == "owner":
        await store.change(tx, room_id, heir.user_id, "owner", None)


async def ban(
    tx: Tx, live: Live, actor: Member, room_id: UUID, user_id: UUID, reason: str, seconds: int | None
) -> None:
    """Keep somebody out of a room, for so long or for good; who is in it is sent away.

    Raises RoomNotFound, Forbidden, DirectRoom, UserNotFound, OwnersRoom.
    """
    if user_id not in await blocks.keep_as_they_are(tx, actor, [user_id]):
        raise UserNotFound
    seat = await _hold(tx, actor, room_id, Action.MODERATE_ROOM)
    if user_id == actor.id:
        raise Forbidden
    if await store.find(tx, room_id, user_id) is not None:
        await _below(tx, actor, seat, user_id)
        await take_out(tx, live, seat, user_id, actor.id)
    else:
        await rooms_store.count_people(tx, room_id, 0)
    until = None if seconds is None else clock.now() + timedelta(seconds=seconds)
    await store.add_ban(tx, Ban(room_id, user_id, actor.id, reason, until, clock.now()))
    tx.emit(MemberBanned(room_id, user_id, actor.id))
    hints.look_after(tx, live, room_id, user_id)


async def unban(tx: Tx, actor: Member, room_id: UUID, user_id: UUID) -> None:
    """Let somebody come in again. Raises RoomNotFound, Forbidden, DirectRoom, NoSuchMember."""
    await _hold(tx, actor, room_id, Action.MODERATE_ROOM)
    if not await store.remove_ban(tx, room_id, user_id):
        raise NoSuchMember
    tx.emit(MemberUnbanned(room_id, user_id, actor.id))


async def list_bans(tx: Tx, actor: Member, room_id: UUID) -> Sequence[Ban]:
    """Who is kept out of a room. Raises RoomNotFound, Forbidden, DirectRoom."""
    seat = await service.get_seat(tx, actor, room_id)
    _require(actor, seat, Action.MODERATE_ROOM)
    return await store.list_bans(tx, room_id)


async def _hold(tx: Tx, actor: Member, room_id: UUID, action: Action | None) -> Seat:
    seat = await service.hold(tx, actor, room_id)
    _require(actor, seat, action)
    return seat


def _require(actor: Member, seat: Seat, action: Action | None) -> None:
    if seat.type == "direct":
        raise DirectRoom
    if action is not None and not may(actor, action, seat):
        raise Forbidden


async def _below(tx: Tx, actor: Member, seat: Seat, user_id: UUID) -> MemberRow:
    """Somebody in a room who is less there than ``actor``; for who keeps order everywhere, any."""
    member = await store.find(tx, seat.id, user_id)
    if member is None:
        raise NoSuchMember
    mine = _RANKS["owner"] + 1 if may(actor, Action.KEEP_ORDER, seat) else _RANKS[seat.role or "reader"]
    if user_id != actor.id and _RANKS[member.role] >= mine:
        raise Forbidden
    return member
