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
MOST_HEARD, MOST_OTHERS = 20_000_000, 10_000_000


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
class Things:
    """What everybody sees of a kind: whose each is, and since when, in seconds since 1970."""

    ids: Numbered
    owner: Numbers
    born: Numbers


@dataclass(frozen=True)
class Gathered:
    """All there is to learn from; only of what everybody sees.

    ``followed`` are playlists that people follow, ``held`` the tracks that playlists (``who``) hold, and
    ``friends`` the users whom others follow: who, and whom.
    """

    people: Numbered
    tracks: Things
    playlists: Things
    heard: Haves
    liked: Haves
    followed: Haves
    held: Haves
    friends: tuple[Numbers, Numbers]


async def gather(database: Database) -> Gathered:
    """Read it all."""
    people = Numbered()
    tracks = await _things(source.listed_tracks(database), people)
    playlists = await _things(source.public_playlists(database), people)
    return Gathered(
        people=people,
        tracks=tracks,
        playlists=playlists,
        heard=await _haves(
            source.heard(database),
            MOST_HEARD,
            lambda row: (people.of(row.user_id), tracks.ids.find(row.track_id), row.plays, row.last_at),
        ),
        liked=await _haves(
            source.liked(database),
            MOST_OTHERS,
            lambda row: (people.of(row.user_id), tracks.ids.find(row.thing_id), 1, row.created_at),
        ),
        followed=await _haves(
            source.playlists_followed(database),
            MOST_OTHERS,
            lambda row: (people.of(row.user_id), playlists.ids.find(row.thing_id), 1, row.created_at),
        ),
        held=await _haves(
            source.entries(database),
            MOST_OTHERS,
            lambda row: (playlists.ids.find(row.playlist_id), tracks.ids.find(row.track_id), 1, row.added_at),
        ),
        friends=await _pairs(source.users_followed(database), people),
    )


async def _things(parts: AsyncIterator[Sequence[source.SeenRow]], people: Numbered) -> Things:
    ids = Numbered()
    owner, born = [_NONE], [_NONE]
    async for part in parts:
        for row in part:
            ids.of(row.id)
        owner.append(np.array([people.of(row.user_id) for row in part], np.int64))
        born.append(np.array([row.created_at for row in part], np.int64) // _SECOND)
    return Things(ids, np.concatenate(owner), np.concatenate(born))


async def _pairs(
    parts: AsyncIterator[Sequence[source.FollowRow]], people: Numbered
) -> tuple[Numbers, Numbers]:
    """Who follows whom."""
    found = [np.zeros((0, 2), np.int64)]
    count = 0
    async for part in parts:
        pairs = [(people.of(row.follower_id), people.of(row.followed_id)) for row in part]
        found.append(np.array(pairs, np.int64))
        count += len(part)
        if count >= MOST_OTHERS:
            break
    who, whom = np.concatenate(found).T
    return who, whom


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
        persons = np.array(who, np.int32)
        there = (things >= 0) & (persons >= 0)
        found.append(
            Haves(
                persons[there],
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
