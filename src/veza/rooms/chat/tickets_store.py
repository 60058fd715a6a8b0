"""All SQL about tokens that have opened a socket, and invitations."""

from datetime import datetime
from uuid import UUID

import msgspec
import sqlalchemy as sa

from veza.core import clock
from veza.core.db import Id, Statement, Time, Tx
from veza.rooms.chat.tables import chat_invites, chat_tickets

I = chat_invites.c  # noqa: E741 - as in every store, its table's first letter


class Invite(msgspec.Struct, frozen=True):
    """A link into a room; ``uses_left`` is None where it is good for any number."""

    id: UUID
    room_id: UUID
    created_by: UUID | None
    uses_left: int | None
    expires_at: datetime
    created_at: datetime


_columns = [I[name] for name in Invite.__struct_fields__]
_USE = Statement(
    sa.text(
        "INSERT INTO chat_tickets (id, expires_at) VALUES (:ticket, :at) ON CONFLICT (id) DO NOTHING "
        "RETURNING id"
    )
    .bindparams(sa.bindparam("ticket", type_=Id), sa.bindparam("at", type_=Time))
    .columns(chat_tickets.c.id),
    UUID,
)
_PURGE: Statement[None] = Statement(
    sa.delete(chat_tickets).where(chat_tickets.c.expires_at < sa.bindparam("now", type_=Time))
)
_PURGE_INVITES: Statement[None] = Statement(
    sa.delete(chat_invites).where(I.expires_at < sa.bindparam("now", type_=Time))
)
_good = sa.and_(
    I.expires_at > sa.bindparam("now", type_=Time), sa.or_(I.uses_left.is_(None), I.uses_left > 0)
)
_FIND = Statement(
    sa.select(*_columns).where(I.digest == sa.bindparam("digest"), _good).with_for_update(), Invite
)
_PEEK = Statement(sa.select(*_columns).where(I.digest == sa.bindparam("digest"), _good), Invite)
_LIST = Statement(
    sa.select(*_columns).where(I.room_id == sa.bindparam("room", type_=Id), _good).order_by(I.id), Invite
)
_ADD: Statement[None] = Statement(sa.insert(chat_invites))
_COUNT_DOWN: Statement[None] = Statement(
    sa.update(chat_invites)
    .where(I.id == sa.bindparam("invite", type_=Id), I.uses_left.is_not(None))
    .values(uses_left=I.uses_left - 1)
)
_REVOKE: Statement[None] = Statement(
    sa.delete(chat_invites).where(
        I.room_id == sa.bindparam("room", type_=Id), I.id == sa.bindparam("invite", type_=Id)
    )
)
_FORGET: Statement[None] = Statement(
    sa.delete(chat_invites).where(I.room_id == sa.bindparam("room", type_=Id))
)


async def use(tx: Tx, ticket: UUID, expires_at: datetime) -> bool:
    """A token opens a socket; whether it is the first time."""
    return await tx.first(_USE, ticket=ticket, at=expires_at) is not None


async def purge(tx: Tx) -> None:
    """Forget what has expired."""
    await tx.run(_PURGE, now=clock.now())
    await tx.run(_PURGE_INVITES, now=clock.now())


async def add_invite(tx: Tx, invite: Invite, digest: bytes) -> None:
    """Write an invitation down."""
    await tx.run(_ADD, **msgspec.structs.asdict(invite), digest=digest)


async def peek_invite(tx: Tx, digest: bytes) -> Invite | None:
    """An invitation that is good."""
    return await tx.first(_PEEK, digest=digest, now=clock.now())


async def find_invite(tx: Tx, digest: bytes) -> Invite | None:
    """An invitation that is good, which nobody else uses meanwhile."""
    return await tx.first(_FIND, digest=digest, now=clock.now())


async def list_invites(tx: Tx, room_id: UUID) -> list[Invite]:
    """The invitations to a room that are good."""
    return await tx.all(_LIST, room=room_id, now=clock.now())


async def count_down(tx: Tx, invite_id: UUID) -> None:
    """An invitation was used once."""
    await tx.run(_COUNT_DOWN, invite=invite_id)


async def revoke(tx: Tx, room_id: UUID, invite_id: UUID) -> bool:
    """Make an invitation open nothing; whether there was this one."""
    return await tx.run(_REVOKE, room=room_id, invite=invite_id) == 1


async def forget_room(tx: Tx, room_id: UUID) -> None:
    """Forget the invitations to a room that is gone."""
    await tx.run(_FORGET, room=room_id)
