"""All SQL about who follows whom."""

from collections.abc import Collection
from datetime import datetime
from functools import cache
from typing import Literal
from uuid import UUID

import sqlalchemy as sa

from veza.core import clock
from veza.core.db import Statement, Tx, any_of
from veza.core.pages import Page
from veza.rooms.accounts.tables import users
from veza.rooms.following.schemas import Follow, FollowOrder
from veza.rooms.following.tables import follows

F = follows.c
# Beyond this offset a page takes milliseconds to walk to.
DEEP = 5_000

# Which end of a follow a user is at: of their followers they are the one who is followed.
End = Literal["follower_id", "followed_id"]
_OTHER: dict[End, End] = {"follower_id": "followed_id", "followed_id": "follower_id"}

# A second one waits for the first one's commit, and then is none.
_ADD: Statement[None] = Statement(
    sa.text(
        "INSERT INTO follows (follower_id, followed_id, created_at) VALUES (:follower, :followed, :at) "
        "ON CONFLICT (follower_id, followed_id) DO NOTHING"
    ).bindparams(
        sa.bindparam("follower", type_=F.follower_id.type),
        sa.bindparam("followed", type_=F.followed_id.type),
        sa.bindparam("at", type_=F.created_at.type),
    )
)
_REMOVE: Statement[None] = Statement(
    sa.delete(follows).where(
        F.follower_id == sa.bindparam("follower"), F.followed_id == sa.bindparam("followed")
    )
)

_BETWEEN = Statement(
    sa.union_all(
        *(
            sa.select(F.follower_id).where(
                F.follower_id == sa.bindparam(follower), F.followed_id == sa.bindparam(followed)
            )
            for follower, followed in (("one", "other"), ("other", "one"))
        )
    ),
    UUID,
)
_OF_USER = Statement(
    sa.select(F.followed_id.label("user_id"), users.c.username, F.created_at.label("followed_at"))
    .select_from(follows.join(users, users.c.id == F.followed_id))
    .where(F.follower_id == sa.bindparam("user"))
    .order_by(F.created_at, F.followed_id),
    Follow,
)

_since = (
    sa.select(F.follower_id.label("user_id"), users.c.username, F.created_at.label("followed_at"))
    .select_from(follows.join(users, users.c.id == F.follower_id))
    .where(F.followed_id == sa.bindparam("user"), F.created_at <= sa.bindparam("before"))
    .order_by(F.created_at, F.follower_id)
    .limit(sa.bindparam("count", type_=sa.BigInteger))
)
_SINCE_FIRST = Statement(_since, Follow)
_SINCE = Statement(
    _since.where(
        sa.tuple_(F.created_at, F.follower_id)
        > sa.tuple_(
            sa.bindparam("moment", type_=F.created_at.type), sa.bindparam("last", type_=F.follower_id.type)
        )
    ),
    Follow,
)


async def add(tx: Tx, follower_id: UUID, followed_id: UUID) -> bool:
    """Write a follow down; whether it is new."""
    return await tx.run(_ADD, follower=follower_id, followed=followed_id, at=clock.now()) == 1


async def remove(tx: Tx, follower_id: UUID, followed_id: UUID) -> bool:
    """Take a follow back; whether there was one."""
    return await tx.run(_REMOVE, follower=follower_id, followed=followed_id) == 1


async def find_between(tx: Tx, one: UUID, other: UUID) -> set[UUID]:
    """Who of these two follows the other."""
    return set(await tx.all(_BETWEEN, one=one, other=other))


async def page(
    tx: Tx, user_id: UUID, end: End, page: Page, order: FollowOrder, *, hidden: Collection[UUID]
) -> list[Follow]:
    """One page of whom a user is followed by, or follows; who is suspended, gone or hidden is left out."""
    statement = _page_statement(end, order, deep=page.offset >= DEEP, hiding=bool(hidden))
    return await tx.all(statement, user=user_id, hidden=hidden, limit=page.limit, offset=page.offset)


@cache
def _page_statement(end: End, order: FollowOrder, *, deep: bool, hiding: bool) -> Statement[Follow]:
    other = F[_OTHER[end]]
    chosen = (
        sa.select(other.label("user_id"), users.c.username, F.created_at.label("followed_at"))
        .select_from(follows.join(users, users.c.id == other))
        .where(*_listed(end, hiding=hiding))
        .order_by(*(column.desc() if order == "desc" else column.asc() for column in (F.created_at, other)))
        .limit(sa.bindparam("limit", type_=sa.BigInteger))
        .offset(sa.bindparam("offset", type_=sa.BigInteger))
    )
    return Statement(chosen, Follow, heavy=deep)


def _listed(end: End, *, hiding: bool) -> list[sa.ColumnElement[bool]]:
    seen = [sa.not_(any_of(F[_OTHER[end]], "hidden"))] if hiding else []
    return [F[end] == sa.bindparam("user"), users.c.suspended_at.is_(None), *seen]


async def count_listed(tx: Tx, user_id: UUID, end: End, most: int, *, hidden: Collection[UUID]) -> int:
    """How many of the at ``most`` so many at the other end are neither suspended, gone nor hidden."""
    statement = _count_listed_statement(end, deep=most >= DEEP, hiding=bool(hidden))
    return await tx.first(statement, user=user_id, hidden=hidden) or 0


@cache
def _count_listed_statement(end: End, *, deep: bool, hiding: bool) -> Statement[int]:
    people = follows.join(users, users.c.id == F[_OTHER[end]])
    counted = sa.select(sa.func.count()).select_from(people).where(*_listed(end, hiding=hiding))
    return Statement(counted, int, heavy=deep)


async def count_some(tx: Tx, user_id: UUID, end: End, others: Collection[UUID]) -> int:
    """How many of these are at the other end of a user's follows."""
    return await tx.first(_count_statement(end), user=user_id, others=others) or 0


@cache
def _count_statement(end: End) -> Statement[int]:
    counted = sa.select(sa.func.count()).where(
        F[end] == sa.bindparam("user"), any_of(F[_OTHER[end]], "others")
    )
    return Statement(counted, int)


async def list_since(
    tx: Tx, user_id: UUID, after: tuple[datetime, UUID] | None, before: datetime, most: int
) -> list[Follow]:
    """So many of those who follow a user, in the order in which they began to, until a moment."""
    statement = _SINCE_FIRST if after is None else _SINCE
    moment, last = after or (before, user_id)
    return await tx.all(statement, user=user_id, moment=moment, last=last, before=before, count=most)


async def list_of(tx: Tx, user_id: UUID) -> list[Follow]:
    """Whom a user follows, since the first."""
    return await tx.all(_OF_USER, user=user_id)


async def some(tx: Tx, user_id: UUID, end: End, most: int) -> list[UUID]:
    """At most so many of those at the other end of a user's follows."""
    return await tx.all(_some_statement(end), user=user_id, count=most)


@cache
def _some_statement(end: End) -> Statement[UUID]:
    chosen = sa.select(F[_OTHER[end]]).where(F[end] == sa.bindparam("user")).limit(sa.bindparam("count"))
    return Statement(chosen, UUID)


async def part(tx: Tx, user_id: UUID, end: End, others: Collection[UUID]) -> list[UUID]:
    """Remove the follows between a user and these others; whom there was one with."""
    return await tx.all(_part_statement(end), user=user_id, others=others)


@cache
def _part_statement(end: End) -> Statement[UUID]:
    other = F[_OTHER[end]]
    gone = sa.delete(follows).where(F[end] == sa.bindparam("user"), any_of(other, "others")).returning(other)
    return Statement(gone, UUID)
