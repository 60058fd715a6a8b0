"""Weeks that are over: all sums of each in one row, so that a year is fifty rows and not seventy thousand.

A week of UTC is packed from the sums of its days once nothing of it is to be expected any more. What comes
for it all the same is added to the days as ever, and the week, with all that follow, is packed again later;
until then the days answer for it. So both always say the same.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

import msgspec

from veza.core import clock
from veza.core.db import Tx
from veza.core.db.types import to_micros
from veza.rooms.plays import sums_store, weeks_store
from veza.rooms.plays.periods import (
    DAY_QUARTERS,
    WEEK_DAYS,
    WEEK_QUARTERS,
    Period,
    Segment,
    first_day,
    first_quarter,
    week_of,
)
from veza.rooms.plays.sketch import join
from veza.rooms.plays.sums_store import STEPS
from veza.rooms.plays.weeks_store import Week

_DAY_MICROS = 86_400_000_000
# So long after its end a week is packed, and so long nobody who adds to it needs to look whether it is.
# Between the two lies more time than any transaction takes.
PACKED_AFTER, OPEN_FOR = timedelta(hours=8), timedelta(hours=6)
# Bytes for each quarter of an hour, as many as the busiest of a week needs.
_WIDTHS = (1, 2, 4, 8)


class Past(msgspec.Struct, frozen=True):
    """What packed weeks say of a period, and which of its days and quarters they leave out.

    Bounds are the first quarter of an hour of the first of these weeks, and the first after the last.
    """

    weeks: Sequence[Week]
    begin: int
    end: int

    def other_days(self, first: int, last: int) -> list[int]:
        """Days, of those from ``first`` to ``last``, that are in none of these weeks."""
        begin, end = self.begin // DAY_QUARTERS, self.end // DAY_QUARTERS
        return [day for day in range(first, last + 1) if not begin <= day < end]

    def other_quarters(self, segments: Sequence[Segment]) -> Iterator[Segment]:
        """Those parts of ``segments`` that are in none of these weeks."""
        for one in segments:
            if self.begin == self.end:
                yield one
                continue
            for first, last in (
                (one.first, min(one.last, self.begin - 1)),
                (max(one.first, self.end), one.last),
            ):
                if first <= last:
                    yield Segment(first, last, one.ahead)

    def plays_by_day(self, segments: Sequence[Segment]) -> Mapping[int, int]:
        """Plays by the number of the day, as days go in these segments."""
        if not self.weeks:
            return {}
        import numpy as np  # noqa: PLC0415 - 20 MB, for whoever looks at sums

        plays = np.zeros(self.end - self.begin, np.int64)
        for week in self.weeks:
            at = first_quarter(week.week) - self.begin
            width = len(week.quarters) // WEEK_QUARTERS
            plays[at : at + WEEK_QUARTERS] = np.frombuffer(week.quarters, f"<u{width}")
        found: dict[int, int] = {}
        for one in segments:
            first, stop = max(one.first, self.begin), min(one.last + 1, self.end)
            if first < stop:
                days = (np.arange(first, stop) + one.ahead) // DAY_QUARTERS
                sums = np.bincount(days - days[0], plays[first - self.begin : stop - self.begin])
                for offset in np.flatnonzero(sums).tolist():
                    day = int(days[0]) + offset
                    found[day] = found.get(day, 0) + int(sums[offset])
        return found


NONE = Past((), 0, 0)


async def read_past(tx: Tx, scope: UUID, period: Period) -> Past:
    """The packed weeks that lie wholly within a period; with what they leave out, read in one snapshot."""
    begin, end = period.quarters
    first = week_of(begin // DAY_QUARTERS)
    if first_quarter(first) < begin:
        first += 1
    stop = week_of((end + 1) // DAY_QUARTERS)
    packed = await weeks_store.through(tx, scope)
    stop = min(stop, (packed or 0) + 1)
    if first >= stop:
        return NONE
    found = await weeks_store.weeks(tx, scope, first, stop - 1)
    return Past(found, first_quarter(first), first_quarter(stop))


async def count_plays(tx: Tx, scope: UUID) -> int:
    """All plays there ever were of a scope, up to some seconds ago; read in one snapshot."""
    through = await weeks_store.through(tx, scope) or 0
    before = await weeks_store.plays(tx, scope, through)
    return before + await weeks_store.count_from(tx, scope, first_quarter(through + 1))


async def reopen(tx: Tx, days: Iterable[tuple[UUID, int]]) -> None:
    """Something is added to these days of scopes: what is packed of them holds no more."""
    still_open = _week_at(OPEN_FOR)
    over = {(scope, week) for scope, day in days if (week := week_of(day)) < still_open}
    await weeks_store.reopen(tx, sorted(over, key=lambda one: (one[0].int, one[1])))


def packable() -> int:
    """The last week that may be packed by now."""
    return _week_at(PACKED_AFTER) - 1


def _week_at(ago: timedelta) -> int:
    return week_of(to_micros(clock.now() - ago) // _DAY_MICROS)


async def pack(tx: Tx, scope: UUID, until: int) -> bool:
    """Pack the next week of a marked scope; whether there are more up to ``until``."""
    through = await weeks_store.hold(tx, scope)
    if through is None or through >= until:
        return False
    heard = await weeks_store.next_heard(tx, scope, first_quarter(through + 1))
    week = until + 1 if heard is None else week_of(heard // DAY_QUARTERS)
    if week <= until:
        await weeks_store.keep(tx, await _packed(tx, scope, week))
    await weeks_store.move(tx, scope, min(week, until))
    return week < until


async def _packed(tx: Tx, scope: UUID, week: int) -> dict[str, Any]:
    begin, days = first_quarter(week), range(first_day(week), first_day(week) + WEEK_DAYS)
    quarters, total = [0] * WEEK_QUARTERS, [0, 0, 0]
    for found in await weeks_store.quarters(tx, scope, begin, begin + WEEK_QUARTERS - 1):
        quarters[found.span - begin] = found.plays
        total = [a + b for a, b in zip(total, (found.plays, found.heard_ms, found.parts), strict=True)]
    ends = [0] * (STEPS + 1)
    for end in await sums_store.ends(tx, scope, days):
        ends[end.step] += end.plays
    facets: dict[str, dict[str, int]] = {}
    for share in await sums_store.shares(tx, scope, days):
        facets.setdefault(share.facet, {})[share.value] = share.plays
    sketches = await sums_store.sketches(tx, scope, days)
    most = max(quarters)
    width = next(width for width in _WIDTHS if most < 1 << 8 * width)
    raw = b"".join(plays.to_bytes(width, "little") for plays in quarters)
    return {
        "scope": scope, "week": week, "plays": total[0], "heard_ms": total[1], "parts": total[2],
        "facets": facets, "ends": ends, "quarters": raw, "sketch": join(sketches),
    }  # fmt: skip
