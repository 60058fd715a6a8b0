"""What was learned, as one file, and how it is read: in small pieces, so that it weighs nothing in memory.

Little endian. First :data:`HEAD`: the mark, how many tracks and playlists there are, how many are in the
charts of each, the bytes of each list of neighbours, when it was learned in microseconds since 1970. Then:

- the 16 bytes of each id: of the tracks in their order, then of the playlists in theirs; its place in this
  row is the *number* of a thing;
- twice, once for neighbours that are tracks and once for playlists: for each thing and one more, the place
  of its first neighbour, as 32 bits; then all neighbours, each as :data:`NEIGHBOUR`: number, strength, and
  whether it is so mostly by playlists;
- the charts: numbers of tracks, then of playlists, the best first.

Nothing is mapped: a page that is mapped and touched counts as this process's memory, and a file that somebody
cuts short would end the process. The system keeps in its own memory what is read often.
"""

import os
import struct
import weakref
from array import array
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from datetime import datetime
from enum import IntEnum
from pathlib import Path
from uuid import UUID

from veza.core.db.types import from_micros, uuid_from_bytes

MARK = b"VEZAREC1"
HEAD = struct.Struct("<8sIIIIQQQ")
NEIGHBOUR = struct.Struct("<IHH")
# A neighbour as near as can be.
STRONGEST = 0xFFFF

_ID = 16
_PLACE = struct.Struct("<I")
_PLACES = struct.Struct("<II")
# One id of so many is kept in memory, to find the piece of the file that has another.
_STEP = 128


class Kind(IntEnum):
    """What is recommended."""

    TRACK = 0
    PLAYLIST = 1


class BadModel(ValueError):
    """This file is not a model, or not a whole one."""


class Model:
    """An open model; closed when nobody refers to it any more. Raises :class:`BadModel`, :class:`OSError`."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        weakref.finalize(self, os.close, self._file)
        head = os.pread(self._file, HEAD.size, 0)
        if len(head) < HEAD.size or not head.startswith(MARK):
            raise BadModel(f"{path.name} is not a model")
        _, self.tracks, self.playlists, *charts, near_tracks, near_playlists, micros = HEAD.unpack(head)
        self.learned_at: datetime = from_micros(micros)
        things = self.tracks + self.playlists
        places = _PLACE.size * (things + 1)
        at = HEAD.size + _ID * things
        self._near: list[tuple[int, int]] = []  # for each kind where its places and its neighbours begin
        for size in (near_tracks, near_playlists):
            self._near.append((at, at + places))
            at += places + size
        self._charts = [(at, charts[0]), (at + _PLACE.size * charts[0], charts[1])]
        if os.fstat(self._file).st_size != at + _PLACE.size * sum(charts):
            raise BadModel(f"{path.name} is not whole")
        self._steps = [
            self._first_ids(kind.start, kind.stop) for kind in map(self.numbers, (Kind.TRACK, Kind.PLAYLIST))
        ]

    def numbers(self, kind: Kind) -> range:
        """The numbers of all things of a kind."""
        return range(self.tracks) if kind is Kind.TRACK else range(self.tracks, self.tracks + self.playlists)

    def find(self, kind: Kind, thing_id: UUID) -> int | None:
        """The number of a thing; None where it was not there to be learned."""
        numbers, wanted = self.numbers(kind), thing_id.bytes
        step = bisect_right(self._steps[kind], int.from_bytes(wanted[:8])) - 1
        while step >= 0:
            first = numbers.start + step * _STEP
            ids = self._ids(first, min(_STEP, numbers.stop - first))
            if wanted >= ids[:_ID]:
                return _position(ids, wanted, first)
            step -= 1  # several pieces begin with the same eight bytes
        return None

    def id_of(self, number: int) -> UUID:
        """The id of a thing."""
        return uuid_from_bytes(self._ids(number, 1))

    def neighbours(self, number: int, kind: Kind) -> Iterator[tuple[int, int, int]]:
        """What is near a thing, the nearest first: number, strength, and 1 where playlists say so."""
        return NEIGHBOUR.iter_unpack(self.packed(number, kind))

    def packed(self, number: int, kind: Kind) -> bytes:
        """The same as it lies in the file, for :data:`NEIGHBOUR` to unpack."""
        places, neighbours = self._near[kind]
        first, last = _PLACES.unpack(self._read(places + _PLACE.size * number, _PLACES.size))
        size = NEIGHBOUR.size
        return self._read(neighbours + size * first, size * (last - first))

    def charts(self, kind: Kind, most: int) -> Sequence[int]:
        """The numbers of what is most popular at present, the best first."""
        at, count = self._charts[kind]
        count = min(count, most)
        return [number for (number,) in _PLACE.iter_unpack(self._read(at, _PLACE.size * count))]

    def _ids(self, first: int, count: int) -> bytes:
        return self._read(HEAD.size + _ID * first, _ID * count)

    def _first_ids(self, start: int, stop: int) -> Sequence[int]:
        """The first eight bytes of the first id of each piece."""
        found = array("Q")
        for first in range(start, stop, _STEP):
            found.append(int.from_bytes(self._ids(first, 1)[:8]))
        return found

    def _read(self, at: int, count: int) -> bytes:
        found = os.pread(self._file, count, at)
        if len(found) != count:
            raise BadModel("the model was cut short")
        return found


def _position(ids: bytes, wanted: bytes, first: int) -> int | None:
    at = ids.find(wanted)
    while at >= 0:
        if at % _ID == 0:  # else it is the end of one id and the beginning of the next
            return first + at // _ID
        at = ids.find(wanted, at + 1)
    return None
