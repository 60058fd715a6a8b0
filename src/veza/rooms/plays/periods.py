"""Periods: whole days of somebody's time zone, one after another."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import msgspec

QUARTER_SECONDS = 900
_DAY_SECONDS = 86_400
DAY_QUARTERS = 96
WEEK_DAYS = 7
WEEK_QUARTERS = WEEK_DAYS * DAY_QUARTERS
# 1970 began on a Thursday.
_SINCE_MONDAY = 3


def week_of(day: int) -> int:
    """The number of the week of UTC, from Monday on, to which a day since 1970 belongs."""
    return (day + _SINCE_MONDAY) // WEEK_DAYS


def first_day(week: int) -> int:
    """The Monday with which a week begins, since 1970."""
    return week * WEEK_DAYS - _SINCE_MONDAY


def first_quarter(week: int) -> int:
    """The quarter of an hour with which a week begins, since 1970."""
    return first_day(week) * DAY_QUARTERS


class Segment(msgspec.Struct, frozen=True):
    """Quarters of an hour (since 1970, both ends included) in which the zone is as many ``ahead`` of UTC."""

    first: int
    last: int
    ahead: int


class Period(msgspec.Struct, frozen=True):
    """From the beginning of ``first`` to the end of ``last``, as days go in ``zone``."""

    first: date
    last: date
    zone: ZoneInfo

    @property
    def days(self) -> int:
        """How many days these are."""
        return (self.last - self.first).days + 1

    @property
    def is_utc(self) -> bool:
        """Whether its days are those of UTC."""
        return self.zone.key == "UTC"

    def dates(self) -> Iterator[date]:
        """Each of its days."""
        return (self.first + timedelta(days=n) for n in range(self.days))

    def begin_of(self, day: date) -> datetime:
        """When a day begins there, in UTC; where it begins twice, the first time."""
        return datetime.combine(day, time(), self.zone).astimezone(UTC)

    @property
    def utc_days(self) -> tuple[int, int]:
        """The first and the last day of UTC that it touches, since 1970."""
        begin, end = self._bounds()
        return begin // _DAY_SECONDS, (end - 1) // _DAY_SECONDS

    @property
    def quarters(self) -> tuple[int, int]:
        """Its first and its last quarter of an hour, since 1970."""
        begin, end = self._bounds()
        return begin // QUARTER_SECONDS, (end - 1) // QUARTER_SECONDS

    def segments(self) -> list[Segment]:
        """Its quarters of an hour, parted where clocks are changed; so there are few."""
        begin, end = self._bounds()
        found: list[Segment] = []
        # No clocks are changed twice in a day: looked at once in each, none is missed.
        marks = [*range(begin, end, _DAY_SECONDS), end - 1]
        aheads = [self._ahead(mark) for mark in marks]
        first = begin // QUARTER_SECONDS
        for (mark, ahead), (later, other) in pairwise(zip(marks, aheads, strict=True)):
            if ahead != other:
                change = self._change(mark, later)
                found.append(Segment(first, change - 1, ahead))
                first = change
        return [*found, Segment(first, (end - 1) // QUARTER_SECONDS, aheads[-1])]

    def _bounds(self) -> tuple[int, int]:
        end = self.begin_of(self.last + timedelta(days=1))
        return int(self.begin_of(self.first).timestamp()), int(end.timestamp())

    def _ahead(self, seconds: int) -> int:
        offset = datetime.fromtimestamp(seconds, self.zone).utcoffset() or timedelta()
        return int(offset.total_seconds()) // QUARTER_SECONDS

    def _change(self, start: int, stop: int) -> int:
        """The first quarter of an hour, between these seconds, that is as far ahead as the last of them."""
        low, high = start // QUARTER_SECONDS, stop // QUARTER_SECONDS
        while high - low > 1:
            middle = (low + high) // 2
            if self._ahead(middle * QUARTER_SECONDS) == self._ahead(start):
                low = middle
            else:
                high = middle
        return high
