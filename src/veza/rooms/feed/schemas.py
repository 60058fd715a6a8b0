"""The feed as callers see it."""

from collections.abc import Sequence
from datetime import datetime
from typing import Literal
from uuid import UUID

import msgspec

from veza.rooms.playlists.schemas import PlaylistSummary
from veza.rooms.tracks.schemas import TrackSummary


class FeedItem(msgspec.Struct, frozen=True):
    """Something new: what it is, whose, since when, and the thing itself under the name of its ``type``."""

    type: Literal["track", "playlist"]
    id: UUID
    user_id: UUID
    created_at: datetime
    track: TrackSummary | None = None
    playlist: PlaylistSummary | None = None


class Feed(msgspec.Struct, frozen=True):
    """A part of the feed, the newest first; ``next`` is what to ask for ``before``, and null at the end."""

    items: Sequence[FeedItem]
    next: str | None
