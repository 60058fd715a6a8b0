"""The kinds of jobs of this room."""

from datetime import timedelta
from uuid import UUID

import msgspec

from veza.core.jobs import JobKind, NoPayload


class RemoveChunks(msgspec.Struct, frozen=True):
    """Of which transfer."""

    transfer_id: UUID


class CheckFile(msgspec.Struct, frozen=True):
    """Which upload."""

    upload_id: UUID


class RemoveFile(msgspec.Struct, frozen=True):
    """Of which upload."""

    upload_id: UUID


REMOVE_CHUNKS = JobKind("uploads.remove_chunks", RemoveChunks)
CHECK = JobKind("uploads.check", CheckFile, attempts=3, outlasts=True)
REMOVE_FILE = JobKind("uploads.remove_file", RemoveFile)
SWEEP = JobKind("uploads.sweep", NoPayload, every=timedelta(hours=1))
