"""What happens to tracks."""

from typing import ClassVar
from uuid import UUID

from veza.core.events import Event


class TrackUploaded(Event, frozen=True):
    """Somebody uploaded a file, or it was imported for them; it is about to be processed."""

    kind: ClassVar[str] = "track.uploaded"
    track_id: UUID
    user_id: UUID


class TrackProcessed(Event, frozen=True):
    """A track became ready to be heard, or was when it was imported."""

    kind: ClassVar[str] = "track.processed"
    track_id: UUID
    user_id: UUID
    imported: bool = False


class TrackPublished(Event, frozen=True):
    """From now on everybody can hear a track; those that were imported are not told of one by one."""

    kind: ClassVar[str] = "track.published"
    track_id: UUID
    user_id: UUID


class TrackFailed(Event, frozen=True):
    """A file turned out not to be playable."""

    kind: ClassVar[str] = "track.failed"
    track_id: UUID
    user_id: UUID
    error: str


class TrackDownloaded(Event, frozen=True):
    """Somebody fetched the file that was uploaded, from its beginning, once in ten minutes; so do guests."""

    kind: ClassVar[str] = "track.downloaded"

    track_id: UUID
    owner_id: UUID


class TrackUpdated(Event, frozen=True):
    """What is said about a track has changed, or more has been found out about its file."""

    kind: ClassVar[str] = "track.updated"
    track_id: UUID
    user_id: UUID


class TrackWithheld(Event, frozen=True):
    """Somebody who moderates took a track away from all but its owner, who reads why with it."""

    kind: ClassVar[str] = "track.withheld"

    track_id: UUID
    user_id: UUID


class TrackRestored(Event, frozen=True):
    """A track that was withheld is shown again."""

    kind: ClassVar[str] = "track.restored"

    track_id: UUID
    user_id: UUID


class TrackDeleted(Event, frozen=True):
    """A track is gone."""

    kind: ClassVar[str] = "track.deleted"
    track_id: UUID
    user_id: UUID
