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
