"""Who is in rooms, over HTTP."""

from collections.abc import Sequence
from typing import Annotated
from uuid import UUID

import msgspec
from litestar.params import Dependency, Parameter

from veza.access.actor import Me
from veza.core.http import InTx, Reply, Route, Said, reply, said
from veza.core.live import Live
from veza.core.pages import MAX_LIMIT, MAX_PAGE, Page
from veza.rooms.chat import invites, people
from veza.rooms.chat.invites import InviteDraft, NewInvite
from veza.rooms.chat.members_store import Ban
from veza.rooms.chat.schemas import MemberChanges, MemberDraft, MemberList, Reason, RoomBody, Seconds
from veza.rooms.chat.tickets_store import Invite

TheLive = Annotated[Live, Dependency(skip_validation=True)]


class BanDraft(msgspec.Struct, frozen=True):
    """Whom to keep out, why, and for how many seconds; without them for good."""

    user_id: UUID
    reason: Reason = ""
    seconds: Seconds | None = None


class Bans(msgspec.Struct, frozen=True):
    """Who is kept out of a room."""

    bans: Sequence[Ban]


class Invites(msgspec.Struct, frozen=True):
    """The invitations to a room."""

    invites: Sequence[Invite]


class InviteBody(msgspec.Struct, frozen=True):
    """An invitation that was just made."""

    invite: NewInvite


class Acceptance(msgspec.Struct, frozen=True):
    """The token of an invitation."""

    token: Annotated[str, msgspec.Meta(min_length=1, max_length=100)]


@Route("/chat/rooms/{room_id:str}/members", http_method="GET")
async def list_members(
    tx: InTx,
    actor: Me,
    room_id: UUID,
    page: Annotated[int, Parameter(ge=1, le=MAX_PAGE)] = 1,
    limit: Annotated[int, Parameter(ge=1, le=MAX_LIMIT)] = 20,
) -> Reply[MemberList]:
    """List who is in a room."""
    return reply(await people.list_members(tx, actor, room_id, Page(page, limit)))


@Route("/chat/rooms/{room_id:str}/join", http_method="POST", status_code=200)
async def join_room(tx: InTx, actor: Me, live: TheLive, room_id: UUID) -> Reply[Said]:
    """Join a public room."""
    await people.join(tx, live, actor, room_id)
    return said("You are in the room")


@Route("/chat/rooms/{room_id:str}/members", http_method="POST", status_code=201)
async def add_member(tx: InTx, actor: Me, live: TheLive, room_id: UUID, data: MemberDraft) -> Reply[Said]:
    """Take somebody into a room."""
    await people.add(tx, live, actor, room_id, data)
    return said("Member added successfully")


@Route("/chat/rooms/{room_id:str}/members/{user_id:str}", http_method="PUT")
async def change_member(
    tx: InTx, actor: Me, live: TheLive, room_id: UUID, user_id: UUID, data: MemberChanges
) -> Reply[Said]:
    """Give somebody another role in a room, or silence them."""
    await people.change(tx, live, actor, room_id, user_id, data)
    return said("Member changed successfully")


@Route("/chat/rooms/{room_id:str}/members/{user_id:str}", http_method="DELETE", status_code=200)
async def remove_member(tx: InTx, actor: Me, live: TheLive, room_id: UUID, user_id: UUID) -> Reply[Said]:
    """Leave a room, or send somebody away from it."""
    await people.remove(tx, live, actor, room_id, user_id)
    return said("Member removed successfully")


@Route("/chat/rooms/{room_id:str}/bans", http_method="GET")
async def list_bans(tx: InTx, actor: Me, room_id: UUID) -> Reply[Bans]:
    """List who is kept out of a room."""
    return reply(Bans(await people.list_bans(tx, actor, room_id)))


@Route("/chat/rooms/{room_id:str}/bans", http_method="POST", status_code=201)
async def ban_user(tx: InTx, actor: Me, live: TheLive, room_id: UUID, data: BanDraft) -> Reply[Said]:
    """Keep somebody out of a room."""
    await people.ban(tx, live, actor, room_id, data.user_id, data.reason, data.seconds)
    return said("User banned")


@Route("/chat/rooms/{room_id:str}/bans/{user_id:str}", http_method="DELETE", status_code=200)
async def unban_user(tx: InTx, actor: Me, room_id: UUID, user_id: UUID) -> Reply[Said]:
    """Let somebody into a room again."""
    await people.unban(tx, actor, room_id, user_id)
    return said("User unbanned")


@Route("/chat/rooms/{room_id:str}/invites", http_method="POST", status_code=201)
async def create_invite(tx: InTx, actor: Me, room_id: UUID, data: InviteDraft) -> Reply[InviteBody]:
    """Make an invitation to a room; its token is shown once."""
    return reply(InviteBody(await invites.create(tx, actor, room_id, data)))


@Route("/chat/rooms/{room_id:str}/invites", http_method="GET")
async def list_invites(tx: InTx, actor: Me, room_id: UUID) -> Reply[Invites]:
    """List the invitations to a room."""
    return reply(Invites(await invites.list_invites(tx, actor, room_id)))


@Route("/chat/rooms/{room_id:str}/invites/{invite_id:str}", http_method="DELETE", status_code=200)
async def revoke_invite(tx: InTx, actor: Me, room_id: UUID, invite_id: UUID) -> Reply[Said]:
    """Revoke an invitation."""
    await invites.revoke(tx, actor, room_id, invite_id)
    return said("Invitation revoked")


@Route("/chat/invites/accept", http_method="POST", status_code=200)
async def accept_invite(tx: InTx, actor: Me, live: TheLive, data: Acceptance) -> Reply[RoomBody]:
    """Come into a room by an invitation."""
    return reply(RoomBody(await invites.accept(tx, live, actor, data.token)))


ROUTES = [
    list_members, join_room, add_member, change_member, remove_member, list_bans, ban_user, unban_user,
    create_invite, list_invites, revoke_invite, accept_invite,
]  # fmt: skip
