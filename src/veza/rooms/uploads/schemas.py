"""Uploads as callers send and see them."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Annotated
from uuid import UUID

import msgspec

from veza.core.body import checked
from veza.core.multipart import clean_filename
from veza.core.pages import Pagination
from veza.core.text import BadValue
from veza.rooms.tracks.schemas import UploadedTrack, UploadForm

MAX_CHUNKS = 10_000
MAX_CHUNK_BYTES = 64 * 1024**2
MAX_FILENAME = 255
IDLE = timedelta(hours=24)


def _filename(given: str) -> str:
    if len(given) > MAX_FILENAME:
        raise BadValue("TOO_LONG", f"This must be at most {MAX_FILENAME} characters.")
    name = clean_filename(given)
    if not name:
        raise BadValue("TOO_SHORT", "This must be the name of a file.")
    return name


Filename = Annotated[str, checked(_filename, minLength=1, maxLength=MAX_FILENAME)]


class Start(UploadForm, frozen=True, kw_only=True):
    """A file that is to come in chunks: ``total_size`` in bytes; and what its track is to say."""

    filename: Filename
    total_chunks: Annotated[int, msgspec.Meta(ge=1, le=MAX_CHUNKS)]
    total_size: Annotated[int, msgspec.Meta(ge=1)]

    @property
    def form(self) -> UploadForm:
        """What the track is to say."""
        return UploadForm(**{name: getattr(self, name) for name in UploadForm.__struct_fields__})


class Started(msgspec.Struct, frozen=True):
    """A transfer has begun."""

    upload_id: UUID
    message: str
    expires_at: datetime


class ChunkForm(msgspec.Struct, frozen=True):
    """What comes beside a chunk."""

    upload_id: UUID
    chunk_number: Annotated[int, msgspec.Meta(ge=1)]
    total_chunks: int
    total_size: int
    filename: Filename


class ChunkTaken(msgspec.Struct, frozen=True):
    """A chunk is there; ``progress`` in percent."""

    upload_id: UUID
    received_chunks: int
    progress: float
    message: str


class WhichUpload(msgspec.Struct, frozen=True):
    """Names a transfer."""

    upload_id: UUID


class Outcome(msgspec.Struct, frozen=True):
    """What became of a transfer: its track, and the digests of the file in hexadecimal."""

    track: UploadedTrack
    md5: str
    sha256: str
    message: str


class TransferState(msgspec.Struct, frozen=True):
    """How far a transfer is: ``chunk_size`` in bytes, 0 until it is known; ``progress`` in percent."""

    upload_id: UUID
    status: str
    filename: str
    total_size: int
    total_chunks: int
    chunk_size: int
    chunks_received: int
    received: Sequence[int]
    missing_chunks: Sequence[int]
    progress: float
    expires_at: datetime
    track_id: UUID | None


class FileForm(msgspec.Struct, frozen=True):
    """Beside the file nothing comes."""


class FileTaken(msgspec.Struct, frozen=True):
    """A file has come in."""

    upload_id: UUID
    status: str
    kind: str


class FileStatus(msgspec.Struct, frozen=True):
    """How far an upload is: ``progress`` in percent, ``error`` when it was refused."""

    status: str
    progress: int
    kind: str
    error: str | None


class Upload(msgspec.Struct, frozen=True):
    """An uploaded file; ``size`` in bytes."""

    id: UUID
    user_id: UUID
    kind: str
    filename: str
    mime: str
    size: int
    status: str
    error: str | None
    created_at: datetime
    updated_at: datetime


class UploadList(msgspec.Struct, frozen=True):
    """A page of uploads."""

    uploads: Sequence[Upload]
    pagination: Pagination
