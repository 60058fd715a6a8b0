"""Likes over HTTP."""

from typing import Annotated
from uuid import UUID

from litestar.params import Parameter

from veza.access.actor import Me, Viewer
from veza.core.http import InTx, Reply, Route, Said, reply, said
from veza.core.pages import MAX_LIMIT, MAX_PAGE, Page
from veza.rooms.likes import service
from veza.rooms.likes.schemas import LikeList


@Route("/tracks/{track_id:str}/like", http_method="POST", status_code=200)
async def like_track(tx: InTx, actor: Me, track_id: UUID) -> Reply[Said]:
    """Like a track."""
    await service.like(tx, actor, track_id)
    return said("Track liked")


@Route("/tracks/{track_id:str}/like", http_method="DELETE", status_code=200)
async def unlike_track(tx: InTx, actor: Me, track_id: UUID) -> Reply[Said]:
    """Take back a like."""
    await service.unlike(tx, actor, track_id)
    return said("Track unliked")


@Route("/tracks/{track_id:str}/likes", http_method="GET", opt={"public": True})
async def list_likes(
    tx: InTx,
    viewer: Viewer,
    track_id: UUID,
    page: Annotated[int, Parameter(ge=1, le=MAX_PAGE)] = 1,
    limit: Annotated[int, Parameter(ge=1, le=MAX_LIMIT)] = 20,
) -> Reply[LikeList]:
    """List who likes a track."""
    return reply(await service.list_likes(tx, viewer, track_id, Page(page, limit)))


ROUTES = [like_track, unlike_track, list_likes]
