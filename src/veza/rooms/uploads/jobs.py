"""What is done behind uploads: looking at files, and removing what is no longer needed or never was."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from datetime import timedelta
from uuid import UUID

import structlog

from veza.core import clock
from veza.core.db import Database, Tx
from veza.core.errors import VezaError
from veza.core.ids import new_id
from veza.core.installation import may_sweep
from veza.core.jobs import Job, NoPayload, enqueue, finish
from veza.core.storage import ChunkStore, Storage, StorageUnavailable
from veza.core.storage_chunks import Chunk
from veza.core.worker import Task
from veza.media import make_images
from veza.rooms.accounts import quota
from veza.rooms.accounts.errors import UserNotFound
from veza.rooms.tracks import sales
from veza.rooms.uploads import store, transfers, uploads_store
from veza.rooms.uploads.archives import check_archive
from veza.rooms.uploads.events import FileAccepted, FileRefused
from veza.rooms.uploads.kinds import (
    CHECK,
    REMOVE_CHUNKS,
    REMOVE_FILE,
    SWEEP,
    CheckFile,
    RemoveChunks,
    RemoveFile,
)
from veza.rooms.uploads.schemas import Upload
from veza.rooms.uploads.service import ROOT, folder_of, original_key

log = structlog.get_logger()

# What is written before its row may be without one for as long as the request takes.
ORPHAN_AGE = timedelta(hours=24)
# How long it can still be asked what became of a transfer.
KEPT_FOR = timedelta(days=7)
_PREVIEW = (320,)


class UploadJobs:
    """The jobs of this room, with what they work on."""

    def __init__(self, database: Database, storage: Storage, chunks: ChunkStore) -> None:
        self._database = database
        self._storage = storage
        self._chunks = chunks

    def tasks(self) -> Sequence[Task]:
        """What the worker is to know."""
        return [
            Task(CHECK, self.check, dead=give_up),
            Task(REMOVE_CHUNKS, self.remove_chunks),
            Task(REMOVE_FILE, self.remove_file),
            Task(SWEEP, self.sweep),
        ]

    async def check(self, job: Job, what: CheckFile) -> None:
        """Look into a file as deeply as its kind asks for, and say whether it can be used."""
        async with self._database.read() as view:
            upload = await uploads_store.find(view, what.upload_id)
        if upload is None or upload.status != "processing":
            return
        error = ""
        try:
            await self._look_into(upload)
        except StorageUnavailable:
            async with self._database.read() as view:
                if await uploads_store.find(view, what.upload_id) is None:
                    return  # deleted meanwhile, row first
            raise
        except VezaError as refused:
            if refused.status >= 500:  # noqa: PLR2004 - ours, and worth another try
                raise
            error = f"{refused.code}: {refused.message}"
        async with self._database.write() as tx:
            await finish(tx, job)
            await _end(tx, what, error)

    async def _look_into(self, upload: Upload) -> None:
        if upload.kind not in {"image", "archive"}:
            return  # what can be told of it was told when it came
        copy = self._storage.scratch / f"check-{new_id().hex}"
        path = await self._storage.fetch_named(original_key(upload.id), copy)
        try:
            if upload.kind == "image":
                await make_images(path, _PREVIEW)
            else:
                await asyncio.to_thread(check_archive, path)
        finally:
            copy.unlink(missing_ok=True)

    async def remove_chunks(self, job: Job, what: RemoveChunks) -> None:
        """Remove the chunks of a transfer that is over."""
        del job
        async with self._database.read() as view:
            transfer = await store.find(view, what.transfer_id)
        if transfer is None or transfer.status != "open":
            await self._chunks.remove(what.transfer_id)

    async def remove_file(self, job: Job, what: RemoveFile) -> None:
        """Remove an upload's file, unless there is an upload after all."""
        del job
        async with self._database.read() as view:
            upload = await uploads_store.find(view, what.upload_id)
            kept = await sales.is_kept(view, original_key(what.upload_id))
        if not kept and (upload is None or upload.status == "failed"):
            await self._storage.delete_prefix(folder_of(what.upload_id))

    async def sweep(self, job: Job, what: NoPayload) -> None:
        """Give up what nobody goes on with, forget what is long over, remove what nothing names."""
        del job, what
        await expire(self._database)
        async with self._database.write() as tx:
            await store.purge(tx, clock.now() - KEPT_FOR)
        if await may_sweep(self._database, self._storage):
            await reconcile(self._database, self._chunks)
            await sweep_files(self._database, self._storage, self._chunks, ORPHAN_AGE)


async def expire(database: Database) -> None:
    """Give up every transfer for which nothing has come for a day, and give its bytes back."""
    while True:
        async with database.read() as view:
            idle = await store.list_idle(view)
        for one in idle:
            with suppress(UserNotFound):  # gone meanwhile, and all transfers with them
                async with database.write() as tx:
                    await quota.hold(tx, one.user_id)
                    transfer = await store.lock(tx, one.id)
                    if transfer and transfer.status == "open" and transfer.expires_at <= clock.now():
                        await transfers.end(tx, transfer, "expired")
        if not idle:
            return


async def lost_chunks(database: Database, chunks: ChunkStore) -> AsyncIterator[tuple[UUID, list[Chunk]]]:
    """Every open transfer of whose chunks some are not there after all, and these."""
    async with database.read() as view:
        found = await store.list_open(view)
    for one in found:
        async with database.read() as view:
            counted = await store.list_chunks(view, one.id)
        if not (gone := await chunks.find_missing(one.id, one.total_size, counted)):
            continue
        async with database.read() as view:
            now = await store.find(view, one.id)
        if now is not None and now.status == "open":  # else its chunks went with its end
            yield one.id, gone


async def reconcile(database: Database, chunks: ChunkStore) -> None:
    """Let no chunk be counted whose bytes are not there: a disk may have lost what it had said to keep."""
    async for transfer_id, gone in lost_chunks(database, chunks):
        async with database.write() as tx:
            transfer = await store.lock(tx, transfer_id)
            if transfer is not None and transfer.status == "open":
                await store.drop_chunks(tx, transfer, gone)
        log.error("transfer.chunks_lost", transfer_id=str(transfer_id), count=len(gone))


async def sweep_files(database: Database, storage: Storage, chunks: ChunkStore, age: timedelta) -> None:
    """Remove the files and chunks that are at least so old and that no row names."""
    before = clock.now() - age
    async for transfer_id, modified in chunks.list():
        if modified > before:
            continue
        async with database.read() as view:
            transfer = await store.find(view, transfer_id)
        if transfer is None or transfer.status != "open":
            await chunks.remove(transfer_id)
    async for entry in storage.list(ROOT):
        if entry.modified <= before and not await _is_named(database, entry.key):
            await storage.delete(entry.key)


async def _is_named(database: Database, key: str) -> bool:
    try:
        upload_id = UUID(key.split("/")[1])
    except (ValueError, IndexError):
        return False
    async with database.read() as view:
        upload = await uploads_store.find(view, upload_id)
        if await sales.is_kept(view, key):
            return True
    return upload is not None and upload.status != "failed" and key == original_key(upload_id)


async def give_up(tx: Tx, what: CheckFile) -> None:
    """A file that cannot be looked at is refused."""
    await _end(tx, what, "PROCESSING_FAILED: The file could not be looked at.")


async def _end(tx: Tx, what: CheckFile, error: str) -> None:
    found = await uploads_store.find(tx, what.upload_id)
    if found is None:
        return
    with suppress(UserNotFound):  # gone meanwhile, and the upload with them
        await quota.hold(tx, found.user_id)
    upload = await uploads_store.lock(tx, what.upload_id)
    if upload is None or upload.status != "processing":
        return
    if not error:
        await uploads_store.end(tx, upload.id, "completed")
        tx.emit(FileAccepted(upload.id, upload.user_id))
        return
    await uploads_store.end(tx, upload.id, "failed", error)
    await quota.release(tx, upload.user_id, upload.size)
    await enqueue(tx, REMOVE_FILE, RemoveFile(upload.id))
    tx.emit(FileRefused(upload.id, upload.user_id, error))
