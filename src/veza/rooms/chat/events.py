"""What happens in rooms."""

from typing import ClassVar
from uuid import UUID

from veza.core.events import Event


class RoomCreated(Event, frozen=True):
    """There is a new room."""

    kind: ClassVar[str] = "chat.room_created"
    room_id: UUID
    user_id: UUID
    type: str


class RoomChanged(Event, frozen=True):
    """A room has another name or topic, or other pauses between messages: ``changed`` says."""

    kind: ClassVar[str] = "chat.room_changed"
    room_id: UUID
    user_id: UUID
    changed: tuple[str, ...]


class InviteCreated(Event, frozen=True):
    """Whoever has a link may come into a room."""

    kind: ClassVar[str] = "chat.invite_created"
    room_id: UUID
    user_id: UUID
    invite_id: UUID


class InviteRevoked(Event, frozen=True):
    """A link opens a room no longer."""

    kind: ClassVar[str] = "chat.invite_revoked"
    room_id: UUID
    user_id: UUID
    invite_id: UUID


class RoomDeleted(Event, frozen=True):
    """A room is gone, with all that was said in it."""

    kind: ClassVar[str] = "chat.room_deleted"
    room_id: UUID


class MessageSent(Event, frozen=True):
    """Somebody said something to these people: in a direct room, by naming them, or in reply to them.

    What is said to nobody in particular is no event: a room may hear it a thousand times a second.
    """

    kind: ClassVar[str] = "message.created"
    message_id: UUID
    room_id: UUID
    user_id: UUID
    seq: int
    told: tuple[UUID, ...]


class MessageRemoved(Event, frozen=True):
    """Somebody else's message was deleted by who moderates the room."""

    kind: ClassVar[str] = "chat.message_removed"
    message_id: UUID
    room_id: UUID
    user_id: UUID | None
    removed_by: UUID


class MemberAdded(Event, frozen=True):
    """Somebody is in a room now."""

    kind: ClassVar[str] = "chat.member_added"
    room_id: UUID
    user_id: UUID
    added_by: UUID


class MemberRemoved(Event, frozen=True):
    """Somebody is in a room no longer: they left, or were sent away."""

    kind: ClassVar[str] = "chat.member_removed"
    room_id: UUID
    user_id: UUID
    removed_by: UUID


class MemberChanged(Event, frozen=True):
    """Somebody has another role in a room, or was silenced in it, or may speak again."""

    kind: ClassVar[str] = "chat.member_changed"
    room_id: UUID
    user_id: UUID
    changed_by: UUID
    role: str
    muted: bool


class MemberBanned(Event, frozen=True):
    """Somebody may not come into a room any more."""

    kind: ClassVar[str] = "chat.member_banned"
    room_id: UUID
    user_id: UUID
    banned_by: UUID


class MemberUnbanned(Event, frozen=True):
    """Somebody may come into a room again."""

    kind: ClassVar[str] = "chat.member_unbanned"
    room_id: UUID
    user_id: UUID
    unbanned_by: UUID
