"""SQL of the feed: what is newest of very many users, at the price of one look at each.

The newest of each user is looked up in the index that lists of a user's tracks have. Of n wanted things none
is older than the nth newest of these: so only users who have something as new are read, at most n of them but
for equals, and of each at most n things.
"""

from typing import Any
from uuid import UUID

import sqlalchemy as sa

from veza.core.db import Statement, Tx
from veza.rooms.feed.cursor import Cursor
from veza.rooms.following.tables import follows
from veza.rooms.tracks.schemas import TrackSummary
from veza.rooms.tracks.tables import tracks

T = tracks.c

_limit, _limit_less_one = (sa.bindparam(name, type_=sa.BigInteger) for name in ("limit", "limit_less_one"))
_summary = [T[name] for name in TrackSummary.__struct_fields__]


def _of(user_id: sa.ColumnElement[UUID], *columns: sa.ColumnElement[Any]) -> "sa.Select[Any]":
    """What everybody sees of a user's tracks before the cursor, the newest first."""
    at, last = sa.bindparam("at", type_=T.created_at.type), sa.bindparam("id", type_=T.id.type)
    return (
        sa.select(*columns)
        .where(T.listed, T.user_id == user_id, sa.tuple_(T.created_at, T.id) < sa.tuple_(at, last))
        .order_by(T.created_at.desc(), T.id.desc())
    )


_newest = _of(follows.c.followed_id, T.created_at).limit(1).correlate(follows).scalar_subquery()
_heads = (
    sa.select(follows.c.followed_id.label("user_id"), _newest.label("head"))
    .where(follows.c.follower_id == sa.bindparam("viewer"))
    .cte("heads")
    .prefix_with("MATERIALIZED")  # else SQLite looks again for each use of it
)
# Where there are fewer than wanted, there is no bound.
_edge = sa.func.coalesce(
    sa.select(_heads.c.head)
    .where(_heads.c.head.is_not(None))
    .order_by(_heads.c.head.desc())
    .limit(1)
    .offset(_limit_less_one)
    .correlate(None)
    .scalar_subquery(),
    sa.literal_column("0"),
)


def _each(*columns: sa.ColumnElement[Any]) -> "sa.Select[Any]":
    """Of one of the users that are read, what can be among the wanted."""
    return _of(_heads.c.user_id, *columns).where(T.created_at >= _edge).limit(_limit).correlate(_heads)


def _sqlite() -> sa.Executable:
    shown = tracks.alias("shown")
    return (
        sa.select(*(shown.c[column.name] for column in _summary))
        .select_from(_heads.join(shown, shown.c.id.in_(_each(T.id))))
        .where(_heads.c.head >= _edge)
        .order_by(shown.c.created_at.desc(), shown.c.id.desc())
        .limit(_limit)
    )


def _postgres() -> sa.Executable:
    each = _each(*_summary).lateral("shown")
    return (
        sa.select(*each.c)
        .select_from(_heads.join(each, sa.true()))
        .where(_heads.c.head >= _edge)
        .order_by(each.c.created_at.desc(), each.c.id.desc())
        .limit(_limit)
    )


# In PostgreSQL alone a query within a join may depend on the row beside it. Within a condition it may
# in both, where SQLite runs it once for each row.
_NEWEST = {
    "sqlite": Statement(_sqlite(), TrackSummary, heavy=True),
    "postgresql": Statement(_postgres(), TrackSummary),
}


async def newest_tracks(tx: Tx, viewer: UUID, before: Cursor, limit: int) -> list[TrackSummary]:
    """So many of the tracks that everybody sees by whom the viewer follows, the newest first."""
    return await tx.all(
        _NEWEST[tx.database.dialect], viewer=viewer, at=before.created_at, id=before.id, limit=limit,
        limit_less_one=limit - 1,
    )  # fmt: skip
