"""Invitations: links into a room, for whoever has one, until they expire, are used up or revoked.

The token of a link is shown once; kept is its digest.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Annotated
from uuid import UUID

import msgspec

from veza.access.actor import Member
from veza.access.policy import Action
from veza.access.secrets import digest, new_secret
from veza.core import clock
from veza.core.db import Tx
from veza.core.ids import new_id
from veza.core.live import Live
from veza.rooms.accounts import service as accounts
from veza.rooms.chat import members_store, people, rooms_store, service, subjects
from veza.rooms.chat import tickets_store as store
from veza.rooms.chat.errors import Banned, DirectRoom, InviteNotFound, TooManyInvites
from veza.rooms.chat.events import InviteCreated, InviteRevoked
from veza.rooms.chat.schemas import Room, Seconds
from veza.rooms.chat.tickets_store import Invite

GOOD_FOR = timedelta(days=7)
MOST = 100


class InviteDraft(msgspec.Struct, frozen=True):
    """How long an invitation is good, in seconds, and how often."""

    expires_in: Seconds | None = None
    uses: Annotated[int, msgspec.Meta(ge=1, le=10_000)] | None = None


class NewInvite(msgspec.Struct, frozen=True):
    """An invitation with its token, which is not shown again."""

    id: UUID
    token: str
    uses_left: int | None
    expires_at: datetime


async def create(tx: Tx, actor: Member, room_id: UUID, draft: InviteDraft) -> NewInvite:
    """A new way into a room. Raises RoomNotFound, Forbidden, DirectRoom, TooManyInvites."""
    seat = await service.hold(tx, actor, room_id, Action.MODERATE_ROOM)
    if seat.type == "direct":
        raise DirectRoom
    if len(await store.list_invites(tx, room_id)) >= MOST:
        raise TooManyInvites
    token, now = new_secret(), clock.now()
    lasts = GOOD_FOR if draft.expires_in is None else timedelta(seconds=draft.expires_in)
    invite = Invite(new_id(), room_id, actor.id, draft.uses, now + lasts, now)
    await store.add_invite(tx, invite, digest(token))
    tx.emit(InviteCreated(room_id, actor.id, invite.id))
    return NewInvite(invite.id, token, invite.uses_left, invite.expires_at)


async def list_invites(tx: Tx, actor: Member, room_id: UUID) -> Sequence[Invite]:
    """The invitations to a room that are good. Raises RoomNotFound, Forbidden."""
    await service.get_to_moderate(tx, actor, room_id)
    return await store.list_invites(tx, room_id)


async def revoke(tx: Tx, actor: Member, room_id: UUID, invite_id: UUID) -> None:
    """Make an invitation open nothing. Raises RoomNotFound, Forbidden, InviteNotFound."""
    await service.hold(tx, actor, room_id, Action.MODERATE_ROOM)
    if not await store.revoke(tx, room_id, invite_id):
        raise InviteNotFound
    tx.emit(InviteRevoked(room_id, actor.id, invite_id))


async def accept(tx: Tx, live: Live, actor: Member, token: str) -> Room:
    """Come in by an invitation; who is in already stays.

    Raises InviteNotFound, Banned, TooManyRooms, RoomFull.
    """
    await accounts.stay_signed_in(tx, actor)
    # The room before its invitation, as everywhere; and the invitation again, for it may be used up by then.
    found = await store.peek_invite(tx, digest(token))
    if found is None or await rooms_store.hold(tx, found.room_id) is None:
        raise InviteNotFound
    invite = await store.find_invite(tx, digest(token))
    seat = await rooms_store.find(tx, found.room_id, actor.id)
    if invite is None or seat is None or not await subjects.is_seen(tx, actor, seat):
        raise InviteNotFound
    if await members_store.find_ban(tx, seat.id, actor.id) is not None:
        raise Banned
    if seat.role is None:
        await store.count_down(tx, invite.id)
        await people.take_in(tx, live, seat, actor.id, "member", actor.id)
    return await service.describe(tx, actor, seat.id)
