"""What somebody has, as seeds: what they like says most, what they heard long ago least."""

from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from math import log2
from uuid import UUID

import msgspec

from veza.access.actor import Member
from veza.core.db import Tx
from veza.rooms.recommendations import taste_store as store
from veza.rooms.recommendations.model import Kind, Model
from veza.rooms.recommendations.ranking import Seed

# So many of what somebody likes, heard and follows, the latest, are looked at.
MOST, MOST_PLAYLISTS = 60, 20
# After so many later ones a thing says half as much.
_HALF = 40
_HEARD, _HEARD_TWICE, _HEARD_MOST = 0.4, 0.15, 0.85
_OWN, _OF_FOLLOWED = 0.7, 0.2


class Taste(msgspec.Struct, frozen=True):
    """How much each track and playlist says of somebody, and which they said themselves that they like.

    ``of_followed`` are tracks of those whom they follow, which say a little.
    """

    tracks: Mapping[UUID, float]
    liked: AbstractSet[UUID]
    playlists: Mapping[UUID, float]
    followed: AbstractSet[UUID]
    of_followed: list[UUID]

    def seeds(self, model: Model) -> list[Seed]:
        """Those of all these that the model knows."""
        others = {track_id: _OF_FOLLOWED for track_id in self.of_followed if track_id not in self.tracks}
        return [
            *_seeds(model, Kind.TRACK, self.tracks),
            *_seeds(model, Kind.PLAYLIST, self.playlists),
            *_seeds(model, Kind.TRACK, others, theirs=False),
        ]


def _seeds(model: Model, kind: Kind, things: Mapping[UUID, float], *, theirs: bool = True) -> list[Seed]:
    found = ((model.find(kind, thing_id), weight) for thing_id, weight in things.items())
    return [Seed(number, weight, theirs) for number, weight in found if number is not None]


async def taste_of(tx: Tx, actor: Member) -> Taste:
    """What ``actor`` likes, heard and follows of late."""
    liked = await store.liked(tx, actor.id, MOST)
    heard = await store.heard(tx, actor.id, MOST)
    tracks = _fading((track_id, 1.0) for track_id in liked)
    for track_id, weight in _fading((one.track_id, _often(one.plays)) for one in heard).items():
        tracks[track_id] = max(weight, tracks.get(track_id, 0.0))
    followed = await store.playlists_followed(tx, actor.id, MOST_PLAYLISTS)
    own = await store.own_playlists(tx, actor.id, MOST_PLAYLISTS)
    playlists = _fading((playlist_id, _OWN) for playlist_id in own)
    playlists |= _fading((playlist_id, 1.0) for playlist_id in followed)
    of_followed = await store.of_followed(tx, actor.id)
    return Taste(tracks, frozenset(liked), playlists, frozenset(followed), of_followed)


def _often(plays: int) -> float:
    return min(_HEARD + _HEARD_TWICE * log2(max(plays, 1)), _HEARD_MOST)


def _fading(things: Iterable[tuple[UUID, float]]) -> dict[UUID, float]:
    return {thing_id: weight * 0.5 ** (place / _HALF) for place, (thing_id, weight) in enumerate(things)}
