"""SQL about what other rooms have, to learn from: all there is, part by part, and never what is private."""

from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any, TypeVar
from uuid import UUID

import msgspec
import sqlalchemy as sa

from veza.core.db import Database, Statement
from veza.rooms.likes.tables import likes
from veza.rooms.plays.tables import listeners
from veza.rooms.tracks.tables import tracks

RowT = TypeVar("RowT")

# Rows read at a time.
PART = 50_000

L = listeners.c
K = likes.c
T = tracks.c
_part = sa.bindparam("part", type_=sa.BigInteger)


class TrackRow(msgspec.Struct, frozen=True, gc=False):
    """A track that everybody sees; ``created_at`` in microseconds since 1970, as all times here."""

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
    """That somebody likes a track."""

    track_id: UUID
    user_id: UUID
    created_at: int


def _micros(column: sa.ColumnElement[Any], name: str) -> sa.ColumnElement[int]:
    return sa.type_coerce(column, sa.BigInteger).label(name)


_TRACKS = Statement(
    sa.select(T.id, T.user_id, _micros(T.created_at, "created_at"))
    .where(T.listed, T.id > sa.bindparam("after"))
    .order_by(T.id)
    .limit(_part),
    TrackRow,
)
# The latest listeners first: where there are more than can be learned from, the rest is left out.
_HEARD = Statement(
    sa.select(L.id, L.track_id, L.user_id, L.plays, _micros(L.last_at, "last_at"))
    .where(L.id < sa.bindparam("before"), L.user_id.is_not(None))
    .order_by(L.id.desc())
    .limit(_part),
    HeardRow,
)
_LIKED = Statement(
    sa.select(K.track_id, K.user_id, _micros(K.created_at, "created_at"))
    .where(
        sa.tuple_(K.track_id, K.user_id)
        > sa.tuple_(sa.bindparam("track", type_=K.track_id.type), sa.bindparam("user", type_=K.user_id.type))
    )
    .order_by(K.track_id, K.user_id)
    .limit(_part),
    LikedRow,
)
_ANYTHING = Statement(
    sa.select(sa.literal(1)).where(sa.or_(sa.exists(sa.select(L.id)), sa.exists(sa.select(K.track_id)))), int
)
_NOBODY = UUID(int=0)
_LAST = (1 << 63) - 1


async def anything(database: Database) -> bool:
    """Whether there is anything to learn from."""
    async with database.read() as view:
        return await view.first(_ANYTHING) is not None


def listed_tracks(database: Database) -> AsyncIterator[Sequence[TrackRow]]:
    """Every track that everybody sees, in the order of ids."""
    return _parts(database, _TRACKS, {"after": _NOBODY}, lambda row: {"after": row.id})


def heard(database: Database) -> AsyncIterator[Sequence[HeardRow]]:
    """What every member heard, the latest met first."""
    return _parts(database, _HEARD, {"before": _LAST}, lambda row: {"before": row.id})


def liked(database: Database) -> AsyncIterator[Sequence[LikedRow]]:
    """Every like."""
    first = {"track": _NOBODY, "user": _NOBODY}
    return _parts(database, _LIKED, first, lambda row: {"track": row.track_id, "user": row.user_id})


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
