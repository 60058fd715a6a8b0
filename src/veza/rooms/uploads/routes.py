"""The addresses of uploads: files in chunks, and files of any kind."""

from typing import Annotated
from uuid import UUID

from litestar.params import Dependency, Parameter

from veza.access.actor import Me
from veza.core.http import AnyRequest, InTx, Reply, Route, Said, TheExchange, multipart, reply, said
from veza.core.incoming import body_of
from veza.core.pages import MAX_LIMIT, MAX_PAGE, Page
from veza.rooms.uploads import service, transfers
from veza.rooms.uploads.completing import Completer
from veza.rooms.uploads.files import Files
from veza.rooms.uploads.receiving import Receiver
from veza.rooms.uploads.schemas import (
    ChunkForm,
    ChunkTaken,
    FileForm,
    FileStatus,
    FileTaken,
    Outcome,
    Start,
    Started,
    TransferState,
    UploadList,
    WhichUpload,
)

TheTransfers = Annotated[transfers.Transfers, Dependency(skip_validation=True)]
TheReceiver = Annotated[Receiver, Dependency(skip_validation=True)]
TheCompleter = Annotated[Completer, Dependency(skip_validation=True)]
TheFiles = Annotated[Files, Dependency(skip_validation=True)]


@Route("/tracks/initiate", http_method="POST", status_code=200)
async def initiate_upload(
    tx: InTx, actor: Me, exchange: TheExchange, transfers_: TheTransfers, data: Start
) -> Reply[Started]:
    """Initiate a chunked upload."""
    transfer = await transfers_.start(tx, actor, exchange, data)
    return reply(Started(transfer.id, "Upload session initiated", transfer.expires_at))


@Route("/tracks/chunk", http_method="POST", status_code=200, request_max_body_size=None, opt={"also": (410,)},
       operation_class=multipart(ChunkForm, file="chunk"))  # fmt: skip
async def upload_chunk(
    request: AnyRequest, actor: Me, exchange: TheExchange, receiver: TheReceiver
) -> Reply[ChunkTaken]:
    """Upload a chunk."""
    return reply(await receiver.take(actor, exchange, body_of(request.receive)))


@Route("/tracks/complete", http_method="POST", status_code=201, opt={"also": (410,)})
async def complete_upload(
    tx: InTx, actor: Me, exchange: TheExchange, completer: TheCompleter, data: WhichUpload
) -> Reply[Outcome]:
    """Complete a chunked upload."""
    return reply(await completer.complete(tx, actor, exchange, data.upload_id))


@Route("/tracks/resume/{upload_id:str}", http_method="GET", opt={"also": (410,)})
async def resume_upload(tx: InTx, actor: Me, upload_id: UUID) -> Reply[TransferState]:
    """Get the state of a chunked upload."""
    return reply(await transfers.get_state(tx, actor, upload_id))


@Route("/tracks/resume/{upload_id:str}", http_method="DELETE", status_code=200)
async def abandon_upload(tx: InTx, actor: Me, upload_id: UUID) -> Reply[Said]:
    """Abandon a chunked upload."""
    await transfers.abandon(tx, actor, upload_id)
    return said("Upload abandoned")


@Route("/uploads", http_method="POST", status_code=201, request_max_body_size=None,
       operation_class=multipart(FileForm))  # fmt: skip
async def upload_file(
    request: AnyRequest, tx: InTx, actor: Me, exchange: TheExchange, files: TheFiles
) -> Reply[FileTaken]:
    """Upload a file."""
    upload = await files.take(tx, actor, exchange, body_of(request.receive))
    return reply(FileTaken(upload.id, upload.status, upload.kind))


@Route("/uploads", http_method="GET")
async def list_uploads(
    tx: InTx,
    actor: Me,
    page: Annotated[int, Parameter(ge=1, le=MAX_PAGE)] = 1,
    limit: Annotated[int, Parameter(ge=1, le=MAX_LIMIT)] = 20,
) -> Reply[UploadList]:
    """List one's uploads."""
    return reply(await service.list_own(tx, actor, Page(page, limit)))


@Route("/uploads/{upload_id:str}/status", http_method="GET")
async def get_upload_status(tx: InTx, actor: Me, upload_id: UUID) -> Reply[FileStatus]:
    """Get an upload's status."""
    return reply(await service.get_status(tx, actor, upload_id))


@Route("/uploads/{upload_id:str}", http_method="DELETE", status_code=200)
async def delete_upload(tx: InTx, actor: Me, upload_id: UUID) -> Reply[Said]:
    """Delete an upload."""
    await service.delete(tx, actor, upload_id)
    return said("Upload deleted successfully")


ROUTES = [
    initiate_upload, upload_chunk, complete_upload, resume_upload, abandon_upload, upload_file, list_uploads,
    get_upload_status, delete_upload,
]  # fmt: skip
