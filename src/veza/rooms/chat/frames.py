"""What goes over a WebSocket: JSON objects that their ``type`` tells apart (see docs/chat.md)."""

from collections.abc import Sequence
from typing import Annotated, ClassVar
from uuid import UUID

import msgspec

from veza.rooms.chat.schemas import Card, ClientId, Content, Emoji, Message

ID_CHARS, ID_MOST = 64, 2**53 - 1
FrameId = (
    Annotated[str, msgspec.Meta(max_length=ID_CHARS)]
    | Annotated[int, msgspec.Meta(ge=-ID_MOST, le=ID_MOST)]
    | None
)


class ClientFrame(msgspec.Struct, frozen=True, kw_only=True):
    """What a client says; ``id`` comes back with the answer to it."""

    name: ClassVar[str]
    id: FrameId = None


class Join(ClientFrame, frozen=True):
    """Hear a room from now on; with ``after`` (a message) or ``since`` (a place) also what was missed.

    What was missed comes before the answer, in order: with ``since`` also changes of what was there before.
    """

    name: ClassVar[str] = "join"
    room_id: UUID
    after: UUID | None = None
    since: Annotated[int, msgspec.Meta(ge=0)] | None = None


class Leave(ClientFrame, frozen=True):
    """Hear a room no longer."""

    name: ClassVar[str] = "leave"
    room_id: UUID


class Say(ClientFrame, frozen=True):
    """Say something in a room; the answer comes when it is stored. The same ``client_id`` is said once."""

    name: ClassVar[str] = "message"
    room_id: UUID
    content: Content
    client_id: ClientId
    reply_to: UUID | None = None
    cards: Annotated[list[Card], msgspec.Meta(max_length=4)] = msgspec.field(default_factory=list)


class Edit(ClientFrame, frozen=True):
    """Give a message of one's own other words."""

    name: ClassVar[str] = "edit"
    message_id: UUID
    content: Content


class Delete(ClientFrame, frozen=True):
    """Delete a message: one's own, or anybody's where one moderates."""

    name: ClassVar[str] = "delete"
    message_id: UUID


class Typing(ClientFrame, frozen=True):
    """Say that one is writing; good for five seconds."""

    name: ClassVar[str] = "typing"
    room_id: UUID


class Read(ClientFrame, frozen=True):
    """Say up to which message one has read."""

    name: ClassVar[str] = "read"
    room_id: UUID
    message_id: UUID


class React(ClientFrame, frozen=True):
    """Give an emoji to a message, or with ``remove`` take it back."""

    name: ClassVar[str] = "reaction"
    message_id: UUID
    emoji: Emoji
    remove: bool = False


class Ping(ClientFrame, frozen=True):
    """Ask whether anybody is there."""

    name: ClassVar[str] = "ping"


CLIENT_FRAMES: Sequence[type[ClientFrame]] = (
    Join, Leave, Say, Edit, Delete, Typing, Read, React, Ping,
)  # fmt: skip


class ServerFrame(msgspec.Struct, frozen=True, kw_only=True):
    """What the server says."""


class Ack(ServerFrame, frozen=True, omit_defaults=True, tag_field="type", tag="ack"):
    """It was done.

    For a message: where it stands. For joining: the place up to which all was sent, and who is there (200 at
    most; of several servers, those at this one: the others are named within half a minute).
    """

    id: str | int | None
    room_id: UUID | None = None
    message_id: UUID | None = None
    client_id: str | None = None
    seq: int | None = None
    online: Sequence[UUID] | None = None


class Failed(ServerFrame, frozen=True, tag_field="type", tag="error"):
    """It was not done.

    ``code`` is one of docs/reference/errors.md; ``retry_after`` is in seconds, where waiting helps.
    """

    id: str | int | None
    code: str
    message: str
    retry_after: int | None = None


class Pong(ServerFrame, frozen=True, tag_field="type", tag="pong"):
    """Somebody is there."""

    id: str | int | None


class Said(ServerFrame, frozen=True, tag_field="type", tag="message"):
    """Something was said."""

    room_id: UUID
    message: Message


class Edited(ServerFrame, frozen=True, tag_field="type", tag="edited"):
    """A message has changed: its words, or whether it is pinned. This is how it is now."""

    room_id: UUID
    message: Message


class Deleted(ServerFrame, frozen=True, tag_field="type", tag="deleted"):
    """A message is gone."""

    room_id: UUID
    message_id: UUID
    seq: int


class Reacted(ServerFrame, frozen=True, tag_field="type", tag="reaction"):
    """Somebody gave an emoji to a message, or took it back; so many have given it now."""

    room_id: UUID
    message_id: UUID
    user_id: UUID
    emoji: str
    removed: bool
    count: int
    seq: int


class IsTyping(ServerFrame, frozen=True, tag_field="type", tag="typing"):
    """Somebody is writing."""

    room_id: UUID
    user_id: UUID
    username: str


class HasRead(ServerFrame, frozen=True, tag_field="type", tag="read"):
    """Somebody has read up to here; told in rooms of a hundred at most."""

    room_id: UUID
    user_id: UUID
    message_id: UUID
    seq: int


class Presence(ServerFrame, frozen=True, tag_field="type", tag="presence"):
    """Who hears a room now, and who does no longer; who is there is named again every half minute."""

    room_id: UUID
    online: Sequence[UUID]
    offline: Sequence[UUID]


class Removed(ServerFrame, frozen=True, tag_field="type", tag="removed"):
    """You hear this room no longer: you were sent away, or it is gone."""

    room_id: UUID


SERVER_FRAMES: Sequence[type[ServerFrame]] = (
    Ack, Failed, Pong, Said, Edited, Deleted, Reacted, IsTyping, HasRead, Presence, Removed,
)  # fmt: skip
