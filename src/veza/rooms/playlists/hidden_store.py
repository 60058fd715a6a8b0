"""SQL about what is in playlists by users who are hidden from somebody; run for nobody else.

What is kept of a playlist is right for all others. For who has somebody hidden, what these have in it is read
and taken away: so the statements that everybody's playlists come from know nothing of it.
"""

from collections.abc import Collection, Sequence
from typing import TypeVar
from uuid import UUID

import msgspec
import sqlalchemy as sa

from veza.core.db import Statement, Tx, any_of
from veza.rooms.playlists.schemas import PlaylistSummary
from veza.rooms.playlists.tables import playlist_entries

E = playlist_entries.c
PlaylistT = TypeVar("PlaylistT", bound=PlaylistSummary)


class _Part(msgspec.Struct, frozen=True):
    """How much of a playlist is hidden; milliseconds."""

    playlist_id: UUID
    count: int
    ms: int


# What of theirs is not for everybody is not counted for anybody else as it is.
_PARTS = Statement(
    sa.select(
        E.playlist_id,
        sa.func.count().label("count"),
        sa.cast(sa.func.sum(E.duration_ms), sa.BigInteger).label("ms"),
    )
    .where(any_of(E.playlist_id, "ids"), E.listed, any_of(E.track_owner, "hidden"))
    .group_by(E.playlist_id),
    _Part,
    heavy=True,
)


async def take_away(tx: Tx, found: Sequence[PlaylistT], hidden: Collection[UUID]) -> list[PlaylistT]:
    """These playlists with the numbers of what is seen by somebody from whom these users are hidden."""
    filled = [one.id for one in found if one.track_count]
    if not (hidden and filled):
        return list(found)
    parts = {part.playlist_id: part for part in await tx.all(_PARTS, ids=filled, hidden=hidden)}
    return [_less(one, parts[one.id]) if one.id in parts else one for one in found]


def _less(one: PlaylistT, part: _Part) -> PlaylistT:
    # Of a view the two may have been read at two moments.
    ms = max(round(one.total_duration * 1000) - part.ms, 0)
    count = max(one.track_count - part.count, 0)
    return msgspec.structs.replace(one, track_count=count, total_duration=ms / 1000)
