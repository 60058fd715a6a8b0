"""Likes as callers see them."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

import msgspec

from veza.core.pages import Pagination


class Like(msgspec.Struct, frozen=True):
    """Somebody who likes a track, and since when."""

    user_id: UUID
    username: str
    liked_at: datetime


class LikeList(msgspec.Struct, frozen=True):
    """A page of those who like a track, the latest first; ``total`` of all of them."""

    likes: Sequence[Like]
    total: int
    pagination: Pagination


class LikedTrack(msgspec.Struct, frozen=True):
    """A track that somebody likes, for the export of their data."""

    track_id: UUID
    liked_at: datetime
