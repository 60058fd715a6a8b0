"""SQL of the feed: what is newest of very many users, at the price of one look at each.

The newest of each user is looked up in the index that lists of a user's things have. Of n wanted things none
is older than the nth newest of these: so only users who have something as new are read, at most n of them but
for equals, and of each at most n things.
"""

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar
from uuid import UUID

import sqlalchemy as sa

from veza.core.db import Statement, Tx
from veza.rooms.feed.cursor import Cursor
from veza.rooms.following.tables import follows
from veza.rooms.playlists.tables import playlists
from veza.rooms.tracks.schemas import TrackSummary
from veza.rooms.tracks.tables import tracks

RowT = TypeVar("RowT")

_limit, _limit_less_one = (sa.bindparam(name, type_=sa.BigInteger) for name in ("limit", "limit_less_one"))


class _Newest:
    """How the newest of one table are found: rows with an id, whose they are and when they were made."""

    def __init__(self, table: sa.Table, seen: sa.ColumnElement[bool], shown: Sequence[str]) -> None:
        self._table, self._seen, self._shown = table, seen, shown
        newest = self._of(follows.c.followed_id, table.c.created_at).limit(1)
        self._heads = (
            sa.select(
                follows.c.followed_id.label("user_id"),
                newest.correlate(follows).scalar_subquery().label("head"),
            )
            .where(follows.c.follower_id == sa.bindparam("viewer"))
            .cte("heads")
            .prefix_with("MATERIALIZED")  # else SQLite looks again for each use of it
        )
        # Where there are fewer than wanted, there is no bound.
        self._edge = sa.func.coalesce(
            sa.select(self._heads.c.head)
            .where(self._heads.c.head.is_not(None))
            .order_by(self._heads.c.head.desc())
            .limit(1)
            .offset(_limit_less_one)
            .correlate(None)
            .scalar_subquery(),
            sa.literal_column("0"),
        )

    def statements(self, row: type[RowT]) -> Mapping[str, Statement[RowT]]:
        """What is asked of each database.

        In PostgreSQL alone a query within a join may depend on the row beside it. Within a condition it may
        in both, where SQLite runs it once for each row.
        """
        return {
            "sqlite": Statement(self._sqlite(), row, heavy=True),
            "postgresql": Statement(self._postgres(), row),
        }

    def _of(self, user_id: sa.ColumnElement[UUID], *columns: sa.ColumnElement[Any]) -> "sa.Select[Any]":
        """What everybody sees of a user's before the cursor, the newest first."""
        c = self._table.c
        at, last = sa.bindparam("at", type_=c.created_at.type), sa.bindparam("id", type_=c.id.type)
        return (
            sa.select(*columns)
            .where(self._seen, c.user_id == user_id, sa.tuple_(c.created_at, c.id) < sa.tuple_(at, last))
            .order_by(c.created_at.desc(), c.id.desc())
        )

    def _each(self, *columns: sa.ColumnElement[Any]) -> "sa.Select[Any]":
        """Of one of the users that are read, what can be among the wanted."""
        found = self._of(self._heads.c.user_id, *columns).where(self._table.c.created_at >= self._edge)
        return found.limit(_limit).correlate(self._heads)

    def _sqlite(self) -> sa.Executable:
        shown = self._table.alias("shown")
        return (
            sa.select(*(shown.c[name] for name in self._shown))
            .select_from(self._heads.join(shown, shown.c.id.in_(self._each(self._table.c.id))))
            .where(self._heads.c.head >= self._edge)
            .order_by(shown.c.created_at.desc(), shown.c.id.desc())
            .limit(_limit)
        )

    def _postgres(self) -> sa.Executable:
        # The order may be by what is not shown.
        names = dict.fromkeys((*self._shown, "created_at", "id"))
        each = self._each(*(self._table.c[name] for name in names)).lateral("shown")
        return (
            sa.select(*(each.c[name] for name in self._shown))
            .select_from(self._heads.join(each, sa.true()))
            .where(self._heads.c.head >= self._edge)
            .order_by(each.c.created_at.desc(), each.c.id.desc())
            .limit(_limit)
        )


_TRACKS = _Newest(tracks, tracks.c.listed, TrackSummary.__struct_fields__).statements(TrackSummary)
_listed = sa.and_(playlists.c.is_public, sa.not_(playlists.c.closed))
_PLAYLISTS = _Newest(playlists, _listed, ("id",)).statements(UUID)


async def newest_tracks(tx: Tx, viewer: UUID, before: Cursor, limit: int) -> list[TrackSummary]:
    """So many of the tracks that everybody sees by whom the viewer follows, the newest first."""
    return await tx.all(_TRACKS[tx.database.dialect], **_given(viewer, before, limit))


async def newest_playlists(tx: Tx, viewer: UUID, before: Cursor, limit: int) -> list[UUID]:
    """The same of playlists: their ids."""
    return await tx.all(_PLAYLISTS[tx.database.dialect], **_given(viewer, before, limit))


def _given(viewer: UUID, before: Cursor, limit: int) -> dict[str, Any]:
    place = {"at": before.created_at, "id": before.id}
    return {"viewer": viewer, **place, "limit": limit, "limit_less_one": limit - 1}
