"""All SQL about who is in which room, and who may not come in."""

from collections.abc import Collection
from datetime import datetime
from uuid import UUID

import msgspec
import sqlalchemy as sa

from veza.core import clock
from veza.core.db import Id, Statement, Time, Tx, any_of
from veza.core.pages import Page
from veza.rooms.accounts.tables import users
from veza.rooms.chat.schemas import ChatMember
from veza.rooms.chat.tables import chat_bans, chat_members, chat_people

M = chat_members.c
B = chat_bans.c


class MemberRow(msgspec.Struct, frozen=True):
    """Somebody in a room, as it is kept."""

    room_id: UUID
    user_id: UUID
    role: str
    read_seq: int
    muted_until: datetime | None
    joined_at: datetime


class Ban(msgspec.Struct, frozen=True):
    """Somebody who may not come into a room, until then or for good."""

    room_id: UUID
    user_id: UUID
    banned_by: UUID | None
    reason: str
    until: datetime | None
    created_at: datetime


_BIG = sa.BigInteger
_room = M.room_id == sa.bindparam("room", type_=Id)
_one = sa.and_(_room, M.user_id == sa.bindparam("user", type_=Id))
_columns = [M[name] for name in MemberRow.__struct_fields__]
_FIND = Statement(sa.select(*_columns).where(_one), MemberRow)
_SOME = Statement(sa.select(*_columns).where(_room, any_of(M.user_id, "users")), MemberRow)
_ADD: Statement[None] = Statement(sa.insert(chat_members))
_REMOVE: Statement[None] = Statement(sa.delete(chat_members).where(_one))
_CHANGE: Statement[None] = Statement(
    sa.update(chat_members)
    .where(_one)
    .values(role=sa.bindparam("new_role"), muted_until=sa.bindparam("muted", type_=Time))
)
_READ: Statement[None] = Statement(
    sa.update(chat_members)
    .where(_one, M.read_seq < sa.bindparam("to", type_=_BIG))
    .values(read_seq=sa.bindparam("to", type_=_BIG))
)
_rank = sa.case({"owner": 0, "moderator": 1, "member": 2}, value=M.role, else_=3)
_page = (
    sa.select(M.user_id, users.c.username, M.role, M.joined_at, M.read_seq, M.muted_until)
    .select_from(chat_members.join(users, users.c.id == M.user_id))
    .where(_room)
    .order_by(_rank, M.joined_at, M.user_id)
    .limit(sa.bindparam("limit", type_=_BIG))
    .offset(sa.bindparam("offset", type_=_BIG))
)
_PAGE = Statement(_page, ChatMember, heavy=True)
_PAGE_HIDING = Statement(_page.where(sa.not_(any_of(M.user_id, "hidden"))), ChatMember, heavy=True)
# Who owns a room whose owner leaves: whoever stood next to them, and was there first.
_HEIR = Statement(
    sa.select(*_columns)
    .where(_room, M.user_id != sa.bindparam("user", type_=Id))
    .order_by(_rank, M.joined_at, M.user_id)
    .limit(1),
    MemberRow,
)
_OWNERS = Statement(sa.select(*_columns).where(_room, M.role == "owner"), MemberRow)
_OF_USER = Statement(
    sa.select(*_columns).where(M.user_id == sa.bindparam("user", type_=Id)).order_by(M.room_id), MemberRow
)
_FIND_BAN = Statement(
    sa.select(*(B[name] for name in Ban.__struct_fields__)).where(
        B.room_id == sa.bindparam("room", type_=Id),
        B.user_id == sa.bindparam("user", type_=Id),
        sa.or_(B.until.is_(None), B.until > sa.bindparam("now", type_=Time)),
    ),
    Ban,
)
_BANS = Statement(
    sa.select(*(B[name] for name in Ban.__struct_fields__))
    .where(
        B.room_id == sa.bindparam("room", type_=Id),
        sa.or_(B.until.is_(None), B.until > sa.bindparam("now", type_=Time)),
    )
    .order_by(B.created_at.desc(), B.user_id)
    .limit(1_000),
    Ban,
)
_ADD_BAN: Statement[None] = Statement(sa.insert(chat_bans))
_one_ban = sa.and_(B.room_id == sa.bindparam("room", type_=Id), B.user_id == sa.bindparam("user", type_=Id))
_REMOVE_BAN: Statement[None] = Statement(sa.delete(chat_bans).where(_one_ban))
_FORGET_BANS: Statement[None] = Statement(
    sa.delete(chat_bans).where(B.user_id == sa.bindparam("user", type_=Id))
)
_SEEN: Statement[None] = Statement(
    sa.text(
        "INSERT INTO chat_people (user_id, seen_at) VALUES (:user, :at) "
        "ON CONFLICT (user_id) DO UPDATE SET seen_at = excluded.seen_at"
    ).bindparams(sa.bindparam("user", type_=Id), sa.bindparam("at", type_=Time))
)
_UNSEEN: Statement[None] = Statement(
    sa.delete(chat_people).where(chat_people.c.user_id == sa.bindparam("user", type_=Id))
)
_ACTIVE = Statement(
    sa.select(sa.func.count()).where(chat_people.c.seen_at > sa.bindparam("since", type_=Time)),
    int,
    heavy=True,
)
_some = sa.select(M.user_id).where(_room).limit(sa.bindparam("count", type_=_BIG))
_FORGET: Statement[None] = Statement(sa.delete(chat_members).where(_room, M.user_id.in_(_some)))
_some_bans = (
    sa.select(B.user_id)
    .where(B.room_id == sa.bindparam("room", type_=Id))
    .limit(sa.bindparam("count", type_=_BIG))
)
_FORGET_ROOM_BANS: Statement[None] = Statement(
    sa.delete(chat_bans).where(B.room_id == sa.bindparam("room", type_=Id), B.user_id.in_(_some_bans))
)


async def find(tx: Tx, room_id: UUID, user_id: UUID) -> MemberRow | None:
    """Somebody in a room."""
    return await tx.first(_FIND, room=room_id, user=user_id)


async def list_some(tx: Tx, room_id: UUID, user_ids: Collection[UUID]) -> dict[UUID, MemberRow]:
    """Those of these users who are in a room."""
    return {row.user_id: row for row in await tx.all(_SOME, room=room_id, users=user_ids)}


async def add(tx: Tx, room_id: UUID, user_id: UUID, role: str, read_seq: int) -> None:
    """Somebody is in a room from now on, and has read all up to here."""
    row = MemberRow(room_id, user_id, role, read_seq, None, clock.now())
    await tx.run(_ADD, **msgspec.structs.asdict(row))


async def remove(tx: Tx, room_id: UUID, user_id: UUID) -> bool:
    """Somebody is in a room no longer; whether they were."""
    return await tx.run(_REMOVE, room=room_id, user=user_id) == 1


async def change(tx: Tx, room_id: UUID, user_id: UUID, role: str, muted_until: datetime | None) -> None:
    """Give somebody this role, and let them speak only then."""
    await tx.run(_CHANGE, room=room_id, user=user_id, new_role=role, muted=muted_until)


async def read_to(tx: Tx, room_id: UUID, user_id: UUID, seq: int) -> bool:
    """Somebody has read all up to here; whether that is further than before."""
    return await tx.run(_READ, room=room_id, user=user_id, to=seq) == 1


async def page(tx: Tx, room_id: UUID, page: Page, hidden: Collection[UUID]) -> list[ChatMember]:
    """A page of who is in a room, but for the hidden: the owner, who moderates, and then as they came."""
    given = {"room": room_id, "limit": page.limit, "offset": page.offset}
    if hidden:
        return await tx.all(_PAGE_HIDING, hidden=hidden, **given)
    return await tx.all(_PAGE, **given)


async def find_heir(tx: Tx, room_id: UUID, user_id: UUID) -> MemberRow | None:
    """Who comes after this user in a room; None where they are alone."""
    return await tx.first(_HEIR, room=room_id, user=user_id)


async def list_owners(tx: Tx, room_id: UUID) -> list[MemberRow]:
    """Who owns a room."""
    return await tx.all(_OWNERS, room=room_id)


async def list_of(tx: Tx, user_id: UUID) -> list[MemberRow]:
    """Every room that a user is in."""
    return await tx.all(_OF_USER, user=user_id)


async def find_ban(tx: Tx, room_id: UUID, user_id: UUID) -> Ban | None:
    """What keeps a user out of a room now."""
    return await tx.first(_FIND_BAN, room=room_id, user=user_id, now=clock.now())


async def list_bans(tx: Tx, room_id: UUID) -> list[Ban]:
    """Who is kept out of a room now, the latest first; a thousand at most."""
    return await tx.all(_BANS, room=room_id, now=clock.now())


async def add_ban(tx: Tx, ban: Ban) -> None:
    """Keep somebody out, in the place of what kept them out before."""
    await tx.run(_REMOVE_BAN, room=ban.room_id, user=ban.user_id)
    await tx.run(_ADD_BAN, **msgspec.structs.asdict(ban))


async def remove_ban(tx: Tx, room_id: UUID, user_id: UUID) -> bool:
    """Keep somebody out no longer; whether they were."""
    return await tx.run(_REMOVE_BAN, room=room_id, user=user_id) == 1


async def forget_user(tx: Tx, user_id: UUID) -> None:
    """Forget when a user was here, and where they were kept out."""
    await tx.run(_FORGET_BANS, user=user_id)
    await tx.run(_UNSEEN, user=user_id)


async def seen(tx: Tx, user_id: UUID) -> None:
    """Somebody is here now."""
    await tx.run(_SEEN, user=user_id, at=clock.now())


async def count_active(tx: Tx, since: datetime) -> int:
    """How many were here since."""
    return await tx.first(_ACTIVE, since=since) or 0


async def forget_room(tx: Tx, room_id: UUID, most: int) -> bool:
    """Forget so many of who was in a room that is gone, or kept out; whether there may be more."""
    gone = await tx.run(_FORGET, room=room_id, count=most)
    gone += await tx.run(_FORGET_ROOM_BANS, room=room_id, count=most)
    return gone > 0
