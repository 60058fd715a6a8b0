"""The boxes of an MP4 file (ISO 14496-12), as far as telling music from video asks for."""

from collections.abc import Iterator
from typing import BinaryIO

_MAX_BOXES = 4096  # in one file; real ones have some tens outside their fragments
_MAX_MOOV = 64 << 20


def holds_only_audio(file: BinaryIO, size: int) -> bool:
    """Whether there is a track of sound and none of video; the file may be cut short behind its ``moov``."""
    handlers = set()
    budget = iter(range(_MAX_BOXES))
    for kind, start, end in _boxes(file, 0, size, budget):
        if kind != b"moov":
            continue
        for trak, trak_start, trak_end in _boxes(file, start, min(end, start + _MAX_MOOV), budget):
            if trak == b"trak":
                handlers.add(_handler(file, trak_start, trak_end, budget))
    return b"soun" in handlers and b"vide" not in handlers


def _handler(file: BinaryIO, start: int, end: int, budget: Iterator[int]) -> bytes:
    """What kind of track this is: the handler type of its ``mdia/hdlr``."""
    for kind, media_start, media_end in _boxes(file, start, end, budget):
        if kind == b"mdia":
            for inner, inner_start, _ in _boxes(file, media_start, media_end, budget):
                if inner == b"hdlr":
                    file.seek(inner_start + 8)
                    return file.read(4)
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
