"""Uploaded files of any kind: who sees them, how they are used, and how they go."""

from collections.abc import Iterable
from uuid import UUID

from veza.access.actor import Actor, Member
from veza.core.db import Tx
from veza.core.jobs import enqueue
from veza.core.pages import Page
from veza.media import UnsupportedImage
from veza.rooms.accounts import quota
from veza.rooms.uploads import uploads_store as store
from veza.rooms.uploads.errors import UploadNotFound, UploadNotReady
from veza.rooms.uploads.events import FileDeleted, FileUploaded
from veza.rooms.uploads.filekind import IMAGE
from veza.rooms.uploads.kinds import CHECK, REMOVE_FILE, CheckFile, RemoveFile
from veza.rooms.uploads.schemas import FileStatus, Upload, UploadList

ROOT = "uploads"
_PROGRESS = {"processing": 0, "completed": 100, "failed": 100}


def folder_of(upload_id: UUID) -> str:
    """The prefix of all keys of an upload."""
    return f"{ROOT}/{upload_id}"


def original_key(upload_id: UUID) -> str:
    """The key of the uploaded bytes."""
    return f"{folder_of(upload_id)}/original"


async def add(tx: Tx, upload: Upload, allowance: int) -> None:
    """A stored file becomes an upload, to be looked at; ``allowance`` is all the bytes its owner may store.

    Raises :class:`veza.rooms.accounts.errors.QuotaExceeded`.
    """
    await quota.reserve(tx, upload.user_id, upload.size, allowance)
    await store.add(tx, upload)
    await enqueue(tx, CHECK, CheckFile(upload.id))
    tx.emit(FileUploaded(upload.id, upload.user_id))


async def get_own(tx: Tx, actor: Actor, upload_id: UUID) -> Upload:
    """The actor's own upload; nobody else ever sees it. Raises :class:`UploadNotFound`."""
    return _own(actor, await store.find(tx, upload_id))


async def hold_own(tx: Tx, actor: Actor, upload_id: UUID) -> Upload:
    """The same; it is not deleted until ``tx`` is over. Raises :class:`UploadNotFound`."""
    return _own(actor, await store.lock(tx, upload_id))


async def hold(tx: Tx, upload_ids: Iterable[UUID]) -> dict[UUID, Upload]:
    """Those of these uploads that there are, whoever asks; none is deleted until ``tx`` is over."""
    found = {}
    for upload_id in sorted(upload_ids):
        upload = await store.lock(tx, upload_id)
        if upload is not None:
            found[upload_id] = upload
    return found


def _own(actor: Actor, upload: Upload | None) -> Upload:
    if upload is None or upload.user_id != actor.id:
        raise UploadNotFound
    return upload


async def exists(tx: Tx, upload_id: UUID) -> bool:
    """Whether there is such an upload, whoever's it is."""
    return await store.find(tx, upload_id) is not None


async def get_status(tx: Tx, actor: Member, upload_id: UUID) -> FileStatus:
    """How far an upload is. Raises :class:`UploadNotFound`."""
    upload = await get_own(tx, actor, upload_id)
    return FileStatus(upload.status, _PROGRESS[upload.status], upload.kind, upload.error)


async def list_own(tx: Tx, actor: Member, page: Page) -> UploadList:
    """A page of the actor's uploads, the newest first."""
    total = await store.count(tx, actor.id)
    return UploadList(await store.list_page(tx, actor.id, page), page.of(total))


async def use_image(tx: Tx, actor: Actor, upload_id: UUID) -> Upload:
    """The actor's uploaded picture, which may be used; its bytes are under :func:`original_key`.

    Raises :class:`UploadNotFound`, :class:`UploadNotReady`, :class:`veza.media.UnsupportedImage`.
    """
    upload = await get_own(tx, actor, upload_id)
    if upload.kind != IMAGE:
        raise UnsupportedImage
    if upload.status != "completed":
        raise UploadNotReady
    return upload


async def delete(tx: Tx, actor: Member, upload_id: UUID) -> None:
    """Delete an upload; what was made of it stays. Raises :class:`UploadNotFound`."""
    await get_own(tx, actor, upload_id)
    # Users before uploads, as everywhere: so that two transactions never wait for each other.
    await quota.hold(tx, actor.id)
    upload = _own(actor, await store.lock(tx, upload_id))
    if upload.status != "failed":  # a failed one has given its bytes back already
        await quota.release(tx, upload.user_id, upload.size)
    await store.delete(tx, upload_id)
    await enqueue(tx, REMOVE_FILE, RemoveFile(upload_id))
    tx.emit(FileDeleted(upload_id, actor.id))


async def remove_user_uploads(tx: Tx, user_id: UUID) -> None:
    """Somebody's uploads go with their account."""
    for upload in await store.delete_of(tx, user_id):
        await enqueue(tx, REMOVE_FILE, RemoveFile(upload.id))


async def list_all(tx: Tx, user_id: UUID) -> list[Upload]:
    """All of somebody's uploads, for the export of their data."""
    return await store.list_of(tx, user_id)
