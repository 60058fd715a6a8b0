"""What a search is narrowed down by, as it was asked for, and whether that makes sense."""

import math
from datetime import datetime
from typing import Annotated

import msgspec

from veza.core.errors import Detail, InvalidRequest
from veza.rooms.search.ladder import Filters
from veza.rooms.tracks.schemas import SortBy, SortOrder


class Asked(msgspec.Struct, frozen=True):
    """A search for tracks as it came; durations in seconds, dates as text."""

    q: str | None = None
    genre: str | None = None
    format: str | None = None
    min_duration: float | None = None
    max_duration: float | None = None
    start_date: str | None = None
    end_date: str | None = None
    sort_by: SortBy | None = None
    sort_order: SortOrder = "desc"


_Moment = Annotated[datetime, msgspec.Meta(tz=True)]


def read_filters(asked: Asked) -> Filters:
    """The ranges that are asked for. Raises :class:`InvalidRequest` for what is no range, or an empty one."""
    filters = Filters(
        shortest=_seconds("min_duration", asked.min_duration),
        longest=_seconds("max_duration", asked.max_duration),
        since=_moment("start_date", asked.start_date),
        until=_moment("end_date", asked.end_date),
    )
    if filters.shortest is not None and filters.longest is not None and filters.shortest > filters.longest:
        raise _refused("max_duration", "Must not be less than min_duration.")
    if filters.since is not None and filters.until is not None and filters.since > filters.until:
        raise _refused("end_date", "Must not be before start_date.")
    return filters


def _seconds(field: str, value: float | None) -> float | None:
    if value is not None and not (math.isfinite(value) and value >= 0):
        raise _refused(field, "Must be a number of seconds, 0 or more.")
    return value


def _moment(field: str, text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        return msgspec.convert(text, _Moment)
    except msgspec.ValidationError:
        raise _refused(field, "Must be a time like 2025-01-31T12:00:00Z (RFC 3339).") from None


def _refused(field: str, message: str) -> InvalidRequest:
    return InvalidRequest(details=[Detail(field, message, "INVALID")])
