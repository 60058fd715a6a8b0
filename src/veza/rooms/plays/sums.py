"""The sums of plays: how what was told becomes part of them, and what they say of a period.

Plays write down what is to be added, and a job adds it in pieces: so a play costs one narrow row more, and
not a dozen. A track's sums are always read together with what is not yet in them; those of an artist, and of
all, follow some seconds later.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from operator import add
from uuid import UUID

import msgspec

from veza.core.db import Tx
from veza.core.db.types import to_micros
from veza.rooms.plays import sums_store as store
from veza.rooms.plays import weeks
from veza.rooms.plays.devices import class_of
from veza.rooms.plays.periods import QUARTER_SECONDS, Period
from veza.rooms.plays.sketch import Sketch, count_all, hash_of
from veza.rooms.plays.store import Day, day_of
from veza.rooms.plays.sums_store import Fresh
from veza.rooms.plays.weeks import Past
from veza.rooms.plays.weeks_store import Week

# The scope of all that is heard here.
ALL = UUID(int=0)
STEPS = store.STEPS
WHOLE = 1_000_000
DEVICE, SOURCE, COUNTRY = "device", "source", "country"
UNKNOWN = "unknown"
_EPOCH = date(1970, 1, 1)


class Summary(msgspec.Struct, frozen=True):
    """What there was in a period, and the plays of its ``days`` by their dates, those without left out."""

    total: Day
    days: Mapping[date, int]
    listeners: int
    facets: Mapping[str, Mapping[str, int]]
    # How many plays came to each twentieth of the track, and no further.
    ends: Sequence[int]


class Sums:
    """What a number of plays adds, each to every scope that it belongs to."""

    def __init__(self) -> None:
        self.quarters: dict[tuple[UUID, int], Day] = defaultdict(Day)
        self.facets: Counter[tuple[UUID, int, str, str]] = Counter()
        self.ends: Counter[tuple[UUID, int, int]] = Counter()
        self.listeners: dict[tuple[UUID, int], set[int]] = defaultdict(set)
        self.fans: dict[tuple[UUID, UUID], Day] = defaultdict(Day)

    def add(self, told: Fresh, scopes: Iterable[UUID]) -> None:
        """Add one that was told."""
        day, quarter = day_of(told.at), to_micros(told.at) // 1_000_000 // QUARTER_SECONDS
        heard = told.part - (told.part_before or 0)
        facets = [(DEVICE, class_of(told.device)), (SOURCE, told.source), (COUNTRY, told.country)]
        listener = hash_of(told.user_id or told.listener_id)
        for scope in scopes:
            _grow(self.quarters[scope, quarter], told, heard)
            self.ends[scope, day, told.part * STEPS // WHOLE] += 1
            if told.part_before is not None:
                self.ends[scope, day, told.part_before * STEPS // WHOLE] -= 1
            if told.plays:
                self.listeners[scope, day].add(listener)
                for facet, value in facets:
                    self.facets[scope, day, facet, value or UNKNOWN] += told.plays
        if told.artist_id and told.user_id and told.artist_id != told.user_id:
            _grow(self.fans[told.artist_id, told.user_id], told, heard)


def _grow(sums: Day, told: Fresh, part: int) -> None:
    sums.plays += told.plays
    sums.heard_ms += told.heard_ms
    sums.parts += part


async def add_up(tx: Tx, most: int) -> int:
    """Take so much into the sums; how much there was."""
    fresh = await store.list_fresh(tx, most)
    sums = Sums()
    for told in fresh:
        if told.track_id and told.artist_id:
            sums.add(told, (told.track_id, told.artist_id, ALL))
    quarters = [
        {"scope": scope, "quarter": quarter, **msgspec.structs.asdict(day)}
        for (scope, quarter), day in sums.quarters.items()
    ]
    await store.add_quarters(tx, quarters)
    facets = [
        {"scope": scope, "day": day, "facet": facet, "value": value, "plays": plays}
        for (scope, day, facet, value), plays in sums.facets.items()
    ]
    await store.add_facets(tx, facets)
    ends = [
        {"scope": scope, "day": day, "step": step, "plays": plays}
        for (scope, day, step), plays in sums.ends.items()
        if plays
    ]
    await store.add_ends(tx, ends)
    await store.add_fans(
        tx,
        [
            {"artist_id": artist, "user_id": user, "plays": day.plays, "heard_ms": day.heard_ms}
            for (artist, user), day in sums.fans.items()
        ],
    )
    await _add_listeners(tx, sums.listeners)
    await weeks.reopen(tx, {(scope, day) for scope, day, _ in sums.ends})
    await store.remove_fresh(tx, [told.id for told in fresh])
    return len(fresh)


async def _add_listeners(tx: Tx, listeners: Mapping[tuple[UUID, int], set[int]]) -> None:
    changed = []
    for (scope, day), hashes in listeners.items():
        kept = await store.find_sketch(tx, scope, day)
        sketch = Sketch.load(kept) if kept else Sketch()
        if sketch.add(hashes):
            changed.append({"scope": scope, "day": day, "sketch": sketch.dump()})
    await store.keep_sketches(tx, changed)


async def summary_of_track(tx: Tx, track_id: UUID, period: Period) -> Summary:
    """What was heard of a track: true to the last play. Listeners are those of the days of UTC it touches."""
    fresh = Sums()
    for told in await store.fresh_of(tx, track_id):
        fresh.add(told, (track_id,))
    past = await weeks.read_past(tx, track_id, period)
    if not period.is_utc:
        total, days = await _days(tx, track_id, period, past, fresh)
        return await _summary(tx, track_id, period, past, fresh, total, days)
    first, last = period.utc_days
    total, days = Day(), {}
    # Kept with each play, and so without what is fresh.
    for day in await store.track_days(tx, track_id, first, last):
        days[_date(day.span)] = day.plays
        _join(total, day)
    return await _summary(tx, track_id, period, past, fresh, total, days)


async def summary_of(tx: Tx, scope: UUID, period: Period) -> Summary:
    """What was heard of an artist, or of :data:`ALL`, up to some seconds ago."""
    past = await weeks.read_past(tx, scope, period)
    total, days = await _days(tx, scope, period, past, Sums())
    return await _summary(tx, scope, period, past, Sums(), total, days)


async def _summary(
    tx: Tx, scope: UUID, period: Period, past: Past, fresh: Sums, total: Day, days: Mapping[date, int]
) -> Summary:
    first, last = period.utc_days
    others = past.other_days(first, last)
    facets: dict[str, Counter[str]] = {DEVICE: Counter(), SOURCE: Counter(), COUNTRY: Counter()}
    ends = [0] * (STEPS + 1)
    for week in past.weeks:
        for facet, plays_of in week.facets.items():
            here = facets[facet]
            for value, plays in plays_of.items():  # several times as quick as update()
                here[value] = here.get(value, 0) + plays
        ends = list(map(add, ends, week.ends))
    for share in await store.shares(tx, scope, others):
        facets[share.facet][share.value] += share.plays
    for (_, day, facet, value), plays in fresh.facets.items():
        if first <= day <= last:
            facets[facet][value] += plays
    for end in await store.ends(tx, scope, others):
        ends[end.step] += end.plays
    for (_, day, step), plays in fresh.ends.items():
        if first <= day <= last:
            ends[step] += plays
    sketches = [week.sketch for week in past.weeks] + await store.sketches(tx, scope, others)
    sketches += [
        Sketch(hashes).dump() for (_, day), hashes in fresh.listeners.items() if first <= day <= last
    ]
    return Summary(total, days, count_all(sketches), facets, ends)


async def _days(tx: Tx, scope: UUID, period: Period, past: Past, fresh: Sums) -> tuple[Day, dict[date, int]]:
    days: Counter[date] = Counter()
    total, segments = Day(), period.segments()
    for day, plays in past.plays_by_day(segments).items():
        days[_date(day)] += plays
    for week in past.weeks:
        _join(total, week)
    for segment in past.other_quarters(segments):
        for found in await store.local_days(tx, scope, segment.first, segment.last, segment.ahead):
            days[_date(found.span)] += found.plays
            _join(total, found)
    for (_, quarter), sums in fresh.quarters.items():
        day_there = datetime.fromtimestamp(quarter * QUARTER_SECONDS, UTC).astimezone(period.zone).date()
        if period.first <= day_there <= period.last:
            days[day_there] += sums.plays
            _join(total, sums)
    return total, dict(days)


def _join(day: Day, more: Day | store.Sum | Week) -> None:
    day.plays += more.plays
    day.heard_ms += more.heard_ms
    day.parts += more.parts


def _date(day: int) -> date:
    return _EPOCH + timedelta(days=day)
