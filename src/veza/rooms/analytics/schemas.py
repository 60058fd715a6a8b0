"""Analytics as callers send and see them."""

import re
from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

import msgspec

from veza.core.body import checked
from veza.core.text import BadValue
from veza.rooms.plays.schemas import Stats

MOST_EVENTS = 100
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:-]{0,63}")


def check_name(name: str) -> str:
    """The name, if it may be one. Raises :class:`veza.core.text.BadValue`."""
    if not _NAME.fullmatch(name):
        said = "Must be 1 to 64 letters, digits and _ . : -, the first a letter or digit."
        raise BadValue("INVALID", said)
    return name


EventName = Annotated[str, checked(check_name, minLength=1, maxLength=64, pattern=f"^{_NAME.pattern}$")]
Payload = dict[str, Any]


class EventDraft(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Something that an application wants to be known: a name, and at most 8 KB of what belongs to it."""

    event_name: EventName
    payload: Payload = msgspec.field(default_factory=dict)


class EventBatch(msgspec.Struct, frozen=True):
    """Up to a hundred of them, kept all or none."""

    events: Annotated[list[EventDraft], msgspec.Meta(min_length=1, max_length=MOST_EVENTS)]


class RecordedEvent(msgspec.Struct, frozen=True):
    """An event that is kept."""

    message: str
    event_name: str


class RecordedEvents(msgspec.Struct, frozen=True):
    """Events that are kept."""

    message: str
    recorded: int


class EventCount(msgspec.Struct, frozen=True):
    """How often something was told, by how many people, and when last."""

    event_name: str
    count: int
    users: int
    last_at: datetime


class EventCounts(msgspec.Struct, frozen=True):
    """What was told in so many days, the most frequent first."""

    days: int
    events: Sequence[EventCount]


class Point(msgspec.Struct, frozen=True):
    """The plays of a day, which begins at ``date``."""

    date: datetime
    count: int


class PeriodShown(msgspec.Struct, frozen=True):
    """Which days: ``start_date`` and ``end_date`` are when the first and the last of them begin."""

    start_date: datetime
    end_date: datetime
    days: int
    timezone: str


class Part(msgspec.Struct, frozen=True):
    """How many plays came from one place or thing, and which part of all that is, in percent."""

    name: str
    plays: int
    share: float


class Step(msgspec.Struct, frozen=True):
    """How many percent of the plays were still listening at so many percent of the track."""

    position: int
    listening: float


class Dashboard(msgspec.Struct, frozen=True):
    """What was heard of a track in a period, its owner's own plays included.

    ``unique_listeners`` is exact up to 10,000 and has a standard error of 0.8 % beyond; it and what stands
    below ``period`` are of the days in UTC that the period touches.
    """

    track_id: UUID
    stats: Stats
    plays_over_time: Sequence[Point]
    period: PeriodShown
    sources: Sequence[Part]
    devices: Sequence[Part]
    countries: Sequence[Part]
    completion_curve: Sequence[Step]


class DashboardBody(msgspec.Struct, frozen=True):
    """The dashboard of a track."""

    dashboard: Dashboard


class TopTrack(msgspec.Struct, frozen=True):
    """A track of an artist's that everybody sees, and its plays in the period; seconds heard."""

    track_id: UUID
    title: str
    plays: int
    seconds: float


class TopListener(msgspec.Struct, frozen=True):
    """Somebody who listens to an artist: their plays of all time, and seconds heard."""

    user_id: UUID
    username: str
    plays: int
    seconds: float


class ArtistDashboard(msgspec.Struct, frozen=True):
    """What was heard of all tracks of an artist in a period, up to some seconds ago."""

    user_id: UUID
    stats: Stats
    plays_over_time: Sequence[Point]
    period: PeriodShown
    sources: Sequence[Part]
    devices: Sequence[Part]
    countries: Sequence[Part]
    top_tracks: Sequence[TopTrack]
    top_listeners: Sequence[TopListener]


class ArtistBody(msgspec.Struct, frozen=True):
    """The dashboard of an artist."""

    dashboard: ArtistDashboard


class PlatformTotals(msgspec.Struct, frozen=True):
    """How much there is of everything."""

    users: int
    tracks: int
    playlists: int
    plays: int


class PlatformDashboard(msgspec.Struct, frozen=True):
    """What was heard here in a period, and how much there is, up to some seconds ago."""

    totals: PlatformTotals
    stats: Stats
    plays_over_time: Sequence[Point]
    period: PeriodShown
    sources: Sequence[Part]
    devices: Sequence[Part]
    countries: Sequence[Part]


class PlatformBody(msgspec.Struct, frozen=True):
    """The dashboard of the platform."""

    dashboard: PlatformDashboard
