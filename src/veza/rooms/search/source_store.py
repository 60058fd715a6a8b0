"""SQL of search about what other rooms have: all there is, read part by part, and lists by ranges."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

import msgspec
import sqlalchemy as sa

from veza.core.db import Statement, Tx
from veza.rooms.accounts.tables import users as users_table
from veza.rooms.playlists.tables import playlists as playlists_table
from veza.rooms.tracks.tables import tracks as tracks_table

# Things read at a time when an index is built.
PART = 2_000

T = tracks_table.c
U = users_table.c
P = playlists_table.c


class TrackText(msgspec.Struct, frozen=True):
    """What of a track search is made of."""

    id: UUID
    title: str
    artist: str
    album: str | None
    genre: str | None
    format: str
    duration: float
    play_count: int
    created_at: datetime
    tags: list[str]


class UserText(msgspec.Struct, frozen=True):
    """What of a user search is made of."""

    id: UUID
    username: str
    created_at: datetime


class PlaylistText(msgspec.Struct, frozen=True):
    """What of a playlist search is made of."""

    id: UUID
    user_id: UUID
    title: str
    follower_count: int
    created_at: datetime


class Cursor(msgspec.Struct, frozen=True):
    """The last thing that was read."""

    id: UUID
    popularity: int = 0


_TRACK = sa.select(*(T[name] for name in TrackText.__struct_fields__)).where(T.listed)
_there = U.suspended_at.is_(None)
_USER = sa.select(*(U[name] for name in UserText.__struct_fields__)).where(_there)
_listed = sa.and_(P.is_public, sa.not_(P.closed))
_PLAYLIST = sa.select(*(P[name] for name in PlaylistText.__struct_fields__)).where(_listed)
_part = sa.bindparam("part", type_=sa.BigInteger)
_after, _popular = sa.bindparam("after", type_=T.id.type), sa.bindparam("popular", type_=sa.BigInteger)
# In the order of finding for SQLite, whose full-text table is quickest written in its own order. There nobody
# plays anything meanwhile; in PostgreSQL somebody may, and what gained a place would be passed over: so there
# all is read from the oldest to the newest.
_FIRST_POPULAR = Statement(_TRACK.order_by(T.play_count.desc(), T.id.desc()).limit(_part), TrackText)
_NEXT_POPULAR = Statement(
    _TRACK.where(sa.tuple_(T.play_count, T.id) < sa.tuple_(_popular, _after))
    .order_by(T.play_count.desc(), T.id.desc())
    .limit(_part),
    TrackText,
)
_NEXT_TRACKS = Statement(_TRACK.where(T.id > _after).order_by(T.id).limit(_part), TrackText)
_MOST_FOLLOWED = (P.follower_count.desc(), P.id.desc())
_FIRST_FOLLOWED = Statement(_PLAYLIST.order_by(*_MOST_FOLLOWED).limit(_part), PlaylistText)
_NEXT_FOLLOWED = Statement(
    _PLAYLIST.where(sa.tuple_(P.follower_count, P.id) < sa.tuple_(_popular, _after))
    .order_by(*_MOST_FOLLOWED)
    .limit(_part),
    PlaylistText,
)
_NEXT_PLAYLISTS = Statement(_PLAYLIST.where(P.id > _after).order_by(P.id).limit(_part), PlaylistText)
_FIRST_NEW = Statement(_USER.order_by(U.id.desc()).limit(_part), UserText)
_NEXT_NEW = Statement(_USER.where(U.id < _after).order_by(U.id.desc()).limit(_part), UserText)
_NEXT_USERS = Statement(_USER.where(U.id > _after).order_by(U.id).limit(_part), UserText)
_COUNT_TRACKS = Statement(sa.select(sa.func.count(T.id)).where(T.listed), int)
_COUNT_PLAYLISTS = Statement(sa.select(sa.func.count(P.id)).where(_listed), int)
_COUNT_USERS = Statement(sa.select(sa.func.count(U.id)).where(_there), int)


async def tracks(tx: Tx, cursor: Cursor | None) -> tuple[Sequence[TrackText], Cursor | None]:
    """The next tracks that everybody sees; and where to go on, or None at the end."""
    if tx.database.shared:
        found = await tx.all(_NEXT_TRACKS, part=PART, after=cursor.id if cursor else UUID(int=0))
    elif cursor is None:
        found = await tx.all(_FIRST_POPULAR, part=PART)
    else:
        found = await tx.all(_NEXT_POPULAR, part=PART, popular=cursor.popularity, after=cursor.id)
    return found, Cursor(found[-1].id, found[-1].play_count) if len(found) == PART else None


async def users(tx: Tx, cursor: Cursor | None) -> tuple[Sequence[UserText], Cursor | None]:
    """The next users; and where to go on, or None at the end."""
    if tx.database.shared:
        found = await tx.all(_NEXT_USERS, part=PART, after=cursor.id if cursor else UUID(int=0))
    elif cursor is None:
        found = await tx.all(_FIRST_NEW, part=PART)
    else:
        found = await tx.all(_NEXT_NEW, part=PART, after=cursor.id)
    return found, Cursor(found[-1].id) if len(found) == PART else None


async def playlists(tx: Tx, cursor: Cursor | None) -> tuple[Sequence[PlaylistText], Cursor | None]:
    """The next playlists that everybody sees; and where to go on, or None at the end."""
    if tx.database.shared:
        found = await tx.all(_NEXT_PLAYLISTS, part=PART, after=cursor.id if cursor else UUID(int=0))
    elif cursor is None:
        found = await tx.all(_FIRST_FOLLOWED, part=PART)
    else:
        found = await tx.all(_NEXT_FOLLOWED, part=PART, popular=cursor.popularity, after=cursor.id)
    return found, Cursor(found[-1].id, found[-1].follower_count) if len(found) == PART else None


async def count_playlists(tx: Tx) -> int:
    """How many playlists everybody sees."""
    return await tx.first(_COUNT_PLAYLISTS) or 0


async def count_tracks(tx: Tx) -> int:
    """How many tracks everybody sees."""
    return await tx.first(_COUNT_TRACKS) or 0


async def count_users(tx: Tx) -> int:
    """How many users there are but for the suspended."""
    return await tx.first(_COUNT_USERS) or 0
