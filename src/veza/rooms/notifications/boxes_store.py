"""All SQL about boxes: how much somebody was told, and how much of it they have read."""

from collections.abc import Collection, Iterable, Sequence
from typing import Any
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


def _opening(columns: Sequence[sa.Column[Any]], one: int, change: str) -> sa.Executable:
    """Open the boxes of these users that are not there, with ``one`` change in each, or make that change."""
    first: list[sa.ColumnElement[int]] = [sa.literal_column(str(value)) for value in (one, one, one, 0, 0)]
    there = sa.select(users.c.id, *first).where(any_of(users.c.id, "users")).order_by(users.c.id)
    # Each is held as it comes, new or not: so of two that open several neither waits for the other.
    put = there.suffix_with(f"ON CONFLICT (user_id) DO UPDATE SET {change}")
    return sa.insert(notification_boxes).from_select(list(Box.__struct_fields__), put).returning(*columns)


_OPEN_SOME = Statement(_opening(_COLUMNS, 0, "seq = notification_boxes.seq"), Box)
_PLACE_EACH = Statement(
    _opening(
        [B.user_id, B.seq],
        1,
        "seq = notification_boxes.seq + 1, total = notification_boxes.total + 1,"
        " unread = notification_boxes.unread + 1",
    ),
    Place,
)
_SAVE: Statement[None] = Statement(
    sa.update(notification_boxes)
    .where(_mine)
    .values(
        seq=sa.bindparam("new_seq", type_=sa.BigInteger),
        total=B.total + sa.bindparam("more", type_=sa.BigInteger),
        unread=B.unread + sa.bindparam("more", type_=sa.BigInteger),
    )
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


async def open_some(tx: Tx, user_ids: Collection[UUID]) -> dict[UUID, Box]:
    """The boxes of these users, who are held, the smallest id first; opened where they have none."""
    return {box.user_id: box for box in await tx.all(_OPEN_SOME, users=user_ids)}


async def save_some(tx: Tx, boxes: Iterable[tuple[UUID, int, int]]) -> None:
    """Of boxes that are held: whose, the last place that was taken, and how much more is in there, unread."""
    await tx.run_many(_SAVE, [{"user": user, "new_seq": seq, "more": more} for user, seq, more in boxes])


async def place_each(tx: Tx, user_ids: Collection[UUID]) -> list[Place]:
    """A place for one new thing in each of these users' boxes, which are held and have it counted already."""
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
