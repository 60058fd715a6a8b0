"""All SQL about likes."""

from collections.abc import AsyncIterator, Collection
from datetime import datetime
from functools import cache
from uuid import UUID

import sqlalchemy as sa

from veza.core import clock
from veza.core.db import Statement, Tx, any_of
from veza.core.pages import Page
from veza.rooms.accounts.tables import users
from veza.rooms.likes.schemas import Like, LikedTrack
from veza.rooms.likes.tables import likes

L = likes.c
# Beyond this offset a page takes milliseconds to walk to.
DEEP = 5_000

_one = sa.and_(L.track_id == sa.bindparam("track"), L.user_id == sa.bindparam("user"))
# A second like waits for the first one's commit, and then is none.
_ADD: Statement[None] = Statement(
    sa.text(
        "INSERT INTO likes (track_id, user_id, created_at) VALUES (:track, :user, :at) "
        "ON CONFLICT (track_id, user_id) DO NOTHING"
    ).bindparams(
        sa.bindparam("track", type_=L.track_id.type),
        sa.bindparam("user", type_=L.user_id.type),
        sa.bindparam("at", type_=L.created_at.type),
    )
)
_REMOVE: Statement[None] = Statement(sa.delete(likes).where(_one))
_people = likes.join(users, users.c.id == L.user_id)
_COUNT_BY = Statement(
    sa.select(sa.func.count()).where(L.track_id == sa.bindparam("track"), any_of(L.user_id, "people")), int
)
_HAS = Statement(sa.select(L.created_at).where(_one), datetime)
_LIKED = Statement(
    sa.select(L.track_id, L.created_at.label("liked_at"))
    .where(L.user_id == sa.bindparam("user"))
    .order_by(L.created_at, L.track_id),
    LikedTrack,
)
_REMOVE_OF: Statement[None] = Statement(sa.delete(likes).where(L.user_id == sa.bindparam("user")))
_some = sa.select(L.user_id).where(L.track_id == sa.bindparam("track")).limit(sa.bindparam("count"))
_FORGET: Statement[None] = Statement(
    sa.delete(likes).where(L.track_id == sa.bindparam("track"), L.user_id.in_(_some))
)


async def add(tx: Tx, track_id: UUID, user_id: UUID) -> bool:
    """Write a like down; whether it is new."""
    return await tx.run(_ADD, track=track_id, user=user_id, at=clock.now()) == 1


async def remove(tx: Tx, track_id: UUID, user_id: UUID) -> bool:
    """Take a like back; whether there was one."""
    return await tx.run(_REMOVE, track=track_id, user=user_id) == 1


async def page(tx: Tx, track_id: UUID, page: Page, *, hidden: Collection[UUID]) -> list[Like]:
    """One page of those who like a track, the latest first; who is suspended or hidden is left out."""
    statement = _page_statement(deep=page.offset >= DEEP, hiding=bool(hidden))
    return await tx.all(statement, track=track_id, hidden=hidden, limit=page.limit, offset=page.offset)


@cache
def _page_statement(*, deep: bool, hiding: bool) -> Statement[Like]:
    chosen = (
        sa.select(L.user_id, users.c.username, L.created_at.label("liked_at"))
        .select_from(_people)
        .where(*_listed(hiding=hiding))
        .order_by(L.created_at.desc(), L.user_id.desc())
        .limit(sa.bindparam("limit", type_=sa.BigInteger))
        .offset(sa.bindparam("offset", type_=sa.BigInteger))
    )
    return Statement(chosen, Like, heavy=deep)


def _listed(*, hiding: bool) -> list[sa.ColumnElement[bool]]:
    seen = [sa.not_(any_of(L.user_id, "hidden"))] if hiding else []
    return [L.track_id == sa.bindparam("track"), users.c.suspended_at.is_(None), *seen]


async def count_listed(tx: Tx, track_id: UUID, most: int, *, hidden: Collection[UUID]) -> int:
    """How many of the at ``most`` so many who like a track are neither suspended nor hidden."""
    statement = _count_statement(deep=most >= DEEP, hiding=bool(hidden))
    return await tx.first(statement, track=track_id, hidden=hidden) or 0


@cache
def _count_statement(*, deep: bool, hiding: bool) -> Statement[int]:
    counted = sa.select(sa.func.count()).select_from(_people).where(*_listed(hiding=hiding))
    return Statement(counted, int, heavy=deep)


async def count_by(tx: Tx, track_id: UUID, people: Collection[UUID]) -> int:
    """How many of these people like a track."""
    return await tx.first(_COUNT_BY, track=track_id, people=people) or 0


async def has(tx: Tx, track_id: UUID, user_id: UUID) -> bool:
    """Whether a user likes a track."""
    return await tx.first(_HAS, track=track_id, user=user_id) is not None


async def list_of(tx: Tx, user_id: UUID) -> list[LikedTrack]:
    """What a user likes."""
    return await tx.all(_LIKED, user=user_id)


def pieces_of(view: Tx, user_id: UUID) -> AsyncIterator[list[LikedTrack]]:
    """The same, however much, for a snapshot."""
    return view.pieces(_LIKED, user=user_id)


async def remove_of(tx: Tx, user_id: UUID) -> None:
    """Take back all likes of a user."""
    await tx.run(_REMOVE_OF, user=user_id)


async def forget(tx: Tx, track_id: UUID, most: int) -> bool:
    """Remove so many likes of a track that is gone; whether there may be more."""
    return await tx.run(_FORGET, track=track_id, count=most) >= most
