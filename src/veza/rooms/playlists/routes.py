"""Playlists over HTTP."""

from dataclasses import dataclass
from typing import Annotated
from uuid import UUID

from litestar.openapi.spec import OpenAPIMediaType, OpenAPIType, Operation, RequestBody, Schema
from litestar.params import Parameter

from veza.access.actor import Me, Viewer
from veza.access.policy import Action
from veza.core.delivery import FileAnswer
from veza.core.http import (
    AnyRequest,
    InTx,
    Reply,
    Route,
    Said,
    TheExchange,
    check_unchanged,
    multipart,
    read_optional,
    reply,
    said,
)
from veza.core.idempotency import claim_body
from veza.core.incoming import body_of
from veza.core.pages import MAX_LIMIT, MAX_PAGE, Page
from veza.rooms.accounts.config import TheAccounts
from veza.rooms.accounts.schemas import PictureForm, UploadedPicture
from veza.rooms.playlists import collaborating, filling, following, service, sharing
from veza.rooms.playlists.covers import TheCovers
from veza.rooms.playlists.schemas import (
    MAX_GOOD,
    MIN_GOOD,
    Addition,
    CollaboratorDraft,
    CollaboratorList,
    DetailBody,
    LinkDraft,
    LinkList,
    Move,
    NewLink,
    NewOwner,
    Order,
    PermissionDraft,
    Placed,
    PlaylistBody,
    PlaylistChanges,
    PlaylistDraft,
    PlaylistList,
    TrackPage,
)
from veza.rooms.tracks.covers import Size


@dataclass
class _Sharing(Operation):
    """The API document's words for a body that may be left out, and is therefore read by the handler."""

    def __post_init__(self) -> None:
        said = f"Seconds for which the link is good; {MIN_GOOD} to {MAX_GOOD}, 30 days by default."
        seconds = Schema(type=OpenAPIType.INTEGER, minimum=MIN_GOOD, maximum=MAX_GOOD, description=said)
        schema = Schema(type=OpenAPIType.OBJECT, properties={"expires_in": seconds})
        self.request_body = RequestBody({"application/json": OpenAPIMediaType(schema)}, required=False)


PageNumber = Annotated[int, Parameter(ge=1, le=MAX_PAGE)]
Limit = Annotated[int, Parameter(ge=1, le=MAX_LIMIT)]
Token = Annotated[str, Parameter(max_length=100)]


@Route("/playlists", http_method="GET")
async def list_playlists(
    tx: InTx, actor: Me, page: PageNumber = 1, limit: Limit = 20, user_id: UUID | None = None
) -> Reply[PlaylistList]:
    """List playlists."""
    return reply(await service.list_playlists(tx, actor, Page(page, limit), user_id))


@Route("/playlists", http_method="POST", status_code=201)
async def create_playlist(
    tx: InTx, actor: Me, exchange: TheExchange, data: PlaylistDraft
) -> Reply[PlaylistBody]:
    """Create a playlist."""
    await claim_body(tx, exchange, actor.id, "POST /playlists", data)
    return reply(PlaylistBody(await service.create(tx, actor, data)))


@Route("/playlists/{playlist_id:str}", http_method="GET")
async def get_playlist(tx: InTx, actor: Me, playlist_id: UUID) -> Reply[DetailBody]:
    """Get a playlist with its first tracks."""
    return reply(DetailBody(await service.get_detail(tx, actor, playlist_id)))


@Route("/playlists/{playlist_id:str}", http_method="PUT", opt={"also": (412,)})
async def update_playlist(
    tx: InTx, actor: Me, exchange: TheExchange, playlist_id: UUID, data: PlaylistChanges
) -> Reply[PlaylistBody]:
    """Update a playlist's metadata."""
    playlist = await service.hold(tx, actor, playlist_id, Action.EDIT_PLAYLIST)
    check_unchanged(exchange, reply(PlaylistBody(playlist)))
    return reply(PlaylistBody(await service.update(tx, actor, playlist, data)))


@Route("/playlists/{playlist_id:str}", http_method="DELETE", status_code=200)
async def delete_playlist(tx: InTx, actor: Me, playlist_id: UUID) -> Reply[Said]:
    """Delete a playlist."""
    await service.delete(tx, await service.hold(tx, actor, playlist_id, Action.DELETE_PLAYLIST))
    return said("Playlist deleted successfully")


@Route("/playlists/{playlist_id:str}/owner", http_method="PUT")
async def transfer_playlist(tx: InTx, actor: Me, playlist_id: UUID, data: NewOwner) -> Reply[PlaylistBody]:
    """Give a playlist to one of its collaborators."""
    return reply(PlaylistBody(await collaborating.transfer(tx, actor, playlist_id, data.user_id)))


@Route("/playlists/{playlist_id:str}/tracks", http_method="GET")
async def list_playlist_tracks(
    tx: InTx, actor: Me, playlist_id: UUID, page: PageNumber = 1, limit: Limit = 20
) -> Reply[TrackPage]:
    """List the tracks of a playlist."""
    return reply(await service.list_tracks(tx, actor, playlist_id, Page(page, limit)))


@Route("/playlists/{playlist_id:str}/tracks", http_method="POST", status_code=200)
async def add_track(tx: InTx, actor: Me, playlist_id: UUID, data: Addition) -> Reply[Placed]:
    """Add a track to a playlist."""
    return reply(Placed("Track added to playlist", await filling.add(tx, actor, playlist_id, data)))


@Route("/playlists/{playlist_id:str}/tracks/reorder", http_method="PUT")
async def reorder_tracks(tx: InTx, actor: Me, playlist_id: UUID, data: Order) -> Reply[Said]:
    """Reorder the tracks of a playlist."""
    await filling.reorder(tx, actor, playlist_id, data)
    return said("Tracks reordered successfully")


@Route("/playlists/{playlist_id:str}/tracks/{track_id:str}", http_method="PUT")
async def move_track(tx: InTx, actor: Me, playlist_id: UUID, track_id: UUID, data: Move) -> Reply[Placed]:
    """Move a track within a playlist."""
    await filling.move(tx, actor, playlist_id, track_id, data)
    return reply(Placed("Track moved", data.position))


@Route("/playlists/{playlist_id:str}/tracks/{track_id:str}", http_method="DELETE", status_code=200)
async def remove_track(tx: InTx, actor: Me, playlist_id: UUID, track_id: UUID) -> Reply[Said]:
    """Remove a track from a playlist."""
    await filling.remove(tx, actor, playlist_id, track_id)
    return said("Track removed from playlist")


@Route("/playlists/{playlist_id:str}/collaborators", http_method="GET")
async def list_collaborators(tx: InTx, actor: Me, playlist_id: UUID) -> Reply[CollaboratorList]:
    """List the collaborators of a playlist."""
    return reply(CollaboratorList(await collaborating.list_collaborators(tx, actor, playlist_id)))


@Route("/playlists/{playlist_id:str}/collaborators", http_method="POST", status_code=200)
async def add_collaborator(tx: InTx, actor: Me, playlist_id: UUID, data: CollaboratorDraft) -> Reply[Said]:
    """Add a collaborator to a playlist."""
    await collaborating.add(tx, actor, playlist_id, data)
    return said("Collaborator added successfully")


@Route("/playlists/{playlist_id:str}/collaborators/{user_id:str}", http_method="PUT")
async def change_collaborator(
    tx: InTx, actor: Me, playlist_id: UUID, user_id: UUID, data: PermissionDraft
) -> Reply[Said]:
    """Update a collaborator's permission."""
    await collaborating.change(tx, actor, playlist_id, user_id, data.permission)
    return said("Collaborator permission updated")


@Route("/playlists/{playlist_id:str}/collaborators/{user_id:str}", http_method="DELETE", status_code=200)
async def remove_collaborator(tx: InTx, actor: Me, playlist_id: UUID, user_id: UUID) -> Reply[Said]:
    """Remove a collaborator from a playlist."""
    await collaborating.remove(tx, actor, playlist_id, user_id)
    return said("Collaborator removed successfully")


@Route("/playlists/{playlist_id:str}/follow", http_method="POST", status_code=200)
async def follow_playlist(tx: InTx, actor: Me, playlist_id: UUID) -> Reply[Said]:
    """Follow a playlist."""
    await following.follow(tx, actor, playlist_id)
    return said("Playlist followed")


@Route("/playlists/{playlist_id:str}/follow", http_method="DELETE", status_code=200)
async def unfollow_playlist(tx: InTx, actor: Me, playlist_id: UUID) -> Reply[Said]:
    """Follow a playlist no longer."""
    await following.unfollow(tx, actor, playlist_id)
    return said("Playlist unfollowed")


@Route("/playlists/{playlist_id:str}/share", http_method="POST", status_code=200, operation_class=_Sharing)
async def share_playlist(
    request: AnyRequest, tx: InTx, actor: Me, accounts: TheAccounts, playlist_id: UUID
) -> Reply[NewLink]:
    """Create a share link."""
    draft = await read_optional(request, LinkDraft)
    return reply(await sharing.share(tx, actor, playlist_id, draft.expires_in, accounts.base_url))


@Route("/playlists/{playlist_id:str}/share", http_method="GET")
async def list_links(tx: InTx, actor: Me, playlist_id: UUID) -> Reply[LinkList]:
    """List the share links of a playlist."""
    return reply(LinkList(await sharing.list_links(tx, actor, playlist_id)))


@Route("/playlists/{playlist_id:str}/share/{link_id:str}", http_method="DELETE", status_code=200)
async def revoke_link(tx: InTx, actor: Me, playlist_id: UUID, link_id: UUID) -> Reply[Said]:
    """Revoke a share link."""
    await sharing.revoke(tx, actor, playlist_id, link_id)
    return said("Share link revoked")


@Route("/playlists/shared/{token:str}", http_method="GET")
async def get_shared_playlist(tx: InTx, viewer: Viewer, token: Token) -> Reply[DetailBody]:
    """Get the playlist that a share link shows."""
    return reply(DetailBody(await sharing.get_shared(tx, viewer, token)))


@Route("/playlists/shared/{token:str}/tracks", http_method="GET")
async def list_shared_tracks(
    tx: InTx, viewer: Viewer, token: Token, page: PageNumber = 1, limit: Limit = 20
) -> Reply[TrackPage]:
    """List the tracks of the playlist that a share link shows."""
    return reply(await sharing.list_shared_tracks(tx, viewer, token, Page(page, limit)))


@Route("/playlists/{playlist_id:str}/cover", http_method="GET", media_type="image/jpeg")
async def get_playlist_cover(
    viewer: Viewer, playlist_covers: TheCovers, playlist_id: UUID, size: Size = "320"
) -> FileAnswer:
    """Get the cover of a playlist."""
    return await playlist_covers.find(viewer, playlist_id, int(size))


@Route("/playlists/{playlist_id:str}/cover", http_method="PUT", request_max_body_size=None,
       operation_class=multipart(PictureForm, instead=UploadedPicture))  # fmt: skip
async def put_playlist_cover(
    request: AnyRequest, tx: InTx, actor: Me, exchange: TheExchange, playlist_covers: TheCovers,
    playlist_id: UUID,
) -> Reply[PlaylistBody]:  # fmt: skip
    """Set the cover of a playlist."""
    body = body_of(request.receive)
    return reply(PlaylistBody(await playlist_covers.put(tx, actor, playlist_id, exchange, body)))


@Route("/playlists/{playlist_id:str}/cover", http_method="DELETE", status_code=200)
async def delete_playlist_cover(
    tx: InTx, actor: Me, playlist_covers: TheCovers, playlist_id: UUID
) -> Reply[Said]:
    """Remove the uploaded cover of a playlist."""
    await playlist_covers.remove(tx, actor, playlist_id)
    return said("Cover removed successfully")


ROUTES = [
    list_playlists, create_playlist, get_playlist, update_playlist, delete_playlist, transfer_playlist,
    list_playlist_tracks, add_track, reorder_tracks, move_track, remove_track,
    list_collaborators, add_collaborator, change_collaborator, remove_collaborator,
    follow_playlist, unfollow_playlist,
    share_playlist, list_links, revoke_link, get_shared_playlist, list_shared_tracks,
    get_playlist_cover, put_playlist_cover, delete_playlist_cover,
]  # fmt: skip
