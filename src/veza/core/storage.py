"""Where files live: a folder of this machine, or a bucket of S3.

The database says which files there are; a storage only keeps them. A file that no row names is rubbish, which
the sweeper removes: so a row is written after its file, and a file is removed after its row.
"""

from collections.abc import Mapping
from pathlib import Path
from urllib.parse import unquote, urlsplit

from veza.core.storage_base import (
    Entry,
    NoSuchFile,
    Storage,
    StorageFull,
    StorageUnavailable,
    Stored,
)
from veza.core.storage_chunks import ChunkStore
from veza.core.storage_chunks_local import LocalChunks
from veza.core.storage_chunks_remote import StoredChunks
from veza.core.storage_hold import HeldAlready, Hold, HoldLost, holding
from veza.core.storage_local import LocalStorage
from veza.core.storage_named import NamedFile, Naming
from veza.core.storage_s3 import ObjectStorage, open_s3

__all__ = [
    "ChunkStore",
    "Entry",
    "HeldAlready",
    "Hold",
    "HoldLost",
    "LocalStorage",
    "NamedFile",
    "Naming",
    "NoSuchFile",
    "ObjectStorage",
    "Storage",
    "StorageFull",
    "StorageUnavailable",
    "Stored",
    "holding",
    "open_chunks",
    "open_storage",
]


def open_storage(url: str, *, scratch: Path, s3: Mapping[str, str]) -> Storage:
    """The storage at ``file:///folder`` or ``s3://bucket/prefix``.

    ``scratch`` is where files wait that are on their way to S3; a folder's storage has a place of its own, on
    the same file system. ``s3`` are the AWS_* variables; see :func:`veza.core.storage_s3.open_s3`.
    Raises ValueError with one line for the operator.
    """
    parts = urlsplit(url)
    match parts.scheme:
        case "file" if parts.netloc in {"", "localhost"} and len(parts.path) > 1:
            return LocalStorage(Path(unquote(parts.path)))
        case "s3" if parts.netloc:
            return open_s3(parts.netloc, parts.path.strip("/"), s3, scratch)
    raise ValueError("a storage is file:///folder or s3://bucket/prefix")


def open_chunks(storage: Storage) -> ChunkStore:
    """Where chunks lie that are to become files of this storage."""
    return LocalChunks(storage) if isinstance(storage, LocalStorage) else StoredChunks(storage)
