"""Recommendations over HTTP."""

from typing import Annotated
from uuid import UUID

from litestar.params import Parameter

from veza.access.actor import Me, Viewer
from veza.core.http import InTx, Reply, Route, reply
from veza.rooms.recommendations import playlist_service, service
from veza.rooms.recommendations.schemas import MAX_LIMIT, RecommendedPlaylists, RecommendedTracks
from veza.rooms.recommendations.shelf import TheShelf

Limit = Annotated[int, Parameter(ge=1, le=MAX_LIMIT)]


@Route("/playlists/recommendations", http_method="GET")
async def recommend_playlists(
    tx: InTx, actor: Me, shelf: TheShelf, limit: Limit = 10
) -> Reply[RecommendedPlaylists]:
    """Get playlists that you may like."""
    found = await playlist_service.recommend_playlists(tx, actor, shelf, limit)
    return reply(RecommendedPlaylists(found))


@Route("/tracks/recommendations", http_method="GET")
async def recommend_tracks(
    tx: InTx, actor: Me, shelf: TheShelf, limit: Limit = 10
) -> Reply[RecommendedTracks]:
    """Get tracks that you may like."""
    return reply(RecommendedTracks(await service.recommend_tracks(tx, actor, shelf, limit)))


@Route("/tracks/{track_id:str}/similar", http_method="GET", opt={"public": True})
async def similar_tracks(
    tx: InTx, viewer: Viewer, shelf: TheShelf, track_id: UUID, limit: Limit = 10
) -> Reply[RecommendedTracks]:
    """Get tracks that are like a track."""
    return reply(RecommendedTracks(await service.similar_tracks(tx, viewer, shelf, track_id, limit)))


ROUTES = [recommend_playlists, recommend_tracks, similar_tracks]
