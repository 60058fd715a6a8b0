"""All SQL about what people want to be told of."""

from collections.abc import Collection
from uuid import UUID

import msgspec
import sqlalchemy as sa

from veza.core.db import Id, Statement, Tx, any_of
from veza.rooms.notifications.schemas import Channels
from veza.rooms.notifications.tables import notification_preferences

P = notification_preferences.c


class Choice(msgspec.Struct, frozen=True):
    """What somebody has chosen for a type."""

    type: str
    in_app: bool
    email: bool


class Chosen(msgspec.Struct, frozen=True):
    """Who has chosen it, and what."""

    user_id: UUID
    type: str
    in_app: bool
    email: bool


_user, _type = sa.bindparam("user", type_=Id), sa.bindparam("type", type_=sa.Text)
_CHOSEN = Statement(sa.select(P.type, P.in_app, P.email).where(P.user_id == _user).order_by(P.type), Choice)
_ONE = Statement(sa.select(P.type, P.in_app, P.email).where(P.user_id == _user, P.type == _type), Choice)
_SOME = Statement(
    sa.select(P.user_id, P.type, P.in_app, P.email).where(
        any_of(P.user_id, "users"), any_of(P.type, "types")
    ),
    Chosen,
)
_CHOOSE: Statement[None] = Statement(
    sa.text(
        "INSERT INTO notification_preferences (user_id, type, in_app, email) "
        "VALUES (:user, :type, :in_app, :email) ON CONFLICT (user_id, type) "
        "DO UPDATE SET in_app = excluded.in_app, email = excluded.email"
    ).bindparams(
        _user, _type, sa.bindparam("in_app", type_=sa.Boolean), sa.bindparam("email", type_=sa.Boolean)
    )
)
_DEAF = Statement(
    sa.select(P.user_id).where(any_of(P.user_id, "users"), P.type == _type, sa.not_(P.in_app)), UUID
)
_MAILED = Statement(
    sa.select(P.user_id)
    .where(P.email, any_of(P.type, "types"), P.user_id > sa.bindparam("after", type_=Id))
    .distinct()
    .order_by(P.user_id)
    .limit(sa.bindparam("count", type_=sa.BigInteger)),
    UUID,
)


async def list_chosen(tx: Tx, user_id: UUID) -> list[Choice]:
    """All that somebody has chosen."""
    return await tx.all(_CHOSEN, user=user_id)


async def find(tx: Tx, user_id: UUID, kind: str) -> Choice | None:
    """What somebody has chosen for a type."""
    return await tx.first(_ONE, user=user_id, type=kind)


async def list_some(tx: Tx, user_ids: Collection[UUID], types: Collection[str]) -> list[Chosen]:
    """What some have chosen for some types."""
    return await tx.all(_SOME, users=user_ids, types=types)


async def choose(tx: Tx, user_id: UUID, kind: str, channels: Channels) -> None:
    """Write down what somebody has chosen for a type."""
    await tx.run(_CHOOSE, user=user_id, type=kind, in_app=channels.in_app, email=channels.email)


async def list_deaf(tx: Tx, user_ids: Collection[UUID], kind: str) -> list[UUID]:
    """Who of these does not want to be told of a type."""
    return await tx.all(_DEAF, users=user_ids, type=kind)


async def list_mailed(tx: Tx, types: Collection[str], after: UUID, most: int) -> list[UUID]:
    """So many of those who want any of these types by mail, in the order of their ids, after one."""
    return await tx.all(_MAILED, types=types, after=after, count=most)
