"""Reading all that there is to learn from, as arrays: some bytes for each row, whatever their number."""

from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar
from uuid import UUID

import numpy as np

from veza.core.db import Database
from veza.rooms.recommendations import source_store as source
from veza.rooms.recommendations.learning import Numbers, Weights

RowT = TypeVar("RowT")

# More rows than these are not learned from: some gigabytes of memory.
MOST_HEARD, MOST_LIKED = 20_000_000, 10_000_000


class Numbered:
    """Ids, and the number of each, in the order in which they came."""

    def __init__(self) -> None:
        self._numbers: dict[int, int] = {}

    def __len__(self) -> int:
        return len(self._numbers)

    def of(self, thing_id: UUID) -> int:
        """The number of an id; a new one has the next."""
        return self._numbers.setdefault(thing_id.int, len(self._numbers))

    def find(self, thing_id: UUID) -> int:
        """The number of an id, or -1."""
        return self._numbers.get(thing_id.int, -1)

    def ids(self) -> bytes:
        """16 bytes for each."""
        return b"".join(number.to_bytes(16) for number in self._numbers)


@dataclass(frozen=True)
class Haves:
    """Who has which thing, by numbers; how much of it, and since when, in seconds since 1970."""

    who: Numbers
    thing: Numbers
    much: Weights
    at: Numbers


@dataclass(frozen=True)
class Gathered:
    """All there is to learn from. ``owner`` and ``born`` (seconds since 1970) are those of the tracks."""

    tracks: Numbered
    owner: Numbers
    born: Numbers
    people: Numbered
    heard: Haves
    liked: Haves


async def gather(database: Database) -> Gathered:
    """Read it all."""
    tracks, people = Numbered(), Numbered()
    owner, born = [_NONE], [_NONE]
    async for part in source.listed_tracks(database):
        for row in part:
            tracks.of(row.id)
        owner.append(_numbers([people.of(row.user_id) for row in part]))
        born.append(_numbers([row.created_at for row in part]) // _SECOND)
    heard = await _haves(
        source.heard(database),
        MOST_HEARD,
        lambda row: (people.of(row.user_id), tracks.find(row.track_id), row.plays, row.last_at),
    )
    liked = await _haves(
        source.liked(database),
        MOST_LIKED,
        lambda row: (people.of(row.user_id), tracks.find(row.track_id), 1, row.created_at),
    )
    return Gathered(tracks, np.concatenate(owner), np.concatenate(born), people, heard, liked)


_SECOND = 1_000_000
_NONE: Numbers = np.zeros(0, np.int64)
# Who, which thing, how much of it, since when in microseconds.
_Row = tuple[int, int, float, int]


async def _haves(parts: AsyncIterator[Sequence[RowT]], most: int, read: Callable[[RowT], _Row]) -> Haves:
    """The rows about things that there are to learn of; of all rows the first ``most`` are looked at."""
    found = [Haves(_NONE.astype(np.int32), _NONE.astype(np.int32), np.zeros(0, np.float32), _NONE)]
    count = 0
    async for part in parts:
        who, thing, much, at = zip(*map(read, part), strict=True)
        things = np.array(thing, np.int32)
        there = things >= 0
        found.append(
            Haves(
                np.array(who, np.int32)[there],
                things[there],
                np.array(much, np.float32)[there],
                np.array(at, np.int64)[there] // _SECOND,
            )
        )
        count += len(part)
        if count >= most:
            break
    return joined(found)


def joined(haves: Sequence[Haves]) -> Haves:
    """One after the other."""
    return Haves(
        np.concatenate([some.who for some in haves]),
        np.concatenate([some.thing for some in haves]),
        np.concatenate([some.much for some in haves]),
        np.concatenate([some.at for some in haves]),
    )


def _numbers(values: Sequence[int]) -> Numbers:
    return np.array(values, np.int64)
