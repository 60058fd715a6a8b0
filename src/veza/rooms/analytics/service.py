"""Dashboards: what was heard of a track, of an artist, and of all, in a period."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from uuid import UUID

from veza.access.actor import Member
from veza.access.policy import Action, require
from veza.core import clock
from veza.core.db import Tx
from veza.rooms.accounts import profiles
from veza.rooms.accounts import service as accounts
from veza.rooms.analytics import store
from veza.rooms.analytics.schemas import (
    ArtistDashboard,
    Dashboard,
    EventCounts,
    Part,
    PeriodShown,
    PlatformDashboard,
    PlatformTotals,
    Point,
    Step,
    TopListener,
    TopTrack,
)
from veza.rooms.playlists import service as playlists
from veza.rooms.plays import sums, top, weeks
from veza.rooms.plays.periods import Period
from veza.rooms.plays.schemas import Stats
from veza.rooms.plays.sums import ALL, COUNTRY, DEVICE, SOURCE, STEPS, WHOLE, Summary
from veza.rooms.tracks import service as tracks

_MOST_TOP = 10
_DECIMALS = 2


async def of_track(tx: Tx, actor: Member, track_id: UUID, period: Period) -> Dashboard:
    """The dashboard of a track, for its owner and admins; true to the last play.

    Raises :class:`veza.rooms.tracks.errors.TrackNotFound` and :class:`veza.core.errors.Forbidden`.
    """
    track = await tracks.get_visible(tx, actor, track_id)
    require(actor, Action.SEE_ANALYTICS, track)
    found = await sums.summary_of_track(tx, track_id, period)
    return Dashboard(
        track_id, _stats(found), _points(found, period), _period(period), *_parts(found), _curve(found.ends)
    )


async def of_artist(tx: Tx, actor: Member, user_id: UUID, period: Period) -> ArtistDashboard:
    """The dashboard of an artist, for themselves and admins.

    Raises :class:`veza.rooms.accounts.errors.UserNotFound` and :class:`veza.core.errors.Forbidden`.
    """
    await profiles.get_own(tx, actor, Action.SEE_ANALYTICS, user_id)
    found = await sums.summary_of(tx, user_id, period)
    first, last = period.utc_days
    best = await top.top_tracks(tx, user_id, first, last, _MOST_TOP)
    fans = await top.top_fans(tx, user_id, _MOST_TOP)
    return ArtistDashboard(
        user_id,
        _stats(found),
        _points(found, period),
        _period(period),
        *_parts(found),
        [TopTrack(one.track_id, one.title, one.plays, one.heard_ms / 1000) for one in best],
        [TopListener(one.user_id, one.username, one.plays, one.heard_ms / 1000) for one in fans],
    )


async def of_platform(tx: Tx, actor: Member, period: Period) -> PlatformDashboard:
    """The dashboard of all there is, for admins. Raises :class:`veza.core.errors.Forbidden`."""
    require(actor, Action.SEE_PLATFORM)
    totals = PlatformTotals(
        users=await accounts.count_users(tx),
        tracks=await tracks.count_all(tx),
        playlists=await playlists.count_public(tx),
        plays=await weeks.count_plays(tx, ALL),
    )
    found = await sums.summary_of(tx, ALL, period)
    return PlatformDashboard(totals, _stats(found), _points(found, period), _period(period), *_parts(found))


async def list_events(tx: Tx, actor: Member, days: int) -> EventCounts:
    """What applications told in so many days, for admins. Raises :class:`veza.core.errors.Forbidden`."""
    require(actor, Action.SEE_PLATFORM)
    return EventCounts(days, await store.counts(tx, clock.now() - timedelta(days=days)))


def _stats(found: Summary) -> Stats:
    total = found.total
    plays = total.plays or 1
    return Stats(
        total_plays=total.plays,
        unique_listeners=found.listeners,
        average_duration=round(total.heard_ms / plays / 1000, 3),
        completion_rate=round(total.parts / plays / WHOLE * 100, _DECIMALS),
    )


def _points(found: Summary, period: Period) -> Sequence[Point]:
    return [Point(period.begin_of(day), found.days.get(day, 0)) for day in period.dates()]


def _period(period: Period) -> PeriodShown:
    first, last = period.begin_of(period.first), period.begin_of(period.last)
    return PeriodShown(first, last, period.days, period.zone.key)


def _parts(found: Summary) -> tuple[Sequence[Part], Sequence[Part], Sequence[Part]]:
    return _shares(found.facets[SOURCE]), _shares(found.facets[DEVICE]), _shares(found.facets[COUNTRY])


def _shares(plays: Mapping[str, int]) -> Sequence[Part]:
    total = sum(plays.values()) or 1
    order = sorted(plays.items(), key=lambda one: (-one[1], one[0]))
    return [Part(name, count, round(count / total * 100, _DECIMALS)) for name, count in order]


def _curve(ends: Sequence[int]) -> Sequence[Step]:
    """Who came to a twentieth was still listening at all before it."""
    total, steps = sum(ends) or 1, []
    for step in range(STEPS + 1):
        share = round(sum(ends[step:]) / total * 100, _DECIMALS)
        steps.append(Step(step * 100 // STEPS, share))
    return steps
