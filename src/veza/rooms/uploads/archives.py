"""Whether a ZIP archive may be kept: told by its directory alone, nothing is unpacked.

Sources: PKWARE, APPNOTE.TXT 6.3.10; Fifield, "A better zip bomb", WOOT 2019 (entries that overlap).
"""

import os
import stat
import struct
import zipfile
from pathlib import Path
from typing import BinaryIO

from veza.rooms.uploads.errors import UnsafeArchive

MOST_ENTRIES = 10_000
MOST_BYTES = 4 * 1024**3
# Bytes out for each byte in, over the whole archive; of text, ten is common.
MOST_RATIO = 100
_SMALL = 1024 * 1024
_DIRECTORY = 8 * 1024**2
_END = struct.Struct("<4s4H2LH")
_TAIL = _END.size + 0xFFFF
_LOCATOR = 20
_ENCRYPTED = 1


def check_archive(path: Path) -> None:
    """Return if the archive is sane; call it in a thread. Raises :class:`UnsafeArchive`."""
    with path.open("rb") as file:
        _check_end(file)
        try:
            with zipfile.ZipFile(file) as archive:
                entries = archive.infolist()
        except (zipfile.BadZipFile, NotImplementedError, OSError, ValueError) as error:
            raise UnsafeArchive("The archive is damaged.") from error
    _check_entries(entries, path.stat().st_size)


def _check_end(file: BinaryIO) -> None:
    """That the directory is small enough to be read; ZIP64, which no pack of ours needs, is refused."""
    size = file.seek(0, os.SEEK_END)
    file.seek(max(size - _TAIL, 0))
    tail = file.read()
    at = tail.rfind(b"PK\x05\x06")
    if at < 0 or len(tail) - at < _END.size:
        raise UnsafeArchive("The archive is damaged.")
    _, disk, start, here, count, length, offset, _ = _END.unpack_from(tail, at)
    if disk or start or here != count or tail[max(at - _LOCATOR, 0) : at].startswith(b"PK\x06\x07"):
        raise UnsafeArchive("Archives in parts and ZIP64 are not taken.")
    if count > MOST_ENTRIES or length > _DIRECTORY:
        raise UnsafeArchive(f"An archive has at most {MOST_ENTRIES} entries.")
    if offset + length > size:
        raise UnsafeArchive("The archive is damaged.")


def _check_entries(entries: list[zipfile.ZipInfo], size: int) -> None:
    packed = sum(entry.compress_size for entry in entries)
    unpacked = sum(entry.file_size for entry in entries)
    if len(entries) > MOST_ENTRIES:
        raise UnsafeArchive(f"An archive has at most {MOST_ENTRIES} entries.")
    # Entries that share bytes: together they would be larger than the archive.
    if packed > size or len({entry.header_offset for entry in entries}) != len(entries):
        raise UnsafeArchive("Entries of the archive overlap.")
    if unpacked > MOST_BYTES or (unpacked > _SMALL and unpacked > MOST_RATIO * size):
        raise UnsafeArchive("The archive would unpack into more than it should.")
    for entry in entries:
        _check_entry(entry)


def _check_entry(entry: zipfile.ZipInfo) -> None:
    parts = entry.filename.replace("\\", "/").split("/")
    if ".." in parts or not parts[0] or ":" in parts[0]:
        raise UnsafeArchive("The archive has an entry that would leave its folder.")
    if entry.flag_bits & _ENCRYPTED:
        raise UnsafeArchive("The archive is encrypted.")
    if stat.S_ISLNK(entry.external_attr >> 16):
        raise UnsafeArchive("The archive has a link in it.")
