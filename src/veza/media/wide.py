"""Wave files whose sizes are wider than 32 bits (RF64, BW64), shown as ordinary ones to who reads only those.

The sizes are in a chunk of their own (EBU Tech 3306). Run in the sandbox, where nothing else of ours is.
"""

import io
from collections.abc import Mapping
from typing import Any, BinaryIO

# Chunks in front of the sound that are looked at.
_MOST = 64
# What stands for a size that is said elsewhere; and the largest that is none such.
_ELSEWHERE = 0xFFFF_FFFF
_LARGEST = _ELSEWHERE - 1


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
        for place, patch in self._patches.items():
            for number, byte in enumerate(patch, place - begin):
                if 0 <= number < len(data):
                    data[number] = byte
        buffer[: len(data)] = data
        return len(data)


def narrowed(file: BinaryIO) -> BinaryIO:
    """The file, at its beginning; with sizes of 32 bits, where it has wider ones that fit into these."""
    head = file.read(12)
    patches = {0: b"RIFF"}
    wide = head[:4] in {b"RF64", b"BW64"} and head[8:] == b"WAVE"
    place, length = len(head), 0
    for _ in range(_MOST if wide else 0):
        file.seek(place)
        name, size = file.read(4), int.from_bytes(file.read(4), "little")
        if name == b"ds64":
            length = int.from_bytes(file.read(16)[8:], "little")
        elif name == b"data" and size == _ELSEWHERE:
            patches[place + 4] = min(length, _LARGEST).to_bytes(4, "little")
        if name in {b"data", b""}:
            break
        place += 8 + size + size % 2
    file.seek(0)
    return _Patched(file, patches) if wide else file  # type: ignore[return-value]  # it reads like one
