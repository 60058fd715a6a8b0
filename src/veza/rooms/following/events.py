"""What happens between users; ``user_id`` is the one whom it concerns."""

from typing import ClassVar
from uuid import UUID

from veza.core.events import Event


class UserFollowed(Event, frozen=True):
    """Somebody follows a user."""

    kind: ClassVar[str] = "user.followed"
    user_id: UUID
    followed_by: UUID


class UserUnfollowed(Event, frozen=True):
    """Somebody follows a user no longer."""

    kind: ClassVar[str] = "user.unfollowed"
    user_id: UUID
    followed_by: UUID


class UserBlocked(Event, frozen=True):
    """Somebody (``user_id``) has blocked another, who is not to hear of it."""

    kind: ClassVar[str] = "user.blocked"
    user_id: UUID
    blocked_id: UUID


class UserUnblocked(Event, frozen=True):
    """Somebody (``user_id``) has taken back a block."""

    kind: ClassVar[str] = "user.unblocked"
    user_id: UUID
    blocked_id: UUID
