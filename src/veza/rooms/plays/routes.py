"""Plays and statistics over HTTP."""

from typing import Annotated
from uuid import UUID

from litestar.params import Dependency

from veza.access.actor import Me, Viewer
from veza.core.http import InTx, Reply, Route, TheExchange, reply
from veza.core.idempotency import claim_body
from veza.core.places import Places
from veza.rooms.plays import service
from veza.rooms.plays.schemas import PlayDraft, RecordedPlay, StatsBody

RECORDED = b"Play event recorded"
ThePlaces = Annotated[Places, Dependency(skip_validation=True)]


@Route("/tracks/{track_id:str}/play", http_method="POST", status_code=200)
async def record_play(
    tx: InTx, actor: Me, exchange: TheExchange, places: ThePlaces, track_id: UUID, data: PlayDraft
) -> Reply[RecordedPlay]:
    """Record a play."""
    await claim_body(tx, exchange, actor.id, f"POST /tracks/{track_id}/play", data)
    country = places.country_of(exchange.ip)
    play_id = await service.record(tx, actor, track_id, data, country)
    return reply(RecordedPlay(RECORDED.decode(), play_id))


@Route("/tracks/{track_id:str}/stats", http_method="GET", opt={"public": True})
async def get_stats(tx: InTx, viewer: Viewer, track_id: UUID) -> Reply[StatsBody]:
    """Get a track's statistics."""
    return reply(StatsBody(await service.get_stats(tx, viewer, track_id)))


ROUTES = [record_play, get_stats]
