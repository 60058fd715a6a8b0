"""Y5: days as they go in a time zone, each hour in exactly one of them."""

import itertools
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from veza.core import clock
from veza.core.errors import InvalidRequest
from veza.rooms.analytics.asked import read_period
from veza.rooms.plays.periods import QUARTER_SECONDS, Period

ZONES = (
    "UTC", "America/New_York", "Europe/Paris", "Asia/Kathmandu", "Australia/Lord_Howe", "America/Sao_Paulo",
    "Pacific/Kiritimati", "Africa/Cairo", "America/St_Johns",
)  # fmt: skip


@settings(deadline=None)
@given(
    st.sampled_from(ZONES),
    st.dates(date(2015, 1, 1), date(2030, 1, 1)),
    st.integers(1, 366),
    st.integers(0, 9),
)
def test_each_quarter_of_an_hour_is_in_its_day(zone: str, first: date, days: int, seed: int) -> None:
    """Segments are next to each other, and the number by which a quarter is grouped is its local day."""
    period = Period(first, first + timedelta(days=days - 1), ZoneInfo(zone))
    assert len(list(period.dates())) == period.days == days
    segments = period.segments()
    assert all(one.last + 1 == other.first for one, other in itertools.pairwise(segments))
    assert len(segments) <= 1 + 4 * (1 + days // 365)
    for segment in segments:
        for quarter in {segment.first, segment.last, (segment.first * seed + segment.last) // (seed + 1)}:
            here = datetime.fromtimestamp(quarter * QUARTER_SECONDS, UTC).astimezone(period.zone).date()
            assert (quarter + segment.ahead) // 96 == (here - date(1970, 1, 1)).days
            assert period.first <= here <= period.last
    begin, end = period.begin_of(period.first), period.begin_of(period.last + timedelta(days=1))
    assert (end - begin) / timedelta(seconds=QUARTER_SECONDS) == segments[-1].last + 1 - segments[0].first


def test_what_can_be_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Thirty days by default, with today; dates are days of the zone that is asked for."""
    now = clock.now()
    monkeypatch.setattr(clock, "now", lambda: now)
    today = now.date()
    found = read_period(None, None, None, "UTC")
    assert (found.first, found.last, found.days) == (today - timedelta(days=29), today, 30)
    assert read_period(7, None, "2025-03-31", "UTC").first == date(2025, 3, 25)
    assert read_period(7, "2025-03-25", None, "UTC").last == date(2025, 3, 31)
    found = read_period(None, "2025-03-01T03:00:00Z", "2025-03-30", "America/New_York")
    assert (found.first, found.last, found.days) == (date(2025, 2, 28), date(2025, 3, 30), 31)
    assert len(found.segments()) == 2


@pytest.mark.parametrize(
    ("asked", "field"),
    [
        ((None, "2025-02-30", None, "UTC"), "start_date"), ((None, None, "soon", "UTC"), "end_date"),
        ((None, "2025-02-02", "2025-02-01", "UTC"), "end_date"), ((None, None, None, "Mars/Base"), "tz"),
        ((None, None, None, "../../etc/passwd"), "tz"), ((None, None, None, ""), "tz"),
        ((7, "2025-01-01", "2025-02-01", "UTC"), "days"),
        ((None, "2020-01-01", "2025-01-01", "UTC"), "end_date"),
        ((None, "0001-01-01", "0001-02-01", "UTC"), "end_date"),
        ((None, "9999-12-30", "9999-12-31", "UTC"), "end_date"),
        ((2, "9999-12-31", None, "UTC"), "start_date"),
        ((None, None, "9999-12-31T23:59:59-14:00", "UTC"), "end_date"),
        ((None, "0001-01-01T00:00:00+14:00", None, "UTC"), "start_date"),
    ],
)  # fmt: skip
def test_what_is_no_period(asked: tuple[int | None, str | None, str | None, str], field: str) -> None:
    """T17, D6: refused, and the field is named."""
    with pytest.raises(InvalidRequest) as refused:
        read_period(*asked)
    assert [detail.field for detail in refused.value.details] == [field]
