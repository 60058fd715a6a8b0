"""What happens to uploads."""

from typing import ClassVar
from uuid import UUID

from veza.core.events import Event


class TransferStarted(Event, frozen=True):
    """Somebody is about to send a file in chunks."""

    kind: ClassVar[str] = "transfer.started"
    upload_id: UUID
    user_id: UUID


class TransferCompleted(Event, frozen=True):
    """All chunks came, and made a track."""

    kind: ClassVar[str] = "transfer.completed"
    upload_id: UUID
    user_id: UUID
    track_id: UUID


class TransferEnded(Event, frozen=True):
    """A transfer is over and made nothing: `abandoned`, `expired`, `failed` or `infected`."""

    kind: ClassVar[str] = "transfer.ended"
    upload_id: UUID
    user_id: UUID
    reason: str


class FileUploaded(Event, frozen=True):
    """Somebody uploaded a file; it is about to be looked at."""

    kind: ClassVar[str] = "upload.created"
    upload_id: UUID
    user_id: UUID


class FileAccepted(Event, frozen=True):
    """An uploaded file is what it seems to be, and can be used."""

    kind: ClassVar[str] = "upload.completed"
    upload_id: UUID
    user_id: UUID


class FileRefused(Event, frozen=True):
    """An uploaded file cannot be used."""

    kind: ClassVar[str] = "upload.failed"
    upload_id: UUID
    user_id: UUID
    error: str


class FileDeleted(Event, frozen=True):
    """Somebody removed an uploaded file."""

    kind: ClassVar[str] = "upload.deleted"
    upload_id: UUID
    user_id: UUID
