"""Playlists as callers send and see them."""

from collections.abc import Sequence
from datetime import datetime
from functools import partial
from typing import Annotated, Literal
from uuid import UUID

import msgspec

from veza.core.body import checked
from veza.core.pages import Pagination
from veza.core.text import clean_text
from veza.rooms.tracks.schemas import TrackSummary

# What a collaborator may do; each includes what stands before it.
Permission = Literal["read", "write", "admin"]

MAX_TITLE = 200
MAX_DESCRIPTION = 2_000
MAX_TRACKS = 10_000
# Seconds that a link may be good.
MIN_GOOD, MAX_GOOD = 60, 365 * 24 * 3600
Title = Annotated[
    str, checked(partial(clean_text, max_chars=MAX_TITLE, min_chars=1), minLength=1, maxLength=MAX_TITLE)
]
Description = Annotated[
    str, checked(partial(clean_text, max_chars=MAX_DESCRIPTION, multiline=True), maxLength=MAX_DESCRIPTION)
]
Position = Annotated[int, msgspec.Meta(ge=1, le=MAX_TRACKS)]
Version = Annotated[int, msgspec.Meta(ge=0)]


class PlaylistSummary(msgspec.Struct, frozen=True):
    """A playlist in a list; ``track_count`` and ``total_duration``, in seconds, of what its viewer sees.

    While its owner is suspended it is ``closed``: there for nobody but those who moderate.
    """

    id: UUID
    user_id: UUID
    username: str
    title: str
    description: str | None
    is_public: bool
    closed: bool
    track_count: int
    total_duration: float
    follower_count: int
    created_at: datetime
    updated_at: datetime

    @property
    def listed(self) -> bool:
        """Whether everybody sees it."""
        return self.is_public and not self.closed


class Playlist(PlaylistSummary, frozen=True):
    """A playlist by itself, as one viewer sees it.

    ``permission`` is theirs: owner, admin, write, read, or None. ``version`` is another one after each change
    of the tracks.
    """

    version: int
    permission: str | None
    is_following: bool


class PlaylistBody(msgspec.Struct, frozen=True):
    """One playlist."""

    playlist: Playlist


class PlaylistTrack(TrackSummary, frozen=True):
    """A track of a playlist: its position among those that its viewer sees, who added it, and when.

    ``added_by`` is None where that account is gone.
    """

    position: int
    added_by: UUID | None
    added_by_username: str | None
    added_at: datetime


class PlaylistDetail(Playlist, frozen=True):
    """A playlist with its first tracks."""

    tracks: Sequence[PlaylistTrack]


class DetailBody(msgspec.Struct, frozen=True):
    """One playlist with its first tracks."""

    playlist: PlaylistDetail


class PlaylistList(msgspec.Struct, frozen=True):
    """A page of playlists, the newest first."""

    playlists: Sequence[PlaylistSummary]
    pagination: Pagination


class TrackPage(msgspec.Struct, frozen=True):
    """A page of a playlist's tracks."""

    tracks: Sequence[PlaylistTrack]
    pagination: Pagination


class PlaylistDraft(msgspec.Struct, frozen=True):
    """A playlist to be made."""

    title: Title
    description: Description | None = None
    is_public: bool = True


class PlaylistChanges(msgspec.Struct, frozen=True):
    """What may be changed about a playlist; what is left out stays."""

    title: Title | msgspec.UnsetType = msgspec.UNSET
    description: Description | msgspec.UnsetType | None = msgspec.UNSET
    is_public: bool | msgspec.UnsetType = msgspec.UNSET


class Addition(msgspec.Struct, frozen=True):
    """A track to be added: at the end, or so that it has this position."""

    track_id: UUID
    position: Position | None = None


class Move(msgspec.Struct, frozen=True):
    """The position that a track is to have; with a ``version``, only if nothing has changed since."""

    position: Position
    version: Version | None = None


class Order(msgspec.Struct, frozen=True):
    """All tracks of a playlist in their new order; with a ``version``, only if nothing has changed since."""

    track_ids: Annotated[list[UUID], msgspec.Meta(max_length=MAX_TRACKS)]
    version: Version | None = None


class Placed(msgspec.Struct, frozen=True):
    """An answer that says where a track is now."""

    message: str
    position: int


class Collaborator(msgspec.Struct, frozen=True):
    """Somebody who may work on a playlist; ``id`` is theirs."""

    id: UUID
    username: str
    permission: str
    added_at: datetime


class CollaboratorList(msgspec.Struct, frozen=True):
    """All collaborators of a playlist, the first one first."""

    collaborators: Sequence[Collaborator]


class CollaboratorDraft(msgspec.Struct, frozen=True):
    """Who is to work on a playlist, and how much they may."""

    user_id: UUID
    permission: Permission


class PermissionDraft(msgspec.Struct, frozen=True):
    """How much a collaborator may from now on."""

    permission: Permission


class NewOwner(msgspec.Struct, frozen=True):
    """The collaborator to whom a playlist is given."""

    user_id: UUID


class ShareLink(msgspec.Struct, frozen=True):
    """A link to a playlist, without its token: that was shown once."""

    id: UUID
    created_by: UUID
    created_at: datetime
    expires_at: datetime


class LinkList(msgspec.Struct, frozen=True):
    """The links to a playlist that are good."""

    links: Sequence[ShareLink]


class LinkDraft(msgspec.Struct, frozen=True):
    """For how many seconds a link is to be good: a minute at the least, a year at most."""

    expires_in: Annotated[int, msgspec.Meta(ge=MIN_GOOD, le=MAX_GOOD)] | None = None


class NewLink(msgspec.Struct, frozen=True):
    """A link that was just made, with its token."""

    id: UUID
    share_token: str
    share_url: str
    expires_at: datetime
