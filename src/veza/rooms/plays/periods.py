"""Periods: whole days of somebody's time zone, one after another."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import msgspec

QUARTER_SECONDS = 900
_DAY_SECONDS = 86_400


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

    def segments(self) -> list[Segment]:
        """Its quarters of an hour, parted where clocks are changed; so there are few."""
        begin, end = self._bounds()
        found: list[Segment] = []
        days = (self.first + timedelta(days=n) for n in range(self.days + 1))
        starts = [int(self.begin_of(day).timestamp()) for day in days]
        for start, stop in pairwise(starts):
            # Clocks change within a day, which then has two segments.
            for part_start, part_stop in self._alike(start, stop):
                ahead = self._ahead(part_start)
                first, last = part_start // QUARTER_SECONDS, (part_stop - 1) // QUARTER_SECONDS
                if found and found[-1].ahead == ahead:
                    found[-1] = Segment(found[-1].first, last, ahead)
                else:
                    found.append(Segment(first, last, ahead))
        assert found[0].first == begin // QUARTER_SECONDS
        assert found[-1].last == (end - 1) // QUARTER_SECONDS
        return found

    def _bounds(self) -> tuple[int, int]:
        end = self.begin_of(self.last + timedelta(days=1))
        return int(self.begin_of(self.first).timestamp()), int(end.timestamp())

    def _ahead(self, seconds: int) -> int:
        offset = datetime.fromtimestamp(seconds, self.zone).utcoffset() or timedelta()
        return int(offset.total_seconds()) // QUARTER_SECONDS

    def _alike(self, start: int, stop: int) -> list[tuple[int, int]]:
        """Seconds in two, if clocks change between."""
        if self._ahead(start) == self._ahead(stop - 1):
            return [(start, stop)]
        low, high = start // QUARTER_SECONDS, stop // QUARTER_SECONDS
        while high - low > 1:
            middle = (low + high) // 2
            if self._ahead(middle * QUARTER_SECONDS) == self._ahead(start):
                low = middle
            else:
                high = middle
        return [(start, high * QUARTER_SECONDS), (high * QUARTER_SECONDS, stop)]
