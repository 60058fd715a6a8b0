"""What happens to playlists; ``user_id`` is the owner, whom it concerns."""

from typing import ClassVar
from uuid import UUID

from veza.core.events import Event


class PlaylistCreated(Event, frozen=True):
    """Somebody made a playlist."""

    kind: ClassVar[str] = "playlist.created"
    playlist_id: UUID
    user_id: UUID


class PlaylistUpdated(Event, frozen=True):
    """A playlist is another: its title, description, is_public, cover, tracks, user_id, closed."""

    kind: ClassVar[str] = "playlist.updated"
    playlist_id: UUID
    user_id: UUID
    changed: tuple[str, ...]


class PlaylistDeleted(Event, frozen=True):
    """A playlist is gone."""

    kind: ClassVar[str] = "playlist.deleted"
    playlist_id: UUID
    user_id: UUID


class PlaylistFollowed(Event, frozen=True):
    """Somebody follows a playlist."""

    kind: ClassVar[str] = "playlist.followed"
    playlist_id: UUID
    user_id: UUID
    followed_by: UUID


class PlaylistUnfollowed(Event, frozen=True):
    """Somebody follows a playlist no longer."""

    kind: ClassVar[str] = "playlist.unfollowed"
    playlist_id: UUID
    user_id: UUID
    followed_by: UUID


class PlaylistCollaboratorAdded(Event, frozen=True):
    """Somebody may work on a playlist from now on."""

    kind: ClassVar[str] = "playlist.collaborator_added"
    playlist_id: UUID
    user_id: UUID
    collaborator_id: UUID
    permission: str


class PlaylistCollaboratorChanged(Event, frozen=True):
    """A collaborator of a playlist may do more, or less."""

    kind: ClassVar[str] = "playlist.collaborator_changed"
    playlist_id: UUID
    user_id: UUID
    collaborator_id: UUID
    permission: str


class PlaylistCollaboratorRemoved(Event, frozen=True):
    """Somebody is no longer a collaborator of a playlist."""

    kind: ClassVar[str] = "playlist.collaborator_removed"
    playlist_id: UUID
    user_id: UUID
    collaborator_id: UUID


class PlaylistShared(Event, frozen=True):
    """A link was made that shows a playlist to whoever has it."""

    kind: ClassVar[str] = "playlist.shared"
    playlist_id: UUID
    user_id: UUID
    link_id: UUID


class PlaylistUnshared(Event, frozen=True):
    """Links to a playlist show it no longer: one, or all of them (``link_id`` is None)."""

    kind: ClassVar[str] = "playlist.unshared"
    playlist_id: UUID
    user_id: UUID
    link_id: UUID | None
