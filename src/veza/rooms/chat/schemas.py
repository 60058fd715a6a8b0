"""Rooms and messages as callers send and see them."""

from collections.abc import Sequence
from datetime import datetime
from functools import partial
from typing import Annotated, Literal
from uuid import UUID

import msgspec

from veza.core.body import checked
from veza.core.pages import Pagination
from veza.core.text import clean_text

RoomType = Literal["public", "private", "direct", "track", "playlist"]
MadeType = Literal["public", "private", "direct"]
# Each may do what those after it may; a reader only reads.
Role = Literal["owner", "moderator", "member", "reader"]
GivenRole = Literal["moderator", "member", "reader"]
CardType = Literal["track", "playlist"]

MAX_CONTENT = 4_000
MAX_CARDS = 4
# Whose account is gone.
DELETED_USER = "deleted user"

Content = Annotated[
    str,
    checked(
        partial(clean_text, max_chars=MAX_CONTENT, min_chars=1, multiline=True),
        minLength=1,
        maxLength=MAX_CONTENT,
    ),
]
Name = Annotated[str, checked(partial(clean_text, max_chars=100, min_chars=1), minLength=1, maxLength=100)]
Topic = Annotated[str, checked(partial(clean_text, max_chars=500), maxLength=500)]
Reason = Annotated[str, checked(partial(clean_text, max_chars=500), maxLength=500)]
ClientId = Annotated[str, checked(partial(clean_text, max_chars=64, min_chars=1), minLength=1, maxLength=64)]
Emoji = Annotated[str, checked(partial(clean_text, max_chars=16, min_chars=1), minLength=1, maxLength=16)]
SlowSeconds = Annotated[int, msgspec.Meta(ge=0, le=21_600)]
Seconds = Annotated[int, msgspec.Meta(ge=1, le=31_536_000)]


class Somebody(msgspec.Struct, frozen=True):
    """A person by id and name."""

    id: UUID
    username: str


class Room(msgspec.Struct, frozen=True):
    """A room as its viewer sees it.

    ``seq`` is the place of its last change, ``read_seq`` that up to which the viewer has read; ``role`` is
    theirs, None for who is no member. ``partner`` is the other one in a direct room, None once they are gone;
    ``about_id`` the track or playlist whose room it is.
    """

    id: UUID
    type: RoomType
    name: str
    topic: str
    seq: int
    message_count: int
    member_count: int
    slow_seconds: int
    created_at: datetime
    last_message_at: datetime | None
    role: Role | None
    read_seq: int | None
    muted_until: datetime | None
    about_id: UUID | None
    partner: Somebody | None


class RoomBody(msgspec.Struct, frozen=True):
    """One room."""

    room: Room


class RoomList(msgspec.Struct, frozen=True):
    """A page of rooms."""

    rooms: Sequence[Room]
    pagination: Pagination


class RoomDraft(msgspec.Struct, frozen=True):
    """A room to be; one of type ``direct`` is between its maker and ``user_id``, and has no name."""

    type: MadeType
    name: Name | None = None
    topic: Topic = ""
    user_id: UUID | None = None


class RoomChanges(msgspec.Struct, frozen=True):
    """What is to be different; ``slow_seconds`` is how long everybody waits between two messages."""

    name: Name | None = None
    topic: Topic | None = None
    slow_seconds: SlowSeconds | None = None


class Card(msgspec.Struct, frozen=True):
    """A track or playlist that a message shows; who sees the message may or may not see it."""

    type: CardType
    id: UUID


class Reaction(msgspec.Struct, frozen=True):
    """How many gave this emoji to a message; ``mine`` is left out of frames that go to everybody."""

    emoji: str
    count: int
    mine: bool | msgspec.UnsetType = msgspec.UNSET


class Message(msgspec.Struct, frozen=True):
    """What somebody said in a room, in the one order of ``seq``; ``content`` is text, never HTML.

    ``change_seq`` is the place of its last change. One that was deleted has no content. ``user_id`` is None,
    and the name a stand-in, where the account is gone.
    """

    id: UUID
    room_id: UUID
    seq: int
    change_seq: int
    user_id: UUID | None
    username: str
    client_id: str | None
    content: str
    reply_to: UUID | None
    mentions: Sequence[UUID]
    cards: Sequence[Card]
    reactions: Sequence[Reaction]
    created_at: datetime
    edited_at: datetime | None
    deleted_at: datetime | None
    pinned_at: datetime | None


class MessageBody(msgspec.Struct, frozen=True):
    """One message."""

    message: Message


class MessageList(msgspec.Struct, frozen=True):
    """Messages of a room, the oldest first; whether there are more in the direction that was asked for."""

    messages: Sequence[Message]
    has_more: bool


class MessageDraft(msgspec.Struct, frozen=True):
    """What somebody wants to say; the same ``client_id`` again is the same message."""

    content: Content
    client_id: ClientId | None = None
    reply_to: UUID | None = None
    cards: Annotated[list[Card], msgspec.Meta(max_length=MAX_CARDS)] = msgspec.field(default_factory=list)


class MessageChanges(msgspec.Struct, frozen=True):
    """Other words for a message."""

    content: Content


class ReactionDraft(msgspec.Struct, frozen=True):
    """An emoji to give."""

    emoji: Emoji


class ReadDraft(msgspec.Struct, frozen=True):
    """The last message that was read."""

    message_id: UUID


class ChatMember(msgspec.Struct, frozen=True):
    """Somebody in a room."""

    user_id: UUID
    username: str
    role: Role
    joined_at: datetime
    read_seq: int
    muted_until: datetime | None


class MemberList(msgspec.Struct, frozen=True):
    """A page of who is in a room."""

    members: Sequence[ChatMember]
    pagination: Pagination


class MemberDraft(msgspec.Struct, frozen=True):
    """Whom to take into a room."""

    user_id: UUID
    role: GivenRole = "member"


class MemberChanges(msgspec.Struct, frozen=True):
    """Another role, or silence for so many seconds from now; 0 ends it."""

    role: Role | None = None
    mute_seconds: Annotated[int, msgspec.Meta(ge=0, le=31_536_000)] | None = None


class ChatToken(msgspec.Struct, frozen=True):
    """What opens one WebSocket within so many seconds."""

    token: str
    expires_in: int


class ChatStats(msgspec.Struct, frozen=True):
    """How much is talked; ``active_users`` were here within a day."""

    total_rooms: int
    total_messages: int
    active_users: int
