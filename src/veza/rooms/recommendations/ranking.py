"""From what somebody has to what they may like next: what is near it, added up."""

import heapq
from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence

import msgspec

from veza.rooms.recommendations.model import STRONGEST, Kind, Model

# Tracks that may lead to a playlist: those of somebody's own, and the nearest to them.
_WAYS = 120
_NOBODY: tuple[float, int | None] = (-1.0, None)


class Seed(msgspec.Struct, frozen=True):
    """A thing that somebody has, by its number, and how much it says of them: 1 for what says most.

    One that is not theirs, but near to what is, is no reason that could be given to them.
    """

    number: int
    weight: float
    theirs: bool = True


class Ranked(msgspec.Struct, frozen=True):
    """A thing, how well it fits, and which of somebody's own things speaks for it most, if any does."""

    number: int
    score: float
    because: int | None = None


def rank(
    model: Model, seeds: Iterable[Seed], kind: Kind, most: int, *, known: Collection[int] = frozenset()
) -> list[Ranked]:
    """The ``most`` things of a kind that fit best, and are neither seeds nor ``known``; the best first.

    Of things that fit alike the one with the lower number comes first: the same question, the same answer.
    """
    scores: dict[int, float] = defaultdict(float)
    loudest: dict[int, tuple[float, int | None]] = {}
    hidden = set(known)
    for seed in seeds:
        hidden.add(seed.number)
        for number, strength, _ in model.neighbours(seed.number, kind):
            gain = seed.weight * strength / STRONGEST
            scores[number] += gain
            if seed.theirs and gain > loudest.get(number, _NOBODY)[0]:
                loudest[number] = (gain, seed.number)
    found = ((-score, number) for number, score in scores.items() if number not in hidden)
    best = heapq.nsmallest(most, found)
    return [Ranked(number, -score, loudest.get(number, _NOBODY)[1]) for score, number in best]


def rank_playlists(model: Model, seeds: Sequence[Seed], most: int) -> list[Ranked]:
    """The playlists that hold what somebody likes, or what is near to it, or that such people follow."""
    nearest = rank(model, seeds, Kind.TRACK, _WAYS)
    top = nearest[0].score if nearest else 1.0
    beyond = [Seed(one.number, 0.5 * one.score / top, theirs=False) for one in nearest]
    return rank(model, [*seeds, *beyond], Kind.PLAYLIST, most)
