"""All SQL about boxes: how much somebody was told, and how much of it they have read."""

from collections.abc import Collection
from uuid import UUID

import msgspec
import sqlalchemy as sa

from veza.core.db import Statement, Tx, any_of
from veza.rooms.accounts.tables import users
from veza.rooms.notifications.tables import notification_boxes

B = notification_boxes.c


class Box(msgspec.Struct, frozen=True):
    """What somebody has been told: ``seq`` counts the changes, and all up to ``read_seq`` has been read."""

    user_id: UUID
    seq: int = 0
    total: int = 0
    unread: int = 0
    read_seq: int = 0
    digest_seq: int = 0


class Place(msgspec.Struct, frozen=True):
    """The place in somebody's order for something new."""

    user_id: UUID
    seq: int


_mine = B.user_id == sa.bindparam("user")
_COLUMNS = [B[name] for name in Box.__struct_fields__]
_FIND = Statement(sa.select(*_COLUMNS).where(_mine), Box)
_HOLD = Statement(sa.select(*_COLUMNS).where(_mine).with_for_update(), Box)
_SOME = Statement(sa.select(*_COLUMNS).where(any_of(B.user_id, "users")), Box)
_HOLD_SOME = Statement(
    sa.select(*_COLUMNS).where(any_of(B.user_id, "users")).order_by(B.user_id).with_for_update(), Box
)
_TAKE = Statement(
    sa.text(
        "INSERT INTO notification_boxes (user_id, seq, total, unread, read_seq, digest_seq) "
        "VALUES (:user, 1, 0, 0, 0, 0) ON CONFLICT (user_id) DO UPDATE SET seq = notification_boxes.seq + 1 "
        "RETURNING user_id, seq, total, unread, read_seq, digest_seq"
    )
    .bindparams(sa.bindparam("user", type_=B.user_id.type))
    .columns(*_COLUMNS),
    Box,
)
_ADD: Statement[None] = Statement(
    sa.update(notification_boxes)
    .where(_mine)
    .values(
        total=B.total + sa.bindparam("more", type_=sa.BigInteger),
        unread=B.unread + sa.bindparam("more_unread", type_=sa.BigInteger),
    )
)
_READ_TO: Statement[None] = Statement(
    sa.update(notification_boxes)
    .where(_mine)
    .values(
        read_seq=sa.bindparam("to", type_=sa.BigInteger), unread=sa.bindparam("left", type_=sa.BigInteger)
    )
)
_DIGESTED: Statement[None] = Statement(
    sa.update(notification_boxes).where(_mine).values(digest_seq=sa.bindparam("to", type_=sa.BigInteger))
)
_REMOVE: Statement[None] = Statement(sa.delete(notification_boxes).where(_mine))
_zero: sa.ColumnElement[int] = sa.literal_column("0")
_has_one = sa.exists(sa.select(B.user_id).where(B.user_id == users.c.id))
_OPEN_MISSING: Statement[None] = Statement(
    sa.insert(notification_boxes).from_select(
        list(Box.__struct_fields__),
        sa.select(users.c.id, _zero, _zero, _zero, _zero, _zero)
        .where(any_of(users.c.id, "users"), sa.not_(_has_one))
        .order_by(users.c.id),
    )
)
_PLACE_EACH = Statement(
    sa.update(notification_boxes)
    .where(any_of(B.user_id, "users"))
    .values(seq=B.seq + 1, total=B.total + 1, unread=B.unread + 1)
    .returning(B.user_id, B.seq),
    Place,
)
_FULL = Statement(
    sa.select(B.user_id).where(B.total > sa.bindparam("most", type_=sa.BigInteger)), UUID, heavy=True
)


async def find(tx: Tx, user_id: UUID) -> Box:
    """Somebody's box; an empty one if they were never told anything."""
    return await tx.first(_FIND, user=user_id) or Box(user_id)


async def hold(tx: Tx, user_id: UUID) -> Box:
    """Somebody's box, which nobody else changes, nor what is in it, until ``tx`` is over."""
    return await tx.first(_HOLD, user=user_id) or Box(user_id)


async def hold_some(tx: Tx, user_ids: Collection[UUID]) -> dict[UUID, Box]:
    """The boxes of these users that there are, the smallest id first, held as by :func:`hold`."""
    return {box.user_id: box for box in await tx.all(_HOLD_SOME, users=user_ids)}


async def list_some(tx: Tx, user_ids: Collection[UUID]) -> list[Box]:
    """The boxes of these users that there are."""
    return await tx.all(_SOME, users=user_ids)


async def take(tx: Tx, user_id: UUID) -> Box:
    """Somebody's box, held, with the place for something new as its ``seq``."""
    box = await tx.first(_TAKE, user=user_id)
    assert box is not None
    return box


async def place_each(tx: Tx, user_ids: Collection[UUID]) -> list[Place]:
    """A place for one new thing in each of these boxes, which are held and have it counted already."""
    await tx.all(_HOLD_SOME, users=user_ids)
    await tx.run(_OPEN_MISSING, users=user_ids)
    return await tx.all(_PLACE_EACH, users=user_ids)


async def add(tx: Tx, user_id: UUID, total: int, unread: int) -> None:
    """Count so many more in a box that is held."""
    await tx.run(_ADD, user=user_id, more=total, more_unread=unread)


async def read_to(tx: Tx, user_id: UUID, seq: int, unread: int) -> None:
    """All up to here is read, and so many after it are not."""
    await tx.run(_READ_TO, user=user_id, to=seq, left=unread)


async def digested(tx: Tx, user_id: UUID, seq: int) -> None:
    """All up to here was in a digest."""
    await tx.run(_DIGESTED, user=user_id, to=seq)


async def remove(tx: Tx, user_id: UUID) -> None:
    """Remove the box of an account that is gone."""
    await tx.run(_REMOVE, user=user_id)


async def list_full(tx: Tx, most: int) -> list[UUID]:
    """Whose boxes hold more than so many."""
    return await tx.all(_FULL, most=most)
