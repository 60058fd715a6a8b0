"""SQL about what other rooms have, to learn from: all there is, part by part."""

from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any, TypeVar
from uuid import UUID

import msgspec
import sqlalchemy as sa

from veza.core.db import Database, Id, Statement
from veza.rooms.following.tables import follows
from veza.rooms.likes.tables import likes
from veza.rooms.playlists.tables import playlist_entries, playlist_follows, playlists
from veza.rooms.plays.tables import listeners
from veza.rooms.tracks.tables import tracks

RowT = TypeVar("RowT")

# Rows read at a time.
PART = 50_000

L = listeners.c
K = likes.c
T = tracks.c
F = follows.c
P = playlists.c
E = playlist_entries.c
W = playlist_follows.c
_part = sa.bindparam("part", type_=sa.BigInteger)


class SeenRow(msgspec.Struct, frozen=True, gc=False):
    """A thing that everybody sees; ``created_at`` in microseconds since 1970, as all times here."""

    id: UUID
    user_id: UUID
    created_at: int


class HeardRow(msgspec.Struct, frozen=True, gc=False):
    """What somebody heard of a track: so many plays, the last of them when."""

    id: int
    track_id: UUID
    user_id: UUID
    plays: int
    last_at: int


class LikedRow(msgspec.Struct, frozen=True, gc=False):
    """That somebody likes a track, or follows a playlist."""

    thing_id: UUID
    user_id: UUID
    created_at: int


class EntryRow(msgspec.Struct, frozen=True, gc=False):
    """That a track is in a playlist, whoever sees either."""

    playlist_id: UUID
    track_id: UUID
    added_at: int


class FollowRow(msgspec.Struct, frozen=True, gc=False):
    """That a user follows another."""

    follower_id: UUID
    followed_id: UUID


def _micros(column: sa.ColumnElement[Any], name: str) -> sa.ColumnElement[int]:
    return sa.type_coerce(column, sa.BigInteger).label(name)


_TRACKS = Statement(
    sa.select(T.id, T.user_id, _micros(T.created_at, "created_at"))
    .where(T.listed, T.id > sa.bindparam("after"))
    .order_by(T.id)
    .limit(_part),
    SeenRow,
)
_PLAYLISTS = Statement(
    sa.select(P.id, P.user_id, _micros(P.created_at, "created_at"))
    .where(P.is_public, sa.not_(P.closed), P.id > sa.bindparam("after"))
    .order_by(P.id)
    .limit(_part),
    SeenRow,
)
# The latest listeners first: where there are more than can be learned from, the rest is left out.
_HEARD = Statement(
    sa.select(L.id, L.track_id, L.user_id, L.plays, _micros(L.last_at, "last_at"))
    .where(L.id < sa.bindparam("before"), L.user_id.is_not(None))
    .order_by(L.id.desc())
    .limit(_part),
    HeardRow,
)


def _after(first: sa.ColumnElement[UUID], second: sa.ColumnElement[UUID]) -> sa.ColumnElement[bool]:
    """Beyond this pair, in the order of a key of two ids."""
    pair = (sa.bindparam(name, type_=Id) for name in ("first", "second"))
    return sa.tuple_(first, second) > sa.tuple_(*pair)


_LIKED = Statement(
    sa.select(K.track_id.label("thing_id"), K.user_id, _micros(K.created_at, "created_at"))
    .where(_after(K.track_id, K.user_id))
    .order_by(K.track_id, K.user_id)
    .limit(_part),
    LikedRow,
)
_PLAYLISTS_FOLLOWED = Statement(
    sa.select(W.playlist_id.label("thing_id"), W.user_id, _micros(W.created_at, "created_at"))
    .where(_after(W.playlist_id, W.user_id))
    .order_by(W.playlist_id, W.user_id)
    .limit(_part),
    LikedRow,
)
_ENTRIES = Statement(
    sa.select(E.playlist_id, E.track_id, _micros(E.added_at, "added_at"))
    .where(_after(E.playlist_id, E.track_id))
    .order_by(E.playlist_id, E.track_id)
    .limit(_part),
    EntryRow,
)
_USERS_FOLLOWED = Statement(
    sa.select(F.follower_id, F.followed_id)
    .where(_after(F.follower_id, F.followed_id))
    .order_by(F.follower_id, F.followed_id)
    .limit(_part),
    FollowRow,
)
_ANYTHING = Statement(
    sa.select(sa.literal(1)).where(
        sa.or_(sa.exists(sa.select(L.id)), sa.exists(sa.select(K.track_id)), sa.exists(sa.select(E.track_id)))
    ),
    int,
)
_NOBODY = UUID(int=0)
_FIRST = {"first": _NOBODY, "second": _NOBODY}
_LAST = (1 << 63) - 1


async def anything(database: Database) -> bool:
    """Whether there is anything to learn from."""
    async with database.read() as view:
        return await view.first(_ANYTHING) is not None


def listed_tracks(database: Database) -> AsyncIterator[Sequence[SeenRow]]:
    """Every track that everybody sees, in the order of ids."""
    return _parts(database, _TRACKS, {"after": _NOBODY}, lambda row: {"after": row.id})


def public_playlists(database: Database) -> AsyncIterator[Sequence[SeenRow]]:
    """Every playlist that everybody sees, in the order of ids."""
    return _parts(database, _PLAYLISTS, {"after": _NOBODY}, lambda row: {"after": row.id})


def heard(database: Database) -> AsyncIterator[Sequence[HeardRow]]:
    """What every member heard, the latest met first."""
    return _parts(database, _HEARD, {"before": _LAST}, lambda row: {"before": row.id})


def liked(database: Database) -> AsyncIterator[Sequence[LikedRow]]:
    """Every like of a track."""
    return _parts(database, _LIKED, _FIRST, lambda row: {"first": row.thing_id, "second": row.user_id})


def playlists_followed(database: Database) -> AsyncIterator[Sequence[LikedRow]]:
    """Who follows which playlist."""
    return _parts(
        database, _PLAYLISTS_FOLLOWED, _FIRST, lambda row: {"first": row.thing_id, "second": row.user_id}
    )


def entries(database: Database) -> AsyncIterator[Sequence[EntryRow]]:
    """What every playlist holds."""
    return _parts(database, _ENTRIES, _FIRST, lambda row: {"first": row.playlist_id, "second": row.track_id})


def users_followed(database: Database) -> AsyncIterator[Sequence[FollowRow]]:
    """Who follows whom."""
    return _parts(
        database, _USERS_FOLLOWED, _FIRST, lambda row: {"first": row.follower_id, "second": row.followed_id}
    )


async def _parts(
    database: Database,
    statement: Statement[RowT],
    place: dict[str, Any],
    after: Callable[[RowT], dict[str, Any]],
) -> AsyncIterator[Sequence[RowT]]:
    """All rows of a statement, each part in a view of its own: so no view keeps the database waiting."""
    more = True
    while more:
        async with database.read() as view:
            rows = await view.all(statement, **place, part=PART)
        more = len(rows) == PART
        if rows:
            yield rows
            place = after(rows[-1])
