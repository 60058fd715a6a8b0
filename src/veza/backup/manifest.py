"""What a backup says of itself: written last and at once, so that without one there is no backup."""

import hashlib
from collections.abc import Mapping, Sequence
from datetime import datetime

import msgspec

from veza.core.db.rows import Column

FORMAT = 1
# Told by name; of more it is only said how many.
MOST_NAMED = 1_000


class ManifestDamaged(Exception):
    """This is no manifest of a backup, or it was changed since it was written."""


class TablePart(msgspec.Struct, frozen=True):
    """A table: its columns, how many rows, the sum of their digests, and the contents that hold them."""

    name: str
    columns: Sequence[Column]
    rows: int
    digest: str
    pieces: Sequence[str]


class FilesPart(msgspec.Struct, frozen=True):
    """The files: how many, their bytes, the sum of the digests of the list, and the contents that hold it."""

    count: int
    bytes: int
    digest: str
    pieces: Sequence[str]


class SecretPart(msgspec.Struct, frozen=True):
    """By which secrets the rows were sealed, the first one first; and whether these are kept here, too."""

    ids: Sequence[str]
    included: bool


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """A backup; ``made_at`` is the moment whose rows and files it holds."""

    format: int = FORMAT
    id: str
    # The id of the installation; none in one made before there were any, or before its first start.
    installation: str = ""
    made_at: datetime
    veza: str
    dialect: str
    revision: str
    tables: Sequence[TablePart]
    left_out: Mapping[str, str]
    files: FilesPart
    secret: SecretPart
    # What rows name and was not as they say when it was made: key and what is wrong with it.
    faults: Sequence[tuple[str, str]]
    fault_count: int

    def is_of(self, other: "Manifest") -> bool:
        """Whether both are of one installation; one that names none is known by the secrets of its server."""
        if self.installation:
            return self.installation == other.installation
        return not set(self.secret.ids).isdisjoint(other.secret.ids)

    @property
    def rows(self) -> int:
        """How many rows all tables have."""
        return sum(table.rows for table in self.tables)


class _Sealed(msgspec.Struct, frozen=True):
    sha256: str
    backup: msgspec.Raw


def write(manifest: Manifest) -> bytes:
    """The manifest as it is stored."""
    body = msgspec.json.encode(manifest)
    sealed = _Sealed(hashlib.sha256(body).hexdigest(), msgspec.Raw(body))
    return msgspec.json.encode(sealed)


def read(data: bytes) -> Manifest:
    """What was written. Raises :class:`ManifestDamaged`."""
    try:
        sealed = msgspec.json.decode(data, type=_Sealed)
        body = bytes(sealed.backup)
        if hashlib.sha256(body).hexdigest() != sealed.sha256:
            raise ManifestDamaged
        return msgspec.json.decode(body, type=Manifest)
    except msgspec.MsgspecError:
        raise ManifestDamaged from None
