"""All SQL about one track in every playlist that holds it: where it is, and what is copied of it there.

A popular track is in very many: each statement is about as many of them as are held at a time.
"""

from collections.abc import Sequence
from uuid import UUID

import msgspec
import sqlalchemy as sa

from veza.core.db import Id, Statement, Tx, any_of
from veza.rooms.playlists.store import Sums
from veza.rooms.playlists.tables import playlist_entries

E = playlist_entries.c
FIRST = UUID(int=0)


class Copy(msgspec.Struct, frozen=True):
    """What a playlist knows of a track: whether everybody sees it, and the milliseconds that it lasts."""

    playlist_id: UUID
    listed: bool
    duration_ms: int

    @property
    def sums(self) -> Sums:
        """What it adds to those of its playlist."""
        return Sums.of(self.duration_ms, listed=self.listed)


_track = E.track_id == sa.bindparam("track", type_=Id)
_these = sa.and_(_track, any_of(E.playlist_id, "ids"))
_limit = sa.bindparam("limit", type_=sa.BigInteger)
_WITH = Statement(sa.select(E.playlist_id).where(_track).order_by(E.playlist_id).limit(_limit), UUID)
_BEHIND = Statement(
    sa.select(E.playlist_id)
    .where(
        _track,
        E.playlist_id > sa.bindparam("after", type_=Id),
        sa.or_(
            E.listed != sa.bindparam("listed", type_=sa.Boolean),
            E.duration_ms != sa.bindparam("ms", type_=sa.BigInteger),
        ),
    )
    .order_by(E.playlist_id)
    .limit(_limit),
    UUID,
)
_THESE = Statement(sa.select(E.playlist_id, E.listed, E.duration_ms).where(_these), Copy)
_COPY: Statement[None] = Statement(
    sa.update(playlist_entries)
    .where(_these)
    .values(
        listed=sa.bindparam("new_listed", type_=sa.Boolean),
        duration_ms=sa.bindparam("new_ms", type_=sa.BigInteger),
    )
)
_REMOVE: Statement[None] = Statement(sa.delete(playlist_entries).where(_these))


async def playlists_with(tx: Tx, track_id: UUID, most: int) -> list[UUID]:
    """So many playlists that hold a track, the smallest ids first."""
    return await tx.all(_WITH, track=track_id, limit=most)


async def playlists_behind(
    tx: Tx, track_id: UUID, after: UUID, *, listed: bool, ms: int, most: int
) -> list[UUID]:
    """So many playlists beyond ``after`` that know a track otherwise, the smallest ids first."""
    return await tx.all(_BEHIND, track=track_id, after=after, listed=listed, ms=ms, limit=most)


async def list_copies(tx: Tx, track_id: UUID, playlist_ids: Sequence[UUID]) -> list[Copy]:
    """What these playlists know of a track; nothing of those that hold it no longer."""
    return await tx.all(_THESE, track=track_id, ids=playlist_ids)


async def copy(tx: Tx, track_id: UUID, playlist_ids: Sequence[UUID], *, listed: bool, ms: int) -> None:
    """Let these playlists know a track as it is."""
    await tx.run(_COPY, track=track_id, ids=playlist_ids, new_listed=listed, new_ms=ms)


async def remove(tx: Tx, track_id: UUID, playlist_ids: Sequence[UUID]) -> None:
    """Take a track out of these playlists."""
    await tx.run(_REMOVE, track=track_id, ids=playlist_ids)
