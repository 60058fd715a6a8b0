"""A world of planted tastes: people who hear what they like, and what everybody hears, and some of anything.

Tracks are in groups, each track as popular as its place in the charts says (Zipf). A person has a taste for
two groups and hears their tracks, the popular ones more often; one in ``noise`` of what they hear is of no
taste of theirs. The same numbers and the same seed make the same world.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Numbers = npt.NDArray[np.int64]
# What a method gives somebody who has these tracks: those that it recommends, the best first.
Method = Callable[[list[int]], Sequence[int]]


@dataclass(frozen=True)
class Heard:
    """Who heard what, in the order of time, no pair twice; and each track's group."""

    person: Numbers
    track: Numbers
    group: Numbers
    people: int
    tracks: int


def tastes(people: int, tracks: int, groups: int, each: float, *, noise: float = 0.2, seed: int = 1) -> Heard:
    """A world in which everybody hears about ``each`` tracks."""
    dice = np.random.default_rng(seed)
    popular = 1 / (np.arange(tracks) + 10.0) ** 0.8
    group = dice.integers(0, groups, tracks)
    by_group = np.argsort(group, kind="stable")
    upto = np.concatenate(([0], np.cumsum(popular[by_group])))
    starts = np.concatenate(([0], np.cumsum(np.bincount(group, minlength=groups))))
    sizes = np.minimum(dice.pareto(1.2, people) * each * 0.35 + each / 4, each * 8).astype(np.int64) + 2
    person = np.repeat(np.arange(people), sizes)
    liked = dice.integers(0, groups, (people, 2))[person, dice.integers(0, 2, len(person))]
    low, high = upto[starts[liked]], upto[starts[liked + 1]]
    point = low + (high - low) * dice.random(len(person))
    astray = dice.random(len(person)) < noise
    point[astray] = dice.random(int(astray.sum())) * upto[-1]
    heard = by_group[np.minimum(np.searchsorted(upto, point, side="right") - 1, tracks - 1)]
    pairs = np.unique(person * tracks + heard)
    dice.shuffle(pairs)
    return Heard(pairs // tracks, pairs % tracks, group, people, tracks)


@dataclass(frozen=True)
class Split:
    """What a method may learn from, and of some people the last track, which it is to find."""

    learned: Heard
    asked: list[tuple[list[int], int]]


def split(world: Heard, most: int = 2_000) -> Split:
    """Keep the last track of up to ``most`` people from whoever learns."""
    last = np.full(world.people, -1)
    last[world.person] = np.arange(len(world.person))
    people = np.random.default_rng(5).permutation(world.people)[:most]
    held = last[people][last[people] >= 0]
    kept = np.ones(len(world.person), np.bool_)
    kept[held] = False
    learned = Heard(world.person[kept], world.track[kept], world.group, world.people, world.tracks)
    order = np.argsort(learned.person, kind="stable")
    person, track = learned.person[order], learned.track[order]
    asked = []
    for row in held:
        first, end = np.searchsorted(person, [world.person[row], world.person[row] + 1])
        asked.append((track[first:end].tolist(), int(world.track[row])))
    return Split(learned, asked)


def hit_rate(asked: Sequence[tuple[list[int], int]], method: Method, at: int = 10) -> float:
    """Of the people who are asked for, how many find their last track among the first ``at``."""
    return sum(held in list(method(had))[:at] for had, held in asked) / len(asked)


def popularity(learned: Heard, at: int = 10) -> Method:
    """The method to beat: to everybody what most people heard, less what they have."""
    charts = np.argsort(-np.bincount(learned.track, minlength=learned.tracks), kind="stable").tolist()

    def most_popular(had: list[int]) -> list[int]:
        has = set(had)
        return [track for track in charts[: len(has) + at] if track not in has]

    return most_popular
