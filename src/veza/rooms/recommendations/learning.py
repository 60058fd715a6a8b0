"""Learning which things belong together, from who has what in one basket: item by item, in bounded memory.

A *basket* holds what one person heard, likes and follows, or what one public playlist holds. Two things are
near each other when those who have one tend to have the other: the cosine between them over all baskets,
where a full basket says less of each pair in it, less what few baskets alone would say by chance. Nothing
follows from what a single person did: a pair counts when two people have it, or a playlist that all see.

Everything is whole numbers once it is sorted, so the same baskets always teach the same.

Source of the method: Sarwar, Karypis, Konstan, Riedl: Item-Based Collaborative Filtering (2001), with the
shrinkage of Bell and Koren (2007).
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from veza.rooms.recommendations.model import NEIGHBOUR, STRONGEST, Kind

Numbers = npt.NDArray[np.signedinteger[Any]]
Weights = npt.NDArray[np.float32]
Keys = npt.NDArray[np.uint64]
NEIGHBOURS = np.dtype([("number", "<u4"), ("strength", "<u2"), ("by_playlists", "<u2")])
assert NEIGHBOURS.itemsize == NEIGHBOUR.size

# Of a basket the latest so many count: pairs grow with the square, and taste changes.
MOST_IN_BASKET = 100
# Of the baskets with one thing so many are looked at, evenly: there are no more for what everybody knows.
MOST_OF_THING = 20_000
# Neighbours that are kept, by their kind.
MOST_NEAR = {Kind.TRACK: 24, Kind.PLAYLIST: 12}
# So many baskets more would have to have a pair for it to be believed in full.
SHRINKAGE = 10.0
# People, or playlists of two each, who must have a pair.
LEAST_SUPPORT = 2

# How a pair is sorted: 24 bits for each thing; what it weighs, and whether a playlist says so.
_BITS = 24
MOST_THINGS = 1 << _BITS
_WEIGHT_BITS = 15
_FULL = (1 << _WEIGHT_BITS) - 1
_GOLDEN = 0.6180339887498949


@dataclass(frozen=True)
class Baskets:
    """Who has what: one row for each thing in each basket, in any order, no pair twice.

    Things are numbered, tracks before playlists; baskets too, people's before those of playlists. ``weight``
    is between 0 and 1, ``at`` tells earlier from later within a basket.
    """

    basket: Numbers
    thing: Numbers
    weight: Weights
    at: Numbers
    people: int
    tracks: int
    things: int


@dataclass(frozen=True)
class Near:
    """For each thing and one more the place of its first neighbour, and all neighbours."""

    places: Numbers
    neighbours: npt.NDArray[np.void]


def learn(baskets: Baskets, *, at_once: int = 4_000_000) -> dict[Kind, Near]:
    """The neighbours of every thing; about ``at_once`` pairs are in memory at a time.

    Raises ValueError for more than 16 million things.
    """
    if baskets.things >= MOST_THINGS:
        raise ValueError(f"more than {MOST_THINGS:,} things")
    shelves = _Sorted(baskets)
    found: dict[Kind, list[tuple[Numbers, npt.NDArray[np.void]]]] = {kind: [] for kind in Kind}
    for first, last in shelves.parts(at_once):
        pairs = shelves.near(first, last)
        for kind, is_kind in zip(Kind, _kinds(pairs, baskets.tracks), strict=True):
            found[kind].append(_best(pairs[is_kind], last - first, MOST_NEAR[kind]))
    return {kind: _joined(parts, baskets.things) for kind, parts in found.items()}


def _kinds(pairs: Keys, tracks: int) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    is_track = (pairs >> np.uint64(1)) & np.uint64(MOST_THINGS - 1) < tracks
    return is_track, ~is_track


class _Sorted:
    """The baskets, cut to size, once by basket and once by thing."""

    def __init__(self, given: Baskets) -> None:
        basket, thing, weight = _latest(given)
        self.things, self.people = given.things, given.people
        sizes = np.bincount(basket) if len(basket) else np.zeros(1, np.int64)
        # A full basket says less about each pair in it.
        weight = (weight / np.sqrt(np.log2(1.0 + sizes))[basket]).astype(np.float32)
        self.sizes, self.starts = sizes, np.concatenate(([0], np.cumsum(sizes)))
        self.in_basket, self.weight_in_basket = thing, weight
        self.length = np.sqrt(np.bincount(thing, weight.astype(np.float64) ** 2, self.things))
        order = np.argsort(thing, kind="stable")
        self.basket, self.weight = basket[order], weight[order]
        self.first = np.concatenate(([0], np.cumsum(np.bincount(thing, minlength=self.things))))
        self._thin_out()
        self.thing = np.repeat(np.arange(self.things), np.diff(self.first))

    def _thin_out(self) -> None:
        """Of what very many have leave so many baskets, evenly, each weighing as many as it stands for."""
        counts = np.diff(self.first)
        kept = np.minimum(counts, MOST_OF_THING)
        self.scale = np.where(kept > 0, counts / np.maximum(kept, 1), 1.0)
        if not (counts > MOST_OF_THING).any():
            return
        within = np.arange(kept.sum()) - np.repeat(np.cumsum(kept) - kept, kept)
        within = within + within * _GOLDEN % 1.0  # else what comes in turns would be met in one turn alone
        chosen = np.repeat(self.first[:-1], kept) + (within * np.repeat(self.scale, kept)).astype(np.int64)
        self.basket, self.weight = self.basket[chosen], self.weight[chosen]
        self.first = np.concatenate(([0], np.cumsum(kept)))

    def parts(self, at_once: int) -> list[tuple[int, int]]:
        """Ranges of things, each with about so many pairs."""
        upto = np.concatenate(([0], np.cumsum(self.sizes[self.basket])))[self.first]
        if upto[-1] == 0:
            return []
        ends = np.searchsorted(upto, np.arange(at_once, upto[-1] + at_once, at_once), side="left")
        ends = np.unique(np.append(np.minimum(np.maximum(ends, 1), self.things), self.things))
        return list(zip([0, *ends[:-1].tolist()], ends.tolist(), strict=True))

    def near(self, first: int, last: int) -> Keys:
        """Pairs of these things with others that are believed, sorted: by thing, the nearest first.

        Bits of each from the top: the thing less ``first`` in 24, how far away it is in 15, the other in 24,
        and whether it is so mostly by playlists.
        """
        rows = slice(self.first[first], self.first[last])
        pairs, weights, by_playlists, support = self._sums(first, rows)
        thing, other = (pairs >> np.uint64(_BITS)).astype(np.int64), pairs & np.uint64(MOST_THINGS - 1)
        scale = self.scale[thing + first] / _FULL
        lengths = self.length[thing + first] * self.length[other.astype(np.int64)]
        cosine = np.minimum(weights * scale / lengths, 1.0) * support / (support + SHRINKAGE)
        far = np.uint64(_FULL) - np.ceil(cosine * _FULL).astype(np.uint64)
        key: Keys = (pairs >> np.uint64(_BITS) << np.uint64(_WEIGHT_BITS) | far) << np.uint64(_BITS) | other
        key = key << np.uint64(1) | (by_playlists * 2 > weights).astype(np.uint64)
        key.sort()
        return key

    def _sums(self, first: int, rows: slice) -> tuple[Keys, Weights, Weights, Weights]:
        """Each pair that is supported: what it weighs in all, by playlists, and how many have it."""
        keys = self._pairs(first, rows)
        if not len(keys):
            nothing = np.zeros(0, np.float32)
            return keys, nothing, nothing, nothing
        keys.sort()
        pair = keys >> np.uint64(_WEIGHT_BITS + 1)
        starts = np.flatnonzero(np.concatenate(([True], pair[1:] != pair[:-1])))
        counts = np.diff(np.append(starts, len(keys)))
        is_open = (keys & np.uint64(1)).astype(np.int64)
        support = counts + np.add.reduceat(is_open, starts)
        kept = support >= LEAST_SUPPORT
        weight = (keys >> np.uint64(1) & np.uint64(_FULL)).astype(np.int64)
        sums = np.add.reduceat(weight, starts)[kept]
        by_playlists = np.add.reduceat(weight * is_open, starts)[kept]
        return (
            pair[starts[kept]], sums.astype(np.float32), by_playlists.astype(np.float32),
            support[kept].astype(np.float32),
        )  # fmt: skip

    def _pairs(self, first: int, rows: slice) -> Keys:
        """Each pair of each basket: 24 bits for each thing, 15 for its weight, one for playlists."""
        basket, weight = self.basket[rows], self.weight[rows]
        sizes = self.sizes[basket]
        ends = np.cumsum(sizes)
        position = np.arange(ends[-1] if len(ends) else 0)
        position += np.repeat(self.starts[basket] - (ends - sizes), sizes)
        thing, other = np.repeat(self.thing[rows] - first, sizes), self.in_basket[position]
        weighs = np.repeat(weight, sizes) * self.weight_in_basket[position]
        is_open = np.repeat(basket >= self.people, sizes)
        key: Keys = thing.astype(np.uint64) << np.uint64(_BITS) | other.astype(np.uint64)
        key = key << np.uint64(_WEIGHT_BITS) | np.maximum(weighs * _FULL, 1).astype(np.uint64)
        key = key << np.uint64(1) | is_open
        pairs: Keys = key[other != thing + first]
        return pairs


def _latest(given: Baskets) -> tuple[Numbers, Numbers, Weights]:
    """The rows by basket, the latest first, and no more of any than count."""
    order = np.lexsort((given.thing, -given.at, given.basket))
    basket = given.basket[order]
    starts = np.flatnonzero(np.concatenate(([True], basket[1:] != basket[:-1]))) if len(basket) else basket
    within = np.arange(len(basket)) - np.repeat(starts, np.diff(np.append(starts, len(basket))))
    kept = order[within < MOST_IN_BASKET]
    return given.basket[kept], given.thing[kept], given.weight[kept]


def _best(keys: Keys, things: int, most: int) -> tuple[Numbers, npt.NDArray[np.void]]:
    """How many neighbours each of the ``things`` of a part has, and all of them."""
    counts = np.bincount((keys >> np.uint64(64 - _BITS)).astype(np.int64), minlength=things)
    within = np.arange(len(keys)) - np.repeat(np.cumsum(counts) - counts, counts)
    keys = keys[within < most]
    neighbours = np.empty(len(keys), NEIGHBOURS)
    neighbours["number"] = keys >> np.uint64(1) & np.uint64(MOST_THINGS - 1)
    far = keys >> np.uint64(_BITS + 1) & np.uint64(_FULL)
    neighbours["strength"] = (np.uint64(_FULL) - far) * np.uint64(STRONGEST // _FULL)
    neighbours["by_playlists"] = keys & np.uint64(1)
    return np.minimum(counts, most), neighbours


def _joined(parts: list[tuple[Numbers, npt.NDArray[np.void]]], things: int) -> Near:
    counts = [count for count, _ in parts] or [np.zeros(things, np.int64)]
    neighbours = [some for _, some in parts] or [np.zeros(0, NEIGHBOURS)]
    return Near(np.concatenate(([0], np.cumsum(np.concatenate(counts)))), np.concatenate(neighbours))
