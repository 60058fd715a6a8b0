"""All SQL about what is told together: each like, follow or comment of a notification."""

from collections.abc import Iterable
from datetime import datetime
from uuid import UUID

import msgspec
import sqlalchemy as sa

from veza.core.db import Id, Statement, Tx
from veza.rooms.notifications.store import Row
from veza.rooms.notifications.tables import notification_acts, notifications

A, N = notification_acts.c, notifications.c


class Act(msgspec.Struct, frozen=True):
    """Something that somebody did, told in a notification of ``user_id``'s."""

    notification_id: UUID
    actor_id: UUID
    act_id: UUID
    user_id: UUID


_user, _actor = sa.bindparam("user", type_=Id), sa.bindparam("actor", type_=Id)
_act, _notification = sa.bindparam("act", type_=Id), sa.bindparam("notification", type_=Id)
_in_group = sa.and_(N.user_id == _user, N.group_key == sa.bindparam("group"))
_ROW = [N[name] for name in Row.__struct_fields__]
_of_act = sa.and_(A.notification_id == N.id, A.actor_id == _actor, A.act_id == _act)
_WITH = Statement(
    sa.select(*_ROW)
    .select_from(notifications.join(notification_acts, _of_act))
    .where(_in_group)
    .order_by(N.seq.desc())
    .limit(1),
    Row,
)
# Not as a join: whoever does much has more acts in all than a group has notifications in a day.
_since = sa.select(N.id).where(_in_group, N.created_at > sa.bindparam("since"))
_BY_ACTOR = Statement(
    sa.select(*(A[name] for name in Act.__struct_fields__)).where(
        A.notification_id.in_(_since), A.actor_id == _actor
    ),
    Act,
)
_by_actor = sa.and_(A.notification_id == _notification, A.actor_id == _actor)
_HAS = Statement(sa.select(A.act_id).where(_by_actor).limit(1), UUID)
_ADD: Statement[None] = Statement(sa.insert(notification_acts))
_REMOVE: Statement[None] = Statement(sa.delete(notification_acts).where(_by_actor, A.act_id == _act))
_REMOVE_BY: Statement[None] = Statement(sa.delete(notification_acts).where(_by_actor))
_ACTORS = Statement(
    sa.select(A.actor_id)
    .where(A.notification_id == _notification)
    .distinct()
    .limit(sa.bindparam("count", type_=sa.BigInteger)),
    UUID,
)
_OF_ACT = Statement(
    sa.select(*(A[name] for name in Act.__struct_fields__)).where(A.actor_id == _actor, A.act_id == _act), Act
)
_IN_GROUP = Statement(
    sa.select(*(A[name] for name in Act.__struct_fields__))
    .select_from(notifications.join(notification_acts, A.notification_id == N.id))
    .where(_in_group, A.act_id == _act)
    .order_by(N.seq.desc())
    .limit(1),
    Act,
)
_BETWEEN = Statement(
    sa.select(*_ROW)
    .where(N.id.in_(sa.select(A.notification_id).where(A.actor_id == _actor, A.user_id == _user).distinct()))
    .limit(sa.bindparam("count", type_=sa.BigInteger)),
    Row,
)
_BY = Statement(
    sa.select(A.user_id)
    .where(A.actor_id == _actor)
    .order_by(A.user_id)
    .distinct()
    .limit(sa.bindparam("count", type_=sa.BigInteger)),
    UUID,
)


async def find_with(tx: Tx, user_id: UUID, group: str, actor_id: UUID, act_id: UUID) -> Row | None:
    """The latest notification of a group that tells of this act."""
    return await tx.first(_WITH, user=user_id, group=group, actor=actor_id, act=act_id)


async def find_act(tx: Tx, user_id: UUID, group: str, act_id: UUID) -> Act | None:
    """An act in a group of few, whoever did it."""
    return await tx.first(_IN_GROUP, user=user_id, group=group, act=act_id)


async def list_of_act(tx: Tx, actor_id: UUID, act_id: UUID) -> list[Act]:
    """An act as it is told to each who is told of it."""
    return await tx.all(_OF_ACT, actor=actor_id, act=act_id)


async def list_by(tx: Tx, user_id: UUID, group: str, actor_id: UUID, since: datetime) -> list[Act]:
    """What an actor did that somebody was told of in notifications of a group that were begun since then."""
    return await tx.all(_BY_ACTOR, user=user_id, group=group, actor=actor_id, since=since)


async def has(tx: Tx, notification_id: UUID, actor_id: UUID) -> bool:
    """Whether a notification tells of anything that this actor did."""
    return await tx.first(_HAS, notification=notification_id, actor=actor_id) is not None


async def add_many(tx: Tx, acts: Iterable[Act]) -> None:
    """Write acts down."""
    await tx.run_many(_ADD, [msgspec.structs.asdict(act) for act in acts])


async def remove(tx: Tx, notification_id: UUID, actor_id: UUID, act_id: UUID) -> bool:
    """Remove an act; whether it was there."""
    return await tx.run(_REMOVE, notification=notification_id, actor=actor_id, act=act_id) == 1


async def remove_by(tx: Tx, notification_id: UUID, actor_id: UUID) -> None:
    """Remove all that an actor did from a notification."""
    await tx.run(_REMOVE_BY, notification=notification_id, actor=actor_id)


async def list_actors(tx: Tx, notification_id: UUID, most: int) -> list[UUID]:
    """So many of those whom a notification tells of."""
    return await tx.all(_ACTORS, notification=notification_id, count=most)


async def list_between(tx: Tx, user_id: UUID, actor_id: UUID, most: int) -> list[Row]:
    """So many of a user's notifications that tell of what an actor did."""
    return await tx.all(_BETWEEN, user=user_id, actor=actor_id, count=most)


async def list_told_of(tx: Tx, actor_id: UUID, most: int) -> list[UUID]:
    """So many of those who are told of what an actor did."""
    return await tx.all(_BY, actor=actor_id, count=most)
