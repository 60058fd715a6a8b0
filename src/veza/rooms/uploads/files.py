"""Taking a file of any kind in: received, looked at, stored for good, and only then an upload."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from uuid import UUID

from veza.access.actor import Actor, Member
from veza.core import clock
from veza.core.db import Database, Tx
from veza.core.errors import Detail, ValidationFailed
from veza.core.exchange import Exchange
from veza.core.idempotency import Claim, claim, fingerprint_of
from veza.core.ids import new_id
from veza.core.malware import Scanner
from veza.core.multipart import FileTooLarge, UploadedFile, receive_form
from veza.core.storage import Storage
from veza.rooms.tracks.upload import Uploads
from veza.rooms.uploads import service
from veza.rooms.uploads.filekind import DOCUMENT, IMAGE, find_kind
from veza.rooms.uploads.schemas import Upload

# Bytes; of other kinds as much as of a track.
LARGEST: Mapping[str, int] = {IMAGE: 10 * 1024**2, DOCUMENT: 20 * 1024**2}


class Files:
    """Takes files, by the operator's rules for tracks."""

    def __init__(self, database: Database, storage: Storage, tracks: Uploads, scanner: Scanner) -> None:
        self._database = database
        self._storage = storage
        self._tracks = tracks
        self._scanner = scanner

    async def take(self, tx: Tx, actor: Member, exchange: Exchange, body: AsyncIterator[bytes]) -> Upload:
        """The upload that the body's form makes; ``tx`` begins only when the file is safe in the storage.

        Raises what forms, files and quotas can be refused for, and the answer to the same request if it came
        before (:class:`veza.core.idempotency.Replayed`).
        """
        key = claim(exchange, actor.id, "POST /uploads")
        await self._tracks.check(actor, exchange, key)
        form = await receive_form(
            body,
            exchange.headers.get(b"content-type", b"").decode("latin-1"),
            file_field="file",
            fields=(),
            max_file_bytes=self._tracks.rules.max_file_size,
            into=self._storage.scratch,
            digests=() if key is None else ("sha256",),
        )
        try:
            if form.file is None:
                raise ValidationFailed(details=[Detail("file", "This field is required.", "REQUIRED")])
            if key is not None:
                async with self._database.read() as view:
                    await key.check(view, fingerprint_of((form.file.filename, form.file.digests["sha256"])))
            return await self._store(tx, actor, form.file, key)
        finally:
            form.discard()

    async def _store(self, tx: Tx, actor: Member, file: UploadedFile, claimed: Claim | None) -> Upload:
        await self._scanner.check(file.path)
        found = await asyncio.to_thread(find_kind, file.path)
        if file.size > LARGEST.get(found.kind, file.size):
            raise FileTooLarge(f"A file of this kind has at most {LARGEST[found.kind]} bytes.")
        now = clock.now()
        upload = Upload(
            id=new_id(),
            user_id=actor.id,
            kind=found.kind,
            filename=file.filename,
            mime=found.mime,
            size=file.size,
            status="processing",
            error=None,
            created_at=now,
            updated_at=now,
        )
        key = service.original_key(upload.id)
        try:
            await self._storage.put_file(key, file.path)
            await service.add(tx, upload, self._tracks.allowance(actor))
            if claimed is not None:
                await claimed.confirm(tx)  # the actor's row, where bytes are counted, is held
        except BaseException:
            await self._storage.delete(key)
            raise
        return upload


class Pictures:
    """Gives others the pictures that somebody has uploaded."""

    def __init__(self, database: Database, storage: Storage) -> None:
        self._database = database
        self._storage = storage

    async def __call__(self, actor: Actor, upload_id: UUID) -> bytes:
        """The bytes of the actor's picture, as they came. Raises what :func:`service.use_image` does."""
        async with self._database.read() as view:
            upload = await service.use_image(view, actor, upload_id)
        return await self._storage.get_bytes(service.original_key(upload.id), LARGEST[IMAGE])
