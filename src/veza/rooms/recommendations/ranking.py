"""From what somebody has to what they may like next: what is near it, added up."""

import heapq
from collections.abc import Collection, Iterable, Mapping, Sequence

import msgspec

from veza.rooms.recommendations.model import NEIGHBOUR, STRONGEST, Kind, Model

# Tracks that may lead to a playlist: those of somebody's own, and the nearest to them.
_WAYS = 60
# A seed, what each strength of it is worth, and what is near it.
_Read = tuple[int, float, bytes]


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
    scores: dict[int, float] = {}
    hidden, read = set(known), list[_Read]()
    for seed in seeds:
        hidden.add(seed.number)
        near = model.packed(seed.number, kind)
        weight = seed.weight / STRONGEST
        for number, strength, _ in NEIGHBOUR.iter_unpack(near):
            scores[number] = scores.get(number, 0.0) + weight * strength
        if seed.theirs:
            read.append((seed.number, weight, near))
    found = ((-score, number) for number, score in scores.items() if number not in hidden)
    best = {number: -score for score, number in heapq.nsmallest(most, found)}
    because = _loudest(best, read)
    return [Ranked(number, score, because.get(number)) for number, score in best.items()]


def _loudest(best: Mapping[int, float], read: Iterable[_Read]) -> dict[int, int]:
    """For each of the best the seed that gains it most; of two the first."""
    loudest: dict[int, int] = {}
    most: dict[int, float] = {}
    for seed, weight, near in read:
        for number, strength, _ in NEIGHBOUR.iter_unpack(near):
            if number in best and weight * strength > most.get(number, 0.0):
                loudest[number], most[number] = seed, weight * strength
    return loudest


def rank_playlists(model: Model, seeds: Sequence[Seed], most: int) -> list[Ranked]:
    """The playlists that hold what somebody likes, or what is near to it, or that such people follow."""
    nearest = rank(model, seeds, Kind.TRACK, _WAYS)
    top = nearest[0].score if nearest else 1.0
    beyond = [Seed(one.number, 0.5 * one.score / top, theirs=False) for one in nearest]
    return rank(model, [*seeds, *beyond], Kind.PLAYLIST, most)
