"""What happens to likes; ``user_id`` is the owner of the track, whom it concerns."""

from typing import ClassVar
from uuid import UUID

from veza.core.events import Event


class TrackLiked(Event, frozen=True):
    """Somebody likes a track."""

    kind: ClassVar[str] = "track.liked"
    track_id: UUID
    user_id: UUID
    liked_by: UUID


class TrackUnliked(Event, frozen=True):
    """Somebody likes a track no longer."""

    kind: ClassVar[str] = "track.unliked"
    track_id: UUID
    user_id: UUID
    liked_by: UUID
