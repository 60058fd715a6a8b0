"""All SQL about comments."""

from collections.abc import AsyncIterator, Collection
from datetime import timedelta
from functools import cache
from uuid import UUID

import msgspec
import sqlalchemy as sa

from veza.core import clock
from veza.core.db import Statement, Tx, any_of
from veza.core.pages import Page
from veza.rooms.accounts.tables import users
from veza.rooms.comments.schemas import DELETED_USER, Comment, CommentOrder, CommentSort
from veza.rooms.comments.tables import comments

C = comments.c
# Beyond this offset a page takes milliseconds to walk to.
DEEP = 5_000

_NAMES = Comment.__struct_fields__
_name = sa.func.coalesce(users.c.username, sa.literal(DELETED_USER)).label("username")
_select = sa.select(*(_name if name == "username" else C[name] for name in _NAMES)).select_from(
    comments.outerjoin(users, users.c.id == C.user_id)
)
_one = C.id == sa.bindparam("comment")
_FIND = Statement(_select.where(_one), Comment)
_ADD: Statement[None] = Statement(sa.insert(comments))
_EDIT: Statement[None] = Statement(
    sa.update(comments).where(_one).values(content=sa.bindparam("words"), edited_at=sa.bindparam("at"))
)
_DELETE: Statement[None] = Statement(sa.delete(comments).where(_one))
_DELETE_REPLIES: Statement[None] = Statement(
    sa.delete(comments).where(C.parent_id == sa.bindparam("comment"))
)
_SAID = Statement(
    sa.select(C.id).where(
        C.user_id == sa.bindparam("user"),
        C.track_id == sa.bindparam("track"),
        C.created_at > sa.bindparam("since"),
        C.content == sa.bindparam("words"),
    ).limit(1),
    UUID,
)  # fmt: skip
_COUNT_BY = Statement(
    sa.select(sa.func.count()).where(C.track_id == sa.bindparam("track"), any_of(C.user_id, "people")), int
)
_OF_USER = Statement(_select.where(C.user_id == sa.bindparam("user")).order_by(C.id), Comment)
# The oldest first, as the end of an account goes through its comments: so neither waits for the other.
_some = (
    sa.select(C.id)
    .where(C.track_id == sa.bindparam("track"))
    .order_by(C.id)
    .limit(sa.bindparam("count"))
    .with_for_update()
)
_FORGET: Statement[None] = Statement(sa.delete(comments).where(C.id.in_(_some)))
# As the index has it.
_SORTS: dict[str, sa.ColumnElement[float]] = {
    "timestamp": sa.func.coalesce(C.timestamp, sa.literal_column("-1"))
}


async def find(tx: Tx, comment_id: UUID) -> Comment | None:
    """The comment, whoever asks."""
    return await tx.first(_FIND, comment=comment_id)


async def add(tx: Tx, comment: Comment) -> None:
    """Write a comment down."""
    row = {name: getattr(comment, name) for name in _NAMES if name != "username"}
    await tx.run(_ADD, **row)


async def edit(tx: Tx, comment: Comment, content: str) -> Comment:
    """Give a comment other words; what it is afterwards."""
    edited = msgspec.structs.replace(comment, content=content, edited_at=clock.now())
    await tx.run(_EDIT, comment=edited.id, words=edited.content, at=edited.edited_at)
    return edited


async def delete(tx: Tx, comment_id: UUID) -> bool:
    """Remove a comment that has no replies any more; whether it was there."""
    return await tx.run(_DELETE, comment=comment_id) == 1


async def delete_replies(tx: Tx, comment_id: UUID) -> int:
    """Remove the replies to a comment; how many there were."""
    return await tx.run(_DELETE_REPLIES, comment=comment_id)


async def was_said(tx: Tx, track_id: UUID, user_id: UUID, content: str, within: timedelta) -> bool:
    """Whether a user has said this about a track so short a time ago."""
    since = clock.now() - within
    return await tx.first(_SAID, track=track_id, user=user_id, words=content, since=since) is not None


async def page(
    tx: Tx,
    track_id: UUID,
    page: Page,
    sort: CommentSort,
    order: CommentOrder,
    *,
    hidden: Collection[UUID],
) -> list[Comment]:
    """One page of the comments on a track, but for those by hidden users."""
    statement = _page_statement(sort, order, deep=page.offset >= DEEP, hiding=bool(hidden))
    return await tx.all(statement, track=track_id, hidden=hidden, limit=page.limit, offset=page.offset)


@cache
def _page_statement(
    sort: CommentSort, order: CommentOrder, *, deep: bool, hiding: bool
) -> Statement[Comment]:
    columns = [*([_SORTS[sort]] if sort in _SORTS else []), C.id]
    seen = [sa.or_(C.user_id.is_(None), sa.not_(any_of(C.user_id, "hidden")))] if hiding else []
    chosen = (
        _select.where(C.track_id == sa.bindparam("track"), *seen)
        .order_by(*(column.desc() if order == "desc" else column.asc() for column in columns))
        .limit(sa.bindparam("limit", type_=sa.BigInteger))
        .offset(sa.bindparam("offset", type_=sa.BigInteger))
    )
    return Statement(chosen, Comment, heavy=deep or hiding)


async def count_by(tx: Tx, track_id: UUID, people: Collection[UUID]) -> int:
    """How many comments on a track are by these people."""
    return await tx.first(_COUNT_BY, track=track_id, people=people) or 0


def pieces_of(view: Tx, user_id: UUID) -> AsyncIterator[list[Comment]]:
    """Everything that a user said."""
    return view.pieces(_OF_USER, user=user_id)


async def forget(tx: Tx, track_id: UUID, most: int) -> bool:
    """Remove so many comments on a track that is gone; whether there may be more."""
    return await tx.run(_FORGET, track=track_id, count=most) > 0
