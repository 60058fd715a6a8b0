"""The boxes of an MP4 file (ISO 14496-12), as far as telling music from video asks for."""

from collections.abc import Iterator, Sequence
from typing import BinaryIO

_MAX_BOXES = 4096  # in one file; real ones have some tens outside their fragments
_MAX_MOOV = 64 << 20
# Sample entries of pictures, each whole by itself; and more of them than a book has chapters are a film.
_STILLS, _MOST_STILLS = {b"jpeg", b"png "}, 512
_TABLE = (b"mdia", b"minf", b"stbl")


def holds_only_audio(file: BinaryIO, size: int) -> bool:
    """Whether there is a track of sound and none of video; the file may be cut short behind its ``moov``.

    Pictures for the chapters of a book are a track of video by their handler, but none to us.
    """
    kinds = set()
    budget = iter(range(_MAX_BOXES))
    for kind, start, end in _boxes(file, 0, size, budget):
        if kind != b"moov":
            continue
        for trak, trak_start, trak_end in _boxes(file, start, min(end, start + _MAX_MOOV), budget):
            if trak == b"trak":
                kinds.add(_kind(file, trak_start, trak_end, budget))
    return b"soun" in kinds and b"vide" not in kinds


def _kind(file: BinaryIO, start: int, end: int, budget: Iterator[int]) -> bytes:
    """What kind of track this is: its handler type, or none for still pictures."""
    handler = _read(file, start, end, budget, (b"mdia", b"hdlr"))[8:12]
    if handler == b"vide":
        entries = _read(file, start, end, budget, (*_TABLE, b"stsd"))
        count = int.from_bytes(_read(file, start, end, budget, (*_TABLE, b"stsz"))[8:12])
        if entries[4:8] == b"\0\0\0\1" and entries[12:16] in _STILLS and 0 < count <= _MOST_STILLS:
            return b""
    return handler


def _read(file: BinaryIO, start: int, end: int, budget: Iterator[int], path: Sequence[bytes]) -> bytes:
    """How the first box at this path begins: sixteen bytes of its content, fewer where there are no more."""
    for kind, inner_start, inner_end in _boxes(file, start, end, budget):
        if kind != path[0]:
            continue
        if len(path) > 1:
            found = _read(file, inner_start, inner_end, budget, path[1:])
        else:
            file.seek(inner_start)
            found = file.read(min(16, inner_end - inner_start))
        if found:
            return found
    return b""


def _boxes(file: BinaryIO, start: int, end: int, budget: Iterator[int]) -> Iterator[tuple[bytes, int, int]]:
    """Each box between two offsets: its type, and where its content begins and ends."""
    while start + 8 <= end and next(budget, None) is not None:
        file.seek(start)
        header = file.read(16)
        length, kind, content = int.from_bytes(header[:4]), header[4:8], start + 8
        if length == 1:
            length, content = int.from_bytes(header[8:16]), start + 16
        elif length == 0:
            length = end - start
        if length < content - start:
            return
        yield kind, content, min(start + length, end)
        start += length
