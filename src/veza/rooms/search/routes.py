"""Search over HTTP."""

from typing import Annotated
from uuid import UUID

from litestar.params import Parameter

from veza.access.actor import Me, Viewer
from veza.core.http import InTx, Reply, Route, reply
from veza.core.pages import MAX_LIMIT, MAX_PAGE, Page
from veza.rooms.accounts.config import TheAccounts
from veza.rooms.search import playlists, service
from veza.rooms.search.filters import Asked
from veza.rooms.search.schemas import MAX_QUESTION, Found, FoundPlaylists, FoundTracks, Type
from veza.rooms.tracks.schemas import MAX_GENRE, SortBy, SortOrder


@Route("/tracks/search", http_method="GET", opt={"public": True})
async def search_tracks(
    tx: InTx,
    viewer: Viewer,
    q: Annotated[str | None, Parameter(max_length=MAX_QUESTION)] = None,
    genre: Annotated[str | None, Parameter(max_length=MAX_GENRE)] = None,
    format: Annotated[str | None, Parameter(max_length=16)] = None,  # noqa: A002 - the parameter's name on the wire
    min_duration: float | None = None,
    max_duration: float | None = None,
    start_date: Annotated[str | None, Parameter(max_length=40)] = None,
    end_date: Annotated[str | None, Parameter(max_length=40)] = None,
    sort_by: SortBy | None = None,
    sort_order: SortOrder = "desc",
    page: Annotated[int, Parameter(ge=1, le=MAX_PAGE)] = 1,
    limit: Annotated[int, Parameter(ge=1, le=MAX_LIMIT)] = 20,
) -> FoundTracks:
    """Search tracks."""
    asked = Asked(q, genre, format, min_duration, max_duration, start_date, end_date, sort_by, sort_order)
    return await service.search_tracks(tx, viewer, asked, Page(page, limit))


@Route("/search", http_method="GET", opt={"public": True})
async def search(
    tx: InTx,
    viewer: Viewer,
    accounts: TheAccounts,
    q: Annotated[str, Parameter(min_length=1, max_length=MAX_QUESTION)],
    type: Type | None = None,  # noqa: A002 - the parameter's name on the wire
    page: Annotated[int, Parameter(ge=1, le=MAX_PAGE)] = 1,
    limit: Annotated[int, Parameter(ge=1, le=MAX_LIMIT)] = 20,
) -> Reply[Found]:
    """Search tracks, users and playlists."""
    return reply(await service.search(tx, viewer, q, type, Page(page, limit), accounts.base_url))


@Route("/playlists/search", http_method="GET")
async def search_playlists(
    tx: InTx,
    actor: Me,
    q: Annotated[str | None, Parameter(max_length=MAX_QUESTION)] = None,
    user_id: UUID | None = None,
    is_public: bool | None = None,  # noqa: FBT001 - a parameter on the wire
    page: Annotated[int, Parameter(ge=1, le=MAX_PAGE)] = 1,
    limit: Annotated[int, Parameter(ge=1, le=MAX_LIMIT)] = 20,
) -> Reply[FoundPlaylists]:
    """Search playlists."""
    asked = playlists.Asked(q, user_id, is_public)
    return reply(await playlists.search_playlists(tx, actor, asked, Page(page, limit)))


ROUTES = [search_tracks, search_playlists, search]
