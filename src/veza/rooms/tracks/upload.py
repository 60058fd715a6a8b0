"""Taking a file in: received, looked at, stored for good, and only then a track."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any

import msgspec

from veza.access.actor import Member
from veza.access.policy import Action, require
from veza.core.body import validate
from veza.core.db import Database, Tx
from veza.core.errors import Detail, ValidationFailed
from veza.core.exchange import Exchange
from veza.core.idempotency import Claim, claim, fingerprint_of
from veza.core.ids import new_id
from veza.core.limits import Limit, Limiter
from veza.core.malware import Scanner
from veza.core.multipart import FileTooLarge, Form, UploadedFile, receive_form
from veza.core.storage import Storage
from veza.media import sniff
from veza.rooms.accounts import quota
from veza.rooms.accounts.errors import QuotaExceeded
from veza.rooms.tracks import service
from veza.rooms.tracks.errors import EmailNotVerified
from veza.rooms.tracks.jobs import original_key
from veza.rooms.tracks.schemas import Track, TrackChanges, UploadForm

ROUTE = "POST /tracks"
# What a form may weigh beside its file.
FORM_BYTES = 1024 * 1024


class UploadRules(msgspec.Struct, frozen=True):
    """What the operator allows: sizes in bytes; ``limit`` is on a user's uploads, None if off."""

    max_file_size: int
    quota: int
    verified_only: bool
    limit: Limit | None


class Uploads:
    """Takes uploads, by the operator's rules."""

    def __init__(
        self, storage: Storage, database: Database, limiter: Limiter, scanner: Scanner, rules: UploadRules
    ) -> None:
        self._storage = storage
        self._database = database
        self._limiter = limiter
        self._scanner = scanner
        self.rules = rules

    def check_publishing(self, actor: Member, changes: TrackChanges) -> None:
        """Raise :class:`EmailNotVerified` where ``changes`` publish, and ``actor`` may not do that yet."""
        if changes.is_public is True:
            self._check_verified(actor)

    def _check_verified(self, actor: Member) -> None:
        if self.rules.verified_only and not actor.email_verified:
            raise EmailNotVerified

    def allowance(self, actor: Member) -> int:
        """All the bytes that ``actor`` may store."""
        return quota.limit_of(actor.role, self.rules.quota)

    async def check(self, actor: Member, exchange: Exchange, claimed: Claim | None) -> None:
        """Raise, before a byte is read, unless ``actor`` may upload so much now; it counts as an upload.

        What was answered under the key that is ``claimed`` has its bytes in the quota already.
        """
        length = exchange.headers.get(b"content-length", b"")
        size = int(length) if length.isdigit() else 0
        await self.check_size(actor, exchange, size, besides=FORM_BYTES, claimed=claimed)

    async def check_size(
        self, actor: Member, exchange: Exchange, size: int, *, besides: int = 0, claimed: Claim | None = None
    ) -> None:
        """Raise unless ``actor`` may upload ``size`` bytes now, ``besides`` of them no file's; it counts."""
        require(actor, Action.UPLOAD_TRACK)
        self._check_verified(actor)
        if size > self.rules.max_file_size + besides:
            raise FileTooLarge
        async with self._database.read() as view:
            used = (await quota.usage(view, actor.id)).storage_used
            again = claimed is not None and await claimed.is_answered(view)
        if not again and used + size > self.allowance(actor) + besides:
            raise QuotaExceeded
        if self.rules.limit is not None:
            await self._limiter.admit(self.rules.limit, str(actor.id), exchange)

    async def take(self, tx: Tx, actor: Member, exchange: Exchange, body: AsyncIterator[bytes]) -> Track:
        """The track that the body's form makes; ``tx`` begins only when the file is safe in the storage.

        Raises what forms, files and quotas can be refused for, and the answer to the same request if it came
        before (:class:`veza.core.idempotency.Replayed`).
        """
        key = claim(exchange, actor.id, ROUTE)
        await self.check(actor, exchange, key)
        # Hashing costs half the throughput: only who asks for a replay pays for it here.
        form = await self._receive(exchange, body, () if key is None else ("sha256",))
        try:
            file, fields = _checked(form)
            if key is not None:
                async with self._database.read() as view:
                    await key.check(view, _fingerprint(file, fields))
            return await self.store(tx, actor, file, fields, claimed=key)
        finally:
            form.discard()

    async def _receive(self, exchange: Exchange, body: AsyncIterator[bytes], digests: Sequence[str]) -> Form:
        return await receive_form(
            body,
            exchange.headers.get(b"content-type", b"").decode("latin-1"),
            file_field="file",
            fields=UploadForm.__struct_fields__,
            max_file_bytes=self.rules.max_file_size,
            into=self._storage.scratch,
            digests=digests,
        )

    async def store(
        self,
        tx: Tx,
        actor: Member,
        file: UploadedFile,
        fields: UploadForm,
        *,
        claimed: Claim | None = None,
        reserved: Callable[[], Awaitable[None]] | None = None,
    ) -> Track:
        """The track that a received file becomes; ``tx`` begins only when it is safe in the storage.

        ``reserved`` is asked at the beginning of ``tx``, and raises unless the file's bytes are in the quota
        already; without it they are counted here. Raises what files and quotas can be refused for, and the
        answer that another node has given to what is ``claimed`` meanwhile; no file is left then.
        """
        # First, so that malware is called by its name, whatever else the file is or is not.
        await self._scanner.check(file.path)
        sniffed = await asyncio.to_thread(sniff, file.path)
        track_id = new_id()
        key = original_key(track_id)
        upload = service.Upload(track_id, file.filename, file.size, sniffed)
        try:
            await self._storage.put_file(key, file.path)
            if reserved is not None:
                await reserved()
            allowance = self.allowance(actor) if reserved is None else None
            track = await service.add_track(tx, actor, upload, fields, allowance)
            if claimed is not None:
                await claimed.confirm(tx)  # the actor's row, where bytes are counted, is held
        except BaseException:
            await self._storage.delete(key)
            raise
        return track


def _checked(form: Form) -> tuple[UploadedFile, UploadForm]:
    if form.file is None:
        raise ValidationFailed(details=[Detail("file", "This field is required.", "REQUIRED")])
    given: dict[str, Any] = {name: value for name, value in form.fields.items() if value != ""}
    if "tags" in given:
        given["tags"] = [tag for tag in given["tags"].split(",") if tag.strip()]
    return form.file, validate(given, UploadForm, strict=False)


def _fingerprint(file: UploadedFile, fields: UploadForm) -> bytes:
    return fingerprint_of((file.filename, file.digests["sha256"], fields))
