"""Files that tinytag misreads, shown to it in a form that it reads: the same length, some bytes others.

- Wave files whose sizes are wider than 32 bits (RF64, BW64), in a chunk of their own (EBU Tech 3306).
- ID3v2 tags that are unsynchronised, or whose frames or extended header have more in them than it knows of.

Run in the sandbox, where nothing else of ours is.
"""

import io
import re
from collections.abc import Mapping
from typing import Any, BinaryIO

# Chunks in front of the sound that are looked at.
_MOST = 64
# What stands for a size that is said elsewhere; and the largest that is none such.
_ELSEWHERE = 0xFFFF_FFFF
_LARGEST = _ELSEWHERE - 1

# Bytes of a tag that is written anew, and frames in it: real ones have a cover or two, and tens of frames.
_MOST_TAG, _MOST_FRAMES = 32 << 20, 4096
# Of a tag: unsynchronised, and with an extended header; in ID3v2.2 the latter says that it is compressed.
_UNSYNCHRONISED, _EXTENDED = 0x80, 0x40
_BOTH, _LATEST = _UNSYNCHRONISED | _EXTENDED, 4
# Versions and flags of tags that tinytag may misread; in the latest, frames may have flags of their own.
_NOT_PLAIN = {(2, _UNSYNCHRONISED), *((3, odd) for odd in (_UNSYNCHRONISED, _EXTENDED, _BOTH))}
_NOT_PLAIN |= {(_LATEST, odd) for odd in (0, _UNSYNCHRONISED, _EXTENDED, _BOTH)}
# Of a frame of ID3v2.4: what stands in front of its content, and what is done to that.
_GROUPED, _PACKED, _UNSYNCHRONISED_FRAME, _LENGTH_SAID = 0x40, 0x08 | 0x04, 0x02, 0x01
# How long the head of a tag is, and that of a frame.
_HEAD = 10
_FRAME_NAME = re.compile(rb"[A-Z][A-Z0-9]{3}")
# What no unsynchronised bytes hold (ID3v2.4, 6.1): some writers say so of what they left as it was.
_SYNCHRONISATION = re.compile(rb"\xff[\xe0-\xff]")


class _Patched(io.RawIOBase):
    """A file of which some bytes read as others."""

    def __init__(self, file: BinaryIO, patches: Mapping[int, bytes]) -> None:
        self._file, self._patches = file, patches

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()

    def readinto(self, buffer: Any, /) -> int:
        begin = self._file.tell()
        data = bytearray(self._file.read(len(buffer)))
        end = begin + len(data)
        for place, patch in self._patches.items():
            first, last = max(place, begin), min(place + len(patch), end)
            if first < last:
                data[first - begin : last - begin] = patch[first - place : last - place]
        buffer[: len(data)] = data
        return len(data)


def readable(file: BinaryIO) -> BinaryIO:
    """The file, at its beginning; as tinytag reads it."""
    head = file.read(12)
    patches: dict[int, bytes] = {}
    if head[:4] in {b"RF64", b"BW64"} and head[8:] == b"WAVE":
        patches = _narrow_sizes(file)
    elif head[:3] == b"ID3" and len(head) >= _HEAD:
        patches = _plain_tag(file, version=head[3], flags=head[5], size=_synchsafe(head[6:10]))
    file.seek(0)
    return io.BufferedReader(_Patched(file, patches)) if patches else file


def _narrow_sizes(file: BinaryIO) -> dict[int, bytes]:
    """Sizes of 32 bits for wider ones that fit into these."""
    patches = {0: b"RIFF"}
    place, length = 12, 0
    for _ in range(_MOST):
        file.seek(place)
        name, size = file.read(4), int.from_bytes(file.read(4), "little")
        if name == b"ds64":
            length = int.from_bytes(file.read(16)[8:], "little")
        elif name == b"data" and size == _ELSEWHERE:
            patches[place + 4] = min(length, _LARGEST).to_bytes(4, "little")
        if name in {b"data", b""}:
            break
        place += 8 + size + size % 2
    return patches


# --- ID3v2, by its informal standards 2, 3.0 and 4.0 -------------------------------------------------


def _plain_tag(file: BinaryIO, *, version: int, flags: int, size: int) -> dict[int, bytes]:
    """The flags of a tag and all behind its head, with zeros behind its frames; nothing if it is plain."""
    odd = flags & _BOTH
    if size > _MOST_TAG or (version, odd) not in _NOT_PLAIN:
        return {}
    file.seek(_HEAD)
    body = plain = file.read(size)
    unsynchronised = bool(flags & _UNSYNCHRONISED)
    if version == _LATEST:
        frames = body[_synchsafe(body[:4]) :] if flags & _EXTENDED else body
        plain = _plain_frames(frames, unsynchronised=unsynchronised)
    else:
        if unsynchronised:
            plain = _synchronised(body)
        if flags & _EXTENDED:  # the size of its header does not count itself
            plain = plain[4 + int.from_bytes(plain[:4]) :]
    return {5: bytes([flags - odd]), _HEAD: plain.ljust(len(body), b"\0")} if odd or plain != body else {}


def _plain_frames(body: bytes, *, unsynchronised: bool) -> bytes:
    """The frames of a tag of ID3v2.4 as they mean it; those that are compressed or encrypted are left out.

    What is behind the last whole one stays as it is.
    """
    frames: list[bytes] = []
    place = 0
    for _ in range(_MOST_FRAMES):
        head = body[place : place + _HEAD]
        if len(head) < _HEAD or not _FRAME_NAME.match(head):
            break
        start, flags = place + _HEAD, head[9]
        end = start + _frame_size(body, place)
        if end > len(body):
            break
        place = end
        if flags & _PACKED:
            continue
        start += (1 if flags & _GROUPED else 0) + (4 if flags & _LENGTH_SAID else 0)
        content = body[start:end]
        if unsynchronised or flags & _UNSYNCHRONISED_FRAME:
            content = _synchronised(content)
        size = bytes(len(content) >> shift & 0x7F for shift in (21, 14, 7, 0))
        frames += (head[:4], size, head[8:9], b"\0", content)
    return b"".join((*frames, body[place:]))


def _frame_size(body: bytes, place: int) -> int:
    """The size of the frame here: seven bits of each byte, or eight, as old versions of iTunes wrote it."""
    size = body[place + 4 : place + 8]
    sevens, eights = _synchsafe(size), int.from_bytes(size)
    behind = place + _HEAD
    return eights if _ends(body, behind + eights) and not _ends(body, behind + sevens) else sevens


def _ends(body: bytes, place: int) -> bool:
    """Whether a frame may end here: behind it is another, or zeros, or nothing."""
    after = body[place : place + _HEAD]
    return place <= len(body) and (not any(after) or _FRAME_NAME.match(after) is not None)


def _synchronised(data: bytes) -> bytes:
    """Without the zeros that keep it from looking like sound, if there are such."""
    return data if _SYNCHRONISATION.search(data) else data.replace(b"\xff\x00", b"\xff")


def _synchsafe(four: bytes) -> int:
    """Seven bits of each byte; the eighth is not there."""
    size = 0
    for byte in four:
        size = size << 7 | byte & 0x7F
    return size
