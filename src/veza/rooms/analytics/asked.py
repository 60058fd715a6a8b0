"""The period that is asked for: so many days up to today, or from one date to another, in a time zone."""

from datetime import date, datetime, timedelta
from typing import Annotated
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec
from litestar.di import Provide
from litestar.params import Dependency, Parameter

from veza.core import clock
from veza.core.errors import Detail, InvalidRequest
from veza.rooms.plays.periods import Period

DAYS, MOST_DAYS = 30, 366
# A year lies between them and any that cannot be reckoned with.
_EARLIEST, _LATEST = date(1972, 1, 1), date(2999, 12, 31)
_Moment = Annotated[datetime, msgspec.Meta(tz=True)]


def read_period(
    days: Annotated[int | None, Parameter(ge=1, le=MOST_DAYS)] = None,
    start_date: Annotated[str | None, Parameter(max_length=40)] = None,
    end_date: Annotated[str | None, Parameter(max_length=40)] = None,
    tz: Annotated[str, Parameter(max_length=64)] = "UTC",
) -> Period:
    """The period; without anything given the thirty days that end today.

    Dates are days, or times in RFC 3339 that stand for their day in ``tz``, and both belong to the period.
    Raises InvalidRequest for what is no date, no time zone, the wrong way round, or longer than a year.
    """
    zone = _zone(tz)
    today = clock.now().astimezone(zone).date()
    if days is not None and start_date is not None and end_date is not None:
        raise _refused("days", "Give days or two dates, not both.")
    last = _date("end_date", end_date, zone)
    first = _date("start_date", start_date, zone)
    if first is None:
        last = last or today
        first = last - timedelta(days=(days or DAYS) - 1)
    elif last is None:
        last = first + timedelta(days=days - 1) if days else today
    if first > last:
        raise _refused("end_date", "Must not be before start_date.")
    if (last - first).days >= MOST_DAYS:
        raise _refused("end_date", f"A period has at most {MOST_DAYS} days.")
    return Period(first, last, zone)


BY_PERIOD = {"period": Provide(read_period, sync_to_thread=False)}
ThePeriod = Annotated[Period, Dependency(skip_validation=True)]


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise _refused("tz", "Must be a time zone like Europe/Paris (IANA).") from None


def _date(field: str, text: str | None, zone: ZoneInfo) -> date | None:
    if text is None:
        return None
    try:
        found = _read_date(text, zone)
    except (msgspec.ValidationError, OverflowError):
        said = "Must be a date like 2025-01-31, or a time like 2025-01-31T12:00:00Z (RFC 3339)."
        raise _refused(field, said) from None
    if not _EARLIEST <= found <= _LATEST:
        raise _refused(field, f"Must be between {_EARLIEST} and {_LATEST}.")
    return found


def _read_date(text: str, zone: ZoneInfo) -> date:
    if "T" not in text.upper():
        return msgspec.convert(text, date)
    return msgspec.convert(text, _Moment).astimezone(zone).date()


def _refused(field: str, said: str) -> InvalidRequest:
    return InvalidRequest(details=[Detail(field, said, "INVALID")])
