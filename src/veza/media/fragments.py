"""The fragmented MP4 files that we make (ISO 14496-12): read while they grow, then given an index.

A file is a head (``ftyp``, ``moov``), then fragments (``moof``, ``mdat``). HLS calls the head a media
initialization section and each fragment a segment; both are here *pieces*, the head being piece 0.
"""

import struct
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

import msgspec

_HEADER = 8
_COPIED = 1 << 20  # bytes at a time
_SAMPLE_SIZE, _SAMPLE_FLAGS, _SAMPLE_OFFSET = 0x200, 0x400, 0x800
_SAMPLE_DURATION, _FIRST_FLAGS, _DATA_OFFSET = 0x100, 0x4, 0x1
_DEFAULT_DURATION = 0x8
# Of a reference in a sidx: it begins at a point of random access, of the plainest kind.
_STARTS_WITH_SAP = 0x90000000


class Layout(msgspec.Struct, frozen=True):
    """Where the pieces of a file lie: bytes of its ``head``, its ``index`` and of each fragment.

    ``ticks`` is how long each fragment is heard, ``rate`` ticks to the second: what an encoder put in front
    of the music is not counted.
    """

    rate: int
    head: int
    index: int
    sizes: list[int]
    ticks: list[int]

    def find(self, piece: int) -> tuple[int, int] | None:
        """Offset and size of a piece, in bytes; None if there is no such piece."""
        if piece == 0:
            return 0, self.head
        if not 0 < piece <= len(self.sizes):
            return None
        return self.head + self.index + sum(self.sizes[: piece - 1]), self.sizes[piece - 1]


class Timing(msgspec.Struct, frozen=True):
    """How a rendition is cut: ``rate`` ticks to the second, each sound frame ``frame`` of them.

    ``skipped`` ticks at the beginning are the encoder's own, and not heard.
    """

    rate: int
    frame: int
    skipped: int

    def whole(self, seconds: int) -> int:
        """Ticks of a whole fragment: so many seconds and what is missing to the end of a sound frame."""
        return -(-seconds * self.rate // self.frame) * self.frame

    def plan(self, samples: int, seconds: int) -> list[int]:
        """Ticks that will be heard of each fragment of so much music, each of ``seconds`` and a bit.

        A last one of only a few samples is left out: the resampler rounds.
        """
        whole = self.whole(seconds)
        count, rest = divmod(self.skipped + samples, whole)
        return _without_front([whole] * count + ([rest] if rest > _ROUNDED else []), self.skipped)


class Fragments:
    """The fragments of a file that another process writes, as far as they are complete."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.head = b""
        self.rate = 0
        self.skipped = 0  # ticks that an encoder put in front
        self.frame = 0  # ticks of one sound frame
        self.sizes: list[int] = []
        self.durations: list[int] = []
        self._position = 0
        self._moof = b""

    @property
    def timing(self) -> Timing:
        """How it is cut; known with the first fragment."""
        return Timing(self.rate, self.frame, self.skipped)

    def find(self, piece: int) -> int:
        """Where a piece that is there begins, in bytes."""
        return len(self.head) + sum(self.sizes[: piece - 1]) if piece else 0

    @property
    def end(self) -> int:
        """Where the last complete fragment ends, in bytes."""
        return len(self.head) + sum(self.sizes)

    def read(self) -> None:
        """Take in what has been written since; raises ValueError if that is no such file. Reads the disk."""
        try:
            file = self.path.open("rb")
        except FileNotFoundError:  # not begun
            return
        with file:
            size = file.seek(0, 2)
            while self._position + _HEADER <= size:
                file.seek(self._position)
                header = file.read(_HEADER)
                length = int.from_bytes(header[:4])
                if length < _HEADER:
                    raise ValueError("a box without a length")
                if self._position + length > size:
                    return
                self._take(file, header[4:8], length)
                self._position += length

    def _take(self, file: BinaryIO, kind: bytes, length: int) -> None:
        file.seek(self._position)
        if kind in {b"ftyp", b"moov"}:
            self.head += file.read(length)
            if kind == b"moov":
                self._learn()
        elif kind == b"moof":
            self._moof = file.read(length)
        elif kind == b"mdat" and self._moof:
            self.sizes.append(len(self._moof) + length)
            self.durations.append(self._duration())
            self._moof = b""

    def _learn(self) -> None:
        # ffmpeg writes version 0 of mdhd, and of elst one entry, or an empty one before it: its delay.
        mdhd = _find(self.head, b"moov", b"trak", b"mdia", b"mdhd")
        self.rate = int.from_bytes(mdhd[12:16]) if mdhd[:1] == b"\0" else int.from_bytes(mdhd[20:24])
        elst = _find(self.head, b"moov", b"trak", b"edts", b"elst")
        wide = elst[:1] == b"\1"
        if len(elst) >= (28 if wide else 20):
            media_time = elst[16:24] if wide else elst[12:16]
            self.skipped = max(int.from_bytes(media_time, signed=True), 0)

    def _duration(self) -> int:
        """All ticks of the fragment that ``_moof`` describes."""
        traf = (b"moof", b"traf")
        tfhd, trun = _find(self._moof, *traf, b"tfhd"), _find(self._moof, *traf, b"trun")
        flags, count = int.from_bytes(trun[1:4]), int.from_bytes(trun[4:8])
        default = 0
        if int.from_bytes(tfhd[1:4]) & _DEFAULT_DURATION:
            default = int.from_bytes(tfhd[8:12])
        self.frame = self.frame or default
        if not flags & _SAMPLE_DURATION:
            return default * count
        start = 8 + sum(4 for flag in (_DATA_OFFSET, _FIRST_FLAGS) if flags & flag)
        fields = (_SAMPLE_DURATION, _SAMPLE_SIZE, _SAMPLE_FLAGS, _SAMPLE_OFFSET)
        step = sum(4 for flag in fields if flags & flag)
        durations = [int.from_bytes(trun[at : at + 4]) for at in range(start, start + step * count, step)]
        self.frame = self.frame or max(durations, default=0)
        return sum(durations)

    def heard(self) -> list[int]:
        """Ticks of each fragment that are heard."""
        return _without_front(self.durations, self.skipped)

    def finish(self, target: Path) -> Layout:
        """Write head, index and fragments to ``target``: a file that can be sought in at once."""
        heard = self.heard()
        index = _sidx(self.rate, self.sizes, heard)
        with self.path.open("rb") as source, target.open("wb") as file:
            file.write(self.head)
            file.write(index)
            source.seek(len(self.head))
            left = sum(self.sizes)
            while left and (block := source.read(min(left, _COPIED))):
                file.write(block)
                left -= len(block)
        return Layout(self.rate, len(self.head), len(index), self.sizes, heard)


_ROUNDED = 16  # samples


def _without_front(durations: Sequence[int], skipped: int) -> list[int]:
    heard = []
    for duration in durations:
        cut = min(skipped, duration)
        heard.append(duration - cut)
        skipped -= cut
    return heard


def _sidx(rate: int, sizes: Sequence[int], ticks: Sequence[int]) -> bytes:
    """The index (ISO 14496-12, 8.16.3), version 0, for the one track there is."""
    references = b"".join(
        struct.pack(">III", size, duration, _STARTS_WITH_SAP)
        for size, duration in zip(sizes, ticks, strict=True)
    )
    body = struct.pack(">IIIIIHH", 0, 1, rate, 0, 0, 0, len(sizes)) + references
    return struct.pack(">I4s", len(body) + _HEADER, b"sidx") + body


def set_place(fragment: bytes, number: int, ticks: int) -> bytes:
    """The fragment as the one of this number, which begins after so many ticks."""
    data = bytearray(fragment)
    mfhd, tfdt = _at(data, b"moof", b"mfhd"), _at(data, b"moof", b"traf", b"tfdt")
    width = 8 if data[tfdt] else 4  # by its version
    data[mfhd + 4 : mfhd + 8] = number.to_bytes(4)
    data[tfdt + 4 : tfdt + 4 + width] = ticks.to_bytes(width)
    return bytes(data)


def _at(data: bytearray, *path: bytes) -> int:
    """Where the content of the first box at this path begins; raises ValueError if there is none."""
    start, end = 0, len(data)
    for name in path:
        while data[start + 4 : start + _HEADER] != name:
            start += max(int.from_bytes(data[start : start + 4]), _HEADER)
            if start >= end:
                raise ValueError(f"no {name.decode()}")
        start, end = start + _HEADER, start + int.from_bytes(data[start : start + 4])
    return start


def _find(data: bytes, *path: bytes) -> bytes:
    """The content of the first box at this path; empty if there is none."""
    for name in path:
        data = next((content for kind, content in _boxes(data) if kind == name), b"")
    return data


def _boxes(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    position = 0
    while position + _HEADER <= len(data):
        length = int.from_bytes(data[position : position + 4])
        if length < _HEADER:
            return
        yield data[position + 4 : position + 8], data[position + _HEADER : position + length]
        position += length
