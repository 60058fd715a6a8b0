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

# So many of what somebody likes and heard, the latest, are looked at.
MOST = 100
# After so many later ones a thing says half as much.
_HALF = 50
_HEARD, _HEARD_TWICE, _HEARD_MOST = 0.4, 0.15, 0.85


class Taste(msgspec.Struct, frozen=True):
    """How much each track says of somebody, and which they said themselves that they like."""

    tracks: Mapping[UUID, float]
    liked: AbstractSet[UUID]

    def seeds(self, model: Model) -> list[Seed]:
        """Those of the tracks that the model knows."""
        found = ((model.find(Kind.TRACK, track_id), weight) for track_id, weight in self.tracks.items())
        return [Seed(number, weight) for number, weight in found if number is not None]


async def taste_of(tx: Tx, actor: Member) -> Taste:
    """What ``actor`` likes and heard of late."""
    liked = await store.liked(tx, actor.id, MOST)
    heard = await store.heard(tx, actor.id, MOST)
    said = _fading((track_id, 1.0) for track_id in liked)
    for track_id, weight in _fading((one.track_id, _often(one.plays)) for one in heard).items():
        said[track_id] = max(weight, said.get(track_id, 0.0))
    return Taste(said, frozenset(liked))


def _often(plays: int) -> float:
    return min(_HEARD + _HEARD_TWICE * log2(max(plays, 1)), _HEARD_MOST)


def _fading(things: Iterable[tuple[UUID, float]]) -> dict[UUID, float]:
    return {thing_id: weight * 0.5 ** (place / _HALF) for place, (thing_id, weight) in enumerate(things)}
