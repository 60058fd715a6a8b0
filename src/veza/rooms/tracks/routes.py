"""Tracks over HTTP."""

from functools import partial
from typing import Annotated
from uuid import UUID

from litestar.params import Dependency, Parameter

from veza.access.actor import Me, Viewer
from veza.core.delivery import FileAnswer, disposition
from veza.core.http import (
    AnyRequest,
    Bytes,
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
from veza.media import FORMATS, PLAYLIST_MIME
from veza.rooms.accounts import quota as quotas
from veza.rooms.accounts.config import TheAccounts
from veza.rooms.accounts.schemas import PictureForm, UploadedPicture
from veza.rooms.tracks import hls, service, upload, waveform
from veza.rooms.tracks.covers import Size, TheCovers
from veza.rooms.tracks.downloads import TheNotes
from veza.rooms.tracks.events import TrackDownloaded
from veza.rooms.tracks.hearing import TheHearing, TheListener
from veza.rooms.tracks.pieces import PieceAnswer, ThePieces
from veza.rooms.tracks.schemas import (
    MAX_GENRE,
    BatchDraft,
    BatchResult,
    Quality,
    QuotaBody,
    SignedUrls,
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
TheBegin = Annotated[service.Begin, Dependency(skip_validation=True)]
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


@Route("/tracks/{track_id:str}", http_method="PUT", opt={"also": (412,)})
async def update_track(
    tx: InTx, actor: Me, exchange: TheExchange, uploads: TheUploads, track_id: UUID, data: TrackChanges
) -> Reply[TrackBody]:
    """Update a track's metadata."""
    track = await service.hold(tx, actor, track_id)
    check_unchanged(exchange, reply(TrackBody(track)))
    uploads.check_publishing(actor, data)
    return reply(TrackBody(await service.update_track(tx, track, data)))


@Route("/tracks/{track_id:str}", http_method="DELETE", status_code=200, opt={"also": (412,)})
async def delete_track(tx: InTx, actor: Me, exchange: TheExchange, track_id: UUID) -> Reply[Said]:
    """Delete a track."""
    track = await service.hold_to_delete(tx, actor, track_id)
    check_unchanged(exchange, reply(TrackBody(track)))
    await service.delete_track(tx, track)
    return said("Track deleted successfully")


@Route("/tracks/batch/delete", http_method="POST", status_code=200)
async def delete_tracks(begin: TheBegin, actor: Me, data: BatchDraft) -> Reply[BatchResult]:
    """Delete several tracks."""
    return reply(await service.delete_tracks(begin, actor, data.track_ids))


@Route("/tracks/{track_id:str}/status", http_method="GET")
async def get_status(tx: InTx, actor: Me, track_id: UUID) -> Reply[TrackStatus]:
    """Get the processing status of a track."""
    return reply(await service.get_status(tx, actor, track_id))


@Route("/tracks/quota/{user_id:str}", http_method="GET")
async def get_quota(tx: InTx, actor: Me, uploads: TheUploads, user_id: UUID) -> Reply[QuotaBody]:
    """Get a user's upload quota."""
    return reply(QuotaBody(await quotas.get(tx, actor, user_id, uploads.rules.quota)))


@Route("/tracks/{track_id:str}/download", http_method="GET", media_type="application/octet-stream")
async def download(
    tx: InTx, viewer: Viewer, notes: TheNotes, storage: TheStorage, track_id: UUID
) -> FileAnswer:
    """Download the original file."""
    track, key, filename = await service.find_download(tx, viewer, track_id)
    return FileAnswer(
        storage, key, size=track.file_size, mime=FORMATS[track.format].mime, etag=f"{track.id.hex}-original",
        public=track.listed and not track.for_sale,
        headers={"content-disposition": disposition("attachment", filename)},
        on_send=partial(notes.take, TrackDownloaded(track.id, track.user_id)),
    )  # fmt: skip


@Route("/tracks/{track_id:str}/stream", http_method="GET", media_type="application/octet-stream")
async def stream(
    tx: InTx, listener: TheListener, storage: TheStorage, track_id: UUID, quality: Quality = "high"
) -> FileAnswer:
    """Stream a track."""
    track, found = await service.find_stream(tx, listener.actor, track_id, quality)
    return FileAnswer(
        storage, found.key, size=found.size, mime=found.mime,
        public=track.listed and not track.for_sale,
        etag=f"{track.id.hex}-{found.name}-{found.size}", headers={"content-disposition": "inline"},
    )  # fmt: skip


@Route("/tracks/{track_id:str}/urls", http_method="GET")
async def sign_urls(
    tx: InTx, actor: Me, hearing: TheHearing, accounts: TheAccounts, track_id: UUID
) -> Reply[SignedUrls]:
    """Get addresses of a track for players that send no headers."""
    track = await service.get_visible(tx, actor, track_id)
    return reply(hearing.urls(actor, track.id, accounts.base_url))


@Route("/tracks/{track_id:str}/hls/master.m3u8", http_method="GET", opt={"public": True, "also": (409,)},
       media_type=PLAYLIST_MIME)  # fmt: skip
async def hls_master(tx: InTx, listener: TheListener, track_id: UUID, *, lossless: bool = False) -> Bytes:
    """Get the adaptive stream of a track."""
    text = await hls.master(tx, listener.actor, track_id, listener.query, lossless=lossless)
    return Bytes(text.encode(), mime=PLAYLIST_MIME)


@Route("/tracks/{track_id:str}/hls/{rendition:str}/index.m3u8", http_method="GET",
       opt={"public": True, "also": (409,)}, media_type=PLAYLIST_MIME)  # fmt: skip
async def hls_playlist(tx: InTx, listener: TheListener, track_id: UUID, rendition: str) -> Bytes:
    """Get the segments of one rendition."""
    text = await hls.playlist(tx, listener.actor, track_id, rendition, listener.query)
    return Bytes(text.encode(), mime=PLAYLIST_MIME)


@Route("/tracks/{track_id:str}/hls/{rendition:str}/{piece:str}", http_method="GET", media_type="audio/mp4")
async def hls_piece(
    tx: InTx, listener: TheListener, pieces: ThePieces, track_id: UUID, rendition: str, piece: str
) -> PieceAnswer:
    """Get a piece of a rendition."""
    return await pieces.answer(tx, listener.actor, track_id, rendition, piece)


@Route("/tracks/{track_id:str}/waveform", http_method="GET", opt={"public": True, "also": (409,)})
async def get_waveform(
    tx: InTx, listener: TheListener, storage: TheStorage, track_id: UUID,
    points: Annotated[int | None, Parameter(ge=1, le=waveform.MOST_POINTS)] = None,
    format: waveform.Format = "json",  # noqa: A002 - the parameter's name on the wire
) -> Bytes:  # fmt: skip
    """Get the waveform of a track."""
    return await waveform.get(tx, listener.actor, storage, track_id, points, format)


@Route("/tracks/{track_id:str}/cover", http_method="GET", media_type="image/jpeg")
async def get_cover(
    tx: InTx, listener: TheListener, covers: TheCovers, track_id: UUID, size: Size = "320"
) -> FileAnswer:
    """Get the cover of a track."""
    return await covers.find(tx, listener.actor, track_id, int(size))


@Route("/tracks/{track_id:str}/cover", http_method="PUT", request_max_body_size=None,
       operation_class=multipart(PictureForm, instead=UploadedPicture))  # fmt: skip
async def put_cover(
    request: AnyRequest, tx: InTx, actor: Me, exchange: TheExchange, covers: TheCovers, track_id: UUID
) -> Reply[TrackBody]:
    """Set the cover of a track."""
    return reply(TrackBody(await covers.put(tx, actor, track_id, exchange, body_of(request.receive))))


@Route("/tracks/{track_id:str}/cover", http_method="DELETE", status_code=200)
async def delete_cover(tx: InTx, actor: Me, covers: TheCovers, track_id: UUID) -> Reply[Said]:
    """Remove the cover of a track."""
    await covers.remove(tx, actor, track_id)
    return said("Cover removed successfully")


ROUTES = [
    list_tracks, upload_track, get_track, update_track, delete_track, delete_tracks, get_status, get_quota,
    download, stream,
    sign_urls, hls_master, hls_playlist, hls_piece, get_waveform, get_cover, put_cover, delete_cover,
]  # fmt: skip
