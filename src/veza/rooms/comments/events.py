"""What happens to comments; ``user_id`` is the owner of the track, whom it concerns."""

from typing import ClassVar
from uuid import UUID

from veza.core.events import Event


class TrackCommented(Event, frozen=True):
    """Somebody said something about a track; ``replied_to`` is the author of what they answered, if any."""

    kind: ClassVar[str] = "track.commented"
    comment_id: UUID
    track_id: UUID
    user_id: UUID
    author_id: UUID
    replied_to: UUID | None


class CommentEdited(Event, frozen=True):
    """The author of a comment changed its words."""

    kind: ClassVar[str] = "comment.edited"
    comment_id: UUID
    track_id: UUID
    user_id: UUID
    author_id: UUID


class CommentDeleted(Event, frozen=True):
    """A comment is gone, with so many ``replies`` to it; ``author_id`` is None where the account is, too."""

    kind: ClassVar[str] = "comment.deleted"
    comment_id: UUID
    track_id: UUID
    user_id: UUID
    author_id: UUID | None
    replies: int
