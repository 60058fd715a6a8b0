"""Notifications as their readers see them."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from uuid import UUID

import msgspec

from veza.core.pages import Pagination
from veza.rooms.notifications.wording import Type


class Somebody(msgspec.Struct, frozen=True):
    """Somebody who did what is told."""

    id: UUID
    username: str


class Subject(msgspec.Struct, frozen=True):
    """The thing that is told about: a track, playlist, order, user, room or webhook, as its ``type`` says."""

    type: str
    id: UUID


class Notification(msgspec.Struct, frozen=True):
    """What somebody is told, in a sentence and in its parts.

    ``count`` people did it, of whom ``actors`` are the latest; ``updated_at`` is when the last one did. The
    subject is None, and not named in the message, where the reader may not see it any more. ``cursor`` grows
    with each change: it is the id of the event in ``GET /events``.
    """

    id: UUID
    type: Type
    message: str
    read: bool
    created_at: datetime
    updated_at: datetime
    count: int
    actors: Sequence[Somebody]
    subject: Subject | None
    detail: str | None
    cursor: int


class NotificationList(msgspec.Struct, frozen=True):
    """A page of what somebody was told, the latest first; ``unread_count`` of all of it."""

    notifications: Sequence[Notification]
    unread_count: int
    pagination: Pagination


class Deleted(msgspec.Struct, frozen=True):
    """How many notifications were deleted."""

    message: str
    deleted: int


class Channels(msgspec.Struct, frozen=True):
    """How somebody is told of a type: in the list and live (``in_app``), and by mail."""

    in_app: bool
    email: bool


class ChannelChanges(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What of it is to be another way."""

    in_app: bool | msgspec.UnsetType = msgspec.UNSET
    email: bool | msgspec.UnsetType = msgspec.UNSET


class Preferences(msgspec.Struct, frozen=True):
    """What somebody is told of, by type and channel."""

    preferences: Mapping[str, Channels]


class PreferenceChanges(msgspec.Struct, frozen=True):
    """The types that are to be told otherwise; all others stay as they are."""

    preferences: Mapping[str, ChannelChanges]


class StreamAddress(msgspec.Struct, frozen=True):
    """An address of the stream of events for a browser, which sends no headers with it."""

    url: str
    expires_at: datetime
