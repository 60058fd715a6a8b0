"""Tracks over HTTP."""

from typing import Annotated
from uuid import UUID

from litestar.params import Dependency, Parameter

from veza.access.actor import Me, Viewer
from veza.access.policy import Action
from veza.core.delivery import FileAnswer, disposition
from veza.core.http import (
    AnyRequest,
    InTx,
    Reply,
    Route,
    Said,
    TheExchange,
    check_unchanged,
    multipart,
    reply,
    said,
)
from veza.core.incoming import body_of
from veza.core.pages import MAX_LIMIT, MAX_PAGE, Page
from veza.core.storage import Storage
from veza.media import FORMATS
from veza.rooms.accounts import quota as quotas
from veza.rooms.tracks import service, upload
from veza.rooms.tracks.schemas import (
    MAX_GENRE,
    Quality,
    QuotaBody,
    SortBy,
    SortOrder,
    TrackBody,
    TrackChanges,
    TrackList,
    TrackStatus,
    UploadedBody,
    UploadedTrack,
    UploadForm,
)

TheStorage = Annotated[Storage, Dependency(skip_validation=True)]
TheUploads = Annotated[upload.Uploads, Dependency(skip_validation=True)]


@Route("/tracks", http_method="GET", opt={"public": True})
async def list_tracks(
    tx: InTx,
    viewer: Viewer,
    page: Annotated[int, Parameter(ge=1, le=MAX_PAGE)] = 1,
    limit: Annotated[int, Parameter(ge=1, le=MAX_LIMIT)] = 20,
    user_id: UUID | None = None,
    genre: Annotated[str | None, Parameter(max_length=MAX_GENRE)] = None,
    format: Annotated[str | None, Parameter(max_length=16)] = None,  # noqa: A002 - the parameter's name on the wire
    sort_by: SortBy = "created_at",
    sort_order: SortOrder = "desc",
) -> Reply[TrackList]:
    """List tracks."""
    return reply(
        await service.list_tracks(
            tx, viewer, Page(page, limit),
            user_id=user_id, genre=genre, form=format, sort_by=sort_by, sort_order=sort_order,
        )
    )  # fmt: skip


@Route("/tracks", http_method="POST", status_code=201, request_max_body_size=None,
       operation_class=multipart(UploadForm))  # fmt: skip
async def upload_track(
    request: AnyRequest, tx: InTx, actor: Me, exchange: TheExchange, uploads: TheUploads
) -> Reply[UploadedBody]:
    """Upload a track."""
    track = await uploads.take(tx, actor, exchange, body_of(request.receive))
    return reply(UploadedBody(UploadedTrack(track.id, track.title, track.status, track.created_at)))


@Route("/tracks/{track_id:str}", http_method="GET", opt={"public": True})
async def get_track(tx: InTx, viewer: Viewer, track_id: UUID) -> Reply[TrackBody]:
    """Get a track."""
    return reply(TrackBody(await service.get_visible(tx, viewer, track_id)))


@Route("/tracks/{track_id:str}", http_method="PUT")
async def update_track(
    tx: InTx, actor: Me, exchange: TheExchange, uploads: TheUploads, track_id: UUID, data: TrackChanges
) -> Reply[TrackBody]:
    """Update a track's metadata."""
    track = await service.hold(tx, actor, track_id)
    check_unchanged(exchange, reply(TrackBody(track)))
    uploads.check_publishing(actor, data)
    return reply(TrackBody(await service.update_track(tx, track, data)))


@Route("/tracks/{track_id:str}", http_method="DELETE", status_code=200)
async def delete_track(tx: InTx, actor: Me, exchange: TheExchange, track_id: UUID) -> Reply[Said]:
    """Delete a track."""
    check_unchanged(exchange, reply(TrackBody(await service.hold(tx, actor, track_id, Action.DELETE_TRACK))))
    await service.delete_track(tx, actor, track_id)
    return said("Track deleted successfully")


@Route("/tracks/{track_id:str}/status", http_method="GET")
async def get_status(tx: InTx, actor: Me, track_id: UUID) -> Reply[TrackStatus]:
    """Get the processing status of a track."""
    track = await service.get_visible(tx, actor, track_id)
    return reply(TrackStatus(track.status, track.progress, track.error))


@Route("/tracks/quota/{user_id:str}", http_method="GET")
async def get_quota(tx: InTx, actor: Me, uploads: TheUploads, user_id: UUID) -> Reply[QuotaBody]:
    """Get a user's upload quota."""
    return reply(QuotaBody(await quotas.get(tx, actor, user_id, uploads.rules.quota)))


@Route("/tracks/{track_id:str}/download", http_method="GET", media_type="application/octet-stream")
async def download(tx: InTx, viewer: Viewer, storage: TheStorage, track_id: UUID) -> FileAnswer:
    """Download the original file."""
    track, key, filename = await service.find_download(tx, viewer, track_id)
    return FileAnswer(
        storage, key, size=track.file_size, mime=FORMATS[track.format].mime, etag=f"{track.id.hex}-original",
        public=track.listed, headers={"content-disposition": disposition("attachment", filename)},
    )  # fmt: skip


@Route("/tracks/{track_id:str}/stream", http_method="GET", media_type="application/octet-stream")
async def stream(
    tx: InTx, viewer: Viewer, storage: TheStorage, track_id: UUID, quality: Quality = "high"
) -> FileAnswer:
    """Stream a track."""
    track, found = await service.find_stream(tx, viewer, track_id, quality)
    return FileAnswer(
        storage, found.key, size=found.size, mime=found.mime, public=track.listed,
        etag=f"{track.id.hex}-{found.name}-{found.size}", headers={"content-disposition": "inline"},
    )  # fmt: skip


ROUTES = [
    list_tracks, upload_track, get_track, update_track, delete_track, get_status, get_quota, download, stream,
]  # fmt: skip
