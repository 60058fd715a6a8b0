"""Analytics over HTTP."""

from collections.abc import Sequence
from typing import Annotated
from uuid import UUID

from litestar.params import Dependency, Parameter

from veza.access.actor import Me
from veza.core.http import Bytes, InTx, Reply, Route, TheExchange, reply
from veza.core.idempotency import claim_body
from veza.core.sheets import MIME, sheet
from veza.rooms.analytics import recording, service
from veza.rooms.analytics.asked import BY_PERIOD, ThePeriod
from veza.rooms.analytics.recording import Intake
from veza.rooms.analytics.schemas import (
    ArtistBody,
    DashboardBody,
    EventBatch,
    EventCounts,
    EventDraft,
    PlatformBody,
    Point,
    RecordedEvent,
    RecordedEvents,
)

TheIntake = Annotated[Intake, Dependency(skip_validation=True)]


@Route("/analytics/events", http_method="POST", status_code=200)
async def record_event(
    tx: InTx, actor: Me, exchange: TheExchange, event_intake: TheIntake, data: EventDraft
) -> Reply[RecordedEvent]:
    """Record something of your application's own."""
    await event_intake.admit(actor.id, exchange, [data])
    await claim_body(tx, exchange, actor.id, "POST /analytics/events", data)
    await recording.record(tx, actor, [data])
    return reply(RecordedEvent("event recorded", data.event_name))


@Route("/analytics/events/batch", http_method="POST", status_code=200)
async def record_events(
    tx: InTx, actor: Me, exchange: TheExchange, event_intake: TheIntake, data: EventBatch
) -> Reply[RecordedEvents]:
    """Record up to a hundred at once."""
    await event_intake.admit(actor.id, exchange, data.events)
    await claim_body(tx, exchange, actor.id, "POST /analytics/events/batch", data)
    await recording.record(tx, actor, data.events)
    return reply(RecordedEvents("events recorded", len(data.events)))


@Route("/analytics/tracks/{track_id:str}", http_method="GET", dependencies=BY_PERIOD)
async def get_track_dashboard(
    snapshot: InTx, actor: Me, track_id: UUID, period: ThePeriod
) -> Reply[DashboardBody]:
    """Get a track's dashboard: 30 days by default, else so many, or from one date to another."""
    return reply(DashboardBody(await service.of_track(snapshot, actor, track_id, period)))


@Route("/analytics/tracks/{track_id:str}/export", http_method="GET", dependencies=BY_PERIOD)
async def export_track(snapshot: InTx, actor: Me, track_id: UUID, period: ThePeriod) -> Bytes:
    """Get the days of a track's dashboard as CSV."""
    found = await service.of_track(snapshot, actor, track_id, period)
    return _attached(found.plays_over_time, f"track-{track_id}")


@Route("/analytics/artists/{user_id:str}", http_method="GET", dependencies=BY_PERIOD)
async def get_artist_dashboard(
    snapshot: InTx, actor: Me, user_id: UUID, period: ThePeriod
) -> Reply[ArtistBody]:
    """Get the dashboard of all your tracks: the best heard, who hears most, from where."""
    return reply(ArtistBody(await service.of_artist(snapshot, actor, user_id, period)))


@Route("/analytics/artists/{user_id:str}/export", http_method="GET", dependencies=BY_PERIOD)
async def export_artist(snapshot: InTx, actor: Me, user_id: UUID, period: ThePeriod) -> Bytes:
    """Get the days of an artist's dashboard as CSV."""
    found = await service.of_artist(snapshot, actor, user_id, period)
    return _attached(found.plays_over_time, f"artist-{user_id}")


@Route("/admin/analytics", http_method="GET", dependencies=BY_PERIOD)
async def get_platform_dashboard(snapshot: InTx, actor: Me, period: ThePeriod) -> Reply[PlatformBody]:
    """Get the dashboard of all there is."""
    return reply(PlatformBody(await service.of_platform(snapshot, actor, period)))


@Route("/admin/analytics/events", http_method="GET")
async def list_event_counts(
    tx: InTx, actor: Me, days: Annotated[int, Parameter(ge=1, le=90)] = 30
) -> Reply[EventCounts]:
    """List what applications told, and how often."""
    return reply(await service.list_events(tx, actor, days))


def _attached(points: Sequence[Point], name: str) -> Bytes:
    body = sheet([("date", "plays"), *((point.date, point.count) for point in points)])
    return Bytes(body, headers=(("content-disposition", f'attachment; filename="{name}.csv"'),), mime=MIME)


ROUTES = [
    record_event, record_events, get_track_dashboard, export_track, get_artist_dashboard, export_artist,
    get_platform_dashboard, list_event_counts,
]  # fmt: skip
