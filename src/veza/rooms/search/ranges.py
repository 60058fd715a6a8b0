"""Finding what is in ranges of days and durations: what matches is looked at once, and its places kept.

A frequent word's matches are some 200,000, and each has to be looked at: 50 ms. So none is looked at twice.
What passes is counted, put in order and paged from the places that were seen, unless more passes than can be
paged: then it lies so dense that a page is found without looking at all of it.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any
from uuid import UUID

from veza.core.db import Tx
from veza.core.pages import Page
from veza.rooms.search import answers
from veza.rooms.search.answers import Answer, Order
from veza.rooms.search.ladder import Filters, Match, Rung, Term, beginning, exactly
from veza.rooms.search.nearby import ladders
from veza.rooms.search.select_store import Told
from veza.rooms.search.store import WINDOW, Index

# Where no more things are in range, each is read and looked at here: some 10 ms.
FEW_THINGS = 4_000


class Ground(ABC):
    """Where is looked for what passes."""

    @abstractmethod
    async def look(self, match: Match) -> list[int]:
        """The places of what matches and passes, in order, up to one more than can be paged."""

    @abstractmethod
    async def saw_all(self, match: Match) -> bool:
        """Whether there is no more of it than was looked at."""


class Few(Ground):
    """Few things, read already."""

    def __init__(self, told: Sequence[Told]) -> None:
        self._told = sorted((one.place, f" {one.words} ") for one in told)

    async def look(self, match: Match) -> list[int]:
        """All that matches."""
        signs = [f" {mark} " for mark in match.filters.marks]
        wanted, unwanted = _signs(match.rung), [_signs(rung) for rung in match.less]
        return [
            place
            for place, words in self._told
            if all(sign in words for sign in signs)
            and _holds(words, wanted)
            and not any(_holds(words, other) for other in unwanted)
        ]

    async def saw_all(self, match: Match) -> bool:
        """It did."""
        del match
        return True


class Much(Ground):
    """All there is, in the database."""

    def __init__(self, view: Tx, index: Index) -> None:
        self._view = view
        self._index = index

    async def look(self, match: Match) -> list[int]:
        """The first that match."""
        text = await self._index.expression(self._view, match)
        return await self._index.look(self._view, text, match.filters, answers.MOST + 1)

    async def saw_all(self, match: Match) -> bool:
        """Whether a database looks at so many."""
        return await self._index.saw_all(self._view, await self._index.expression(self._view, match))


async def find(
    view: Tx, index: Index, words: Sequence[str], filters: Filters, page: Page, order: Order
) -> Answer:
    """The things that match and are in range; without words, whatever is."""
    told = await index.told(view, filters, FEW_THINGS)
    ground = Much(view, index) if told is None else Few(told)
    parts, last = await _climb(view, index, ground, words, filters, by_rungs=order.by is None)
    total = sum(map(len, parts))
    exact = total <= answers.MOST and await ground.saw_all(last)
    total = min(total, answers.MOST)
    offset, limit = page.offset, min(page.limit, total - page.offset)
    if limit <= 0:
        return Answer((), total, exact)
    if order.by is None or order == Order("popularity"):
        return Answer(await _windows(view, index, parts, offset, limit), total, exact)
    (places,), all_known = parts, total < answers.MOST
    text = "" if all_known else await index.expression(view, last)
    if order.by == "popularity":
        if all_known:
            places.reverse()
        else:
            most = -(-(offset + limit) // WINDOW) * WINDOW
            places = await index.look(view, text, filters, most, descending=False)
        return Answer(await _windows(view, index, [places], offset, limit, descending=False), total, exact)
    how: dict[str, Any] = {
        "by": order.by, "descending": order.descending, "offset": offset, "limit": limit,
    }  # fmt: skip
    if all_known:
        return Answer(await index.ordered(view, places, **how), total, exact)
    return Answer(
        await index.sorted(view, text, filters, **how, total=answers.MOST + 1, first=places), total, exact
    )


async def _climb(
    view: Tx, index: Index, ground: Ground, words: Sequence[str], filters: Filters, *, by_rungs: bool
) -> tuple[list[list[int]], Match]:
    """The places of what passes, rung by rung or all in one; and what holds all of it."""
    if not words:
        whole = Match((), filters)
        return [await ground.look(whole)], whole
    base = beginning(words)
    parts = await _look(ground, (exactly(words), base), filters, (), by_rungs=by_rungs)
    if any(parts):
        return parts, Match(base, filters)
    # Only where nothing is as it was typed. What was looked at in vain is not looked at again.
    tried: tuple[Rung, ...] = (base,)
    for rungs in await ladders(view, index, words):
        if not rungs:
            continue
        parts = await _look(ground, rungs, filters, tried, by_rungs=by_rungs)
        if any(parts):
            return parts, Match(rungs[-1], filters)
        tried = (*tried, rungs[-1])
    return [[]], Match(tried[-1], filters)


async def _look(
    ground: Ground, rungs: Sequence[Rung], filters: Filters, tried: tuple[Rung, ...], *, by_rungs: bool
) -> list[list[int]]:
    if not by_rungs:
        return [await ground.look(Match(rungs[-1], filters, less=tried))]
    parts: list[list[int]] = []
    for n, rung in enumerate(rungs):
        parts.append(await ground.look(Match(rung, filters, less=(*tried, *rungs[:n]))))
        if sum(map(len, parts)) > answers.MOST:
            break
    return parts


async def _windows(
    view: Tx,
    index: Index,
    parts: Sequence[Sequence[int]],
    offset: int,
    limit: int,
    *,
    descending: bool = True,
) -> list[UUID]:
    """A page of these places, part after part, each window in the order of the moment."""
    found: list[UUID] = []
    for places in parts:
        at = offset
        while at < len(places) and limit > 0:
            start = at // WINDOW * WINDOW
            part = await index.ordered(
                view, places[start : start + WINDOW], by="popularity", descending=descending,
                offset=at - start, limit=limit,
            )  # fmt: skip
            found += part
            limit -= len(part)
            at = start + WINDOW
        offset = max(offset - len(places), 0)
    return found


def _signs(rung: Rung) -> list[list[str]]:
    """What stands in a text of words where a rung's terms match: of each term, one of these."""
    return [_ways(term) for term in rung]


def _ways(term: Term) -> list[str]:
    ways = [f" {word} " for word in term.near]
    return [*ways, f" {term.word}" if term.prefix else f" {term.word} "] if term.strict else ways


def _holds(words: str, signs: Sequence[Sequence[str]]) -> bool:
    return all(any(sign in words for sign in ways) for ways in signs)
