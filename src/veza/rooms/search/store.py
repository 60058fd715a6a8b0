"""What an index is asked: what matches, how much of it, and in which order."""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import msgspec

from veza.core.db import Tx
from veza.rooms.search.entries_store import Beginning, off
from veza.rooms.search.ladder import Filters, Match, Rung
from veza.rooms.search.places import popularity_of
from veza.rooms.search.select_store import Selects, Told, wanted_of
from veza.rooms.search.typos import keys_asked

# Matches are read so many at a time, and those put in the true order of the moment.
WINDOW = 250
# Words that are near to one asked for; of more, those that are nearest.
MOST_NEAR = 200
# Of a beginning so many words are looked at, for the commonest: some 0.5 ms.
MOST_BEGINNING = 2_000
# Of so many things of some days, or durations, it is looked whether they are in range: some 4 ms.
GLANCED = 100_000

_EARLIEST, _LATEST = datetime(1, 1, 2, tzinfo=UTC), datetime(9999, 12, 30, tzinfo=UTC)


class Standing(msgspec.Struct, frozen=True):
    """What stands on a rung and on none before it: how much, and the places of its first window."""

    size: int
    first: Sequence[int]


class Weighed(msgspec.Struct, frozen=True):
    """How much some rungs hold together; and the parts of those that were looked at as a whole."""

    total: int
    parts: Sequence[Standing | None] = ()


class Index(Selects):
    """All that is known of one kind of things, in one database, and how it is asked.

    An empty expression is matched by everything.
    """

    async def near(self, view: Tx, word: str) -> list[str]:
        """The words that have a first letters' rest in common with this one; most are near to it."""
        keys = sorted(keys_asked(word))
        return await view.all(self._near, keys=keys) if keys else []

    async def begins(self, view: Tx, start: str, most: int) -> list[str]:
        """Up to so many words that begin like this."""
        return await view.all(self._begins, first=start, end=start + "\U0010ffff", most=most)

    async def beginning(self, view: Tx, start: str) -> Beginning:
        """What is known of the words that begin like this; of very many, the first."""
        end = start + "\U0010ffff"
        found = await view.first(self._commonest, first=start, end=end, most=MOST_BEGINNING)
        return found or Beginning(0, 0)

    async def weigh(self, view: Tx, rungs: Sequence[Rung], filters: Filters, most: int) -> Weighed:
        """How much these rungs hold, each of which holds all that those before it do; up to ``most + 1``."""
        last = rungs[-1]
        total = await self._told_by_words(view, last, filters, most)
        if total is None:
            text = await self.expression(view, Match(last, filters))
            total = await self.count(view, text, filters, most + 1)
        return Weighed(total)

    async def _told_by_words(self, view: Tx, rung: Rung, filters: Filters, most: int) -> int | None:
        """How much a rung of one term holds, where its words tell: there is but one, or a frequent one."""
        if len(rung) != 1 or filters.marks or filters.hidden:
            return None
        (term,) = rung
        if term.strict and term.prefix:
            known = Beginning(0, 0) if term.near else await self.beginning(view, term.word)
            told = not term.near and (known.words == 1 or known.entries > most)
        else:
            words = (*term.near, term.word) if term.strict else term.near
            known = await view.first(self._of_words, words=words) or Beginning(0, 0)
            told = known.words <= 1 or known.entries > most
        return min(known.entries, most + 1) if told else None

    @abstractmethod
    async def expression(self, view: Tx, match: Match) -> str:
        """What is looked for, in the words of the database."""

    def _values(self, expression: str, filters: Filters) -> dict[str, Any]:
        """What is given to statements about what matches."""
        values = ({"expression": expression} if expression else {}) | in_range(filters)
        return values | ({"hidden": filters.hidden} if filters.hidden else {})

    async def count(self, view: Tx, expression: str, filters: Filters, most: int) -> int:
        """How many entries match, up to ``most``."""
        statement = self._statement("count", wanted_of(expression, filters))
        return await view.first(statement, most=most, **self._values(expression, filters)) or 0

    async def best(
        self,
        view: Tx,
        expression: str,
        filters: Filters,
        *,
        total: int,
        offset: int,
        limit: int,
        descending: bool = True,
    ) -> list[UUID]:
        """A part of what matches, the popular first, then the new; or the other way round.

        ``total`` is how many may match, up to one more than can be paged; so in :meth:`sorted`.
        """
        found: list[UUID] = []
        while limit > 0:
            start = offset // WINDOW * WINDOW
            most = min(limit, start + WINDOW - offset)
            window = {"size": WINDOW, "start": start, "offset": offset - start, "limit": most}
            part = await self._window(view, expression, filters, window, total=total, descending=descending)
            found += part
            limit -= len(part)
            offset += len(part)
            if len(part) < most:
                break
        return found

    async def _window(
        self,
        view: Tx,
        expression: str,
        filters: Filters,
        window: Mapping[str, int],
        *,
        total: int,
        descending: bool,
    ) -> list[UUID]:
        """A part of so many matches, in the true order of the moment."""
        del total
        best = self._statement("best", wanted_of(expression, filters), descending)
        return await view.all(best, **window, **self._values(expression, filters))

    async def told(self, view: Tx, filters: Filters, most: int) -> list[Told] | None:
        """All that is in range and seen; None where it may be more than ``most``, or is not found quickly."""
        near_by, values = in_range(filters), self._values("", filters)
        for given, column in ((filters.dated, "created_at"), (filters.timed, "duration")):
            if given:
                near = await view.first(self._statement("near", column), most=GLANCED + 1, **near_by)
                if near is not None and near.looked <= GLANCED and near.found <= most:
                    return await view.all(self._statement("told", column, bool(filters.hidden)), **values)
        return None

    async def look(
        self, view: Tx, expression: str, filters: Filters, most: int, *, descending: bool = True
    ) -> list[int]:
        """The first places, up to ``most``, of what matches and is in range; or the last."""
        statement = self._statement("look", wanted_of(expression, filters), descending)
        return await view.all(statement, most=most, **self._values(expression, filters))

    async def saw_all(self, view: Tx, expression: str) -> bool:
        """Whether :meth:`look` looks at all that matches."""
        del view, expression
        return True

    async def ordered(
        self, view: Tx, places: Sequence[int], *, by: str, descending: bool, offset: int, limit: int
    ) -> list[UUID]:
        """A part of these entries in this order: by ``title``, ``created_at`` or ``popularity``."""
        statement = self._statement("ordered", by, descending)
        return await view.all(statement, places=places, offset=offset, limit=limit)

    async def sorted(
        self,
        view: Tx,
        expression: str,
        filters: Filters,
        *,
        total: int,
        by: str,
        descending: bool,
        offset: int,
        limit: int,
        first: Sequence[int] = (),
    ) -> list[UUID]:
        """A part of what matches and is in range, in this order.

        All of it is looked at, unless its ``first`` places, where more of them are known than can be paged,
        tell of a shorter way.
        """
        del total, first
        statement = self._statement("sorted", wanted_of(expression, filters), by, descending)
        return await view.all(statement, offset=offset, limit=limit, **self._values(expression, filters))

    async def misplaced(self, view: Tx, after: UUID, most: int) -> tuple[list[UUID], UUID | None]:
        """Of the next ``most`` entries those that became more or less popular; where to go on, or None."""
        looked = await view.all(self._statement("misplaced"), after=after, most=most)
        moved = [one.id for one in looked if off(popularity_of(one.place), one.popularity)]
        return moved, looked[-1].id if len(looked) == most else None


def in_range(filters: Filters) -> dict[str, Any]:
    """What ranged statements are given; nothing for others."""
    if not filters.ranged:
        return {}
    return {
        "shortest": 0.0 if filters.shortest is None else filters.shortest,
        "longest": 1e300 if filters.longest is None else filters.longest,
        "since": filters.since or _EARLIEST,
        "until": filters.until or _LATEST,
    }
