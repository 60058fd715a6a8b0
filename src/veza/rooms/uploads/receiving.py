"""Taking a chunk in: straight to its place in the file where that can be, and only then it is there."""

from collections.abc import AsyncIterator, Mapping
from uuid import UUID

import msgspec

from veza.access.actor import Member
from veza.core.body import validate
from veza.core.db import Database
from veza.core.errors import Detail, InvalidRequest, RateLimited, ValidationFailed, VezaError
from veza.core.exchange import Exchange
from veza.core.limits import Limit, Limiter
from veza.core.multipart import receive_form
from veza.core.storage import ChunkStore
from veza.core.storage_chunks import Chunk, ChunkIntake, ChunkSizeMismatch, Slot
from veza.rooms.uploads import store, transfers
from veza.rooms.uploads.errors import InvalidChunkNumber, UploadMismatch
from veza.rooms.uploads.schemas import MAX_CHUNK_BYTES, ChunkForm, ChunkTaken
from veza.rooms.uploads.store import Transfer

FIELDS = ChunkForm.__struct_fields__


class Receiver:
    """Takes chunks; ``limit`` is on those of one user, None if off."""

    def __init__(self, database: Database, chunks: ChunkStore, limiter: Limiter, limit: Limit | None) -> None:
        self._database = database
        self._chunks = chunks
        self._limiter = limiter
        self._limit = limit

    async def take(self, actor: Member, exchange: Exchange, body: AsyncIterator[bytes]) -> ChunkTaken:
        """The chunk in the body's form; it is there when this returns, and whole, or it is not there at all.

        It commits by itself: until then its place is kept from others. Raises what forms and chunks can be
        refused for.
        """
        await self._count(actor, exchange)
        taking = _Taking(self._database, self._chunks, actor)
        try:
            form = await receive_form(
                body,
                exchange.headers.get(b"content-type", b"").decode("latin-1"),
                file_field="chunk",
                fields=FIELDS,
                max_file_bytes=MAX_CHUNK_BYTES,
                into=self._chunks.scratch,
                digests=(),
                open_intake=taking.open,
            )
            return await taking.keep(form.fields)
        finally:
            if taking.intake is not None:
                await taking.intake.release()
                taking.intake = None  # each knows the other: else both would wait to be found as a cycle

    async def _count(self, actor: Member, exchange: Exchange) -> None:
        if self._limit is not None:
            standing = await self._limiter.hit(self._limit, str(actor.id))
            exchange.limits = standing.headers
            if not standing.allowed:
                raise RateLimited(headers={"Retry-After": str(standing.retry_after)})


class _Taking:
    """One chunk on its way."""

    def __init__(self, database: Database, chunks: ChunkStore, actor: Member) -> None:
        self._database = database
        self._chunks = chunks
        self._actor = actor
        self.intake: ChunkIntake | None = None

    def open(self, fields: Mapping[str, str]) -> ChunkIntake:
        """Begin to take the bytes in; where they go is asked once some are there, and perhaps all fields."""
        self.intake = self._chunks.intake(MAX_CHUNK_BYTES, lambda: self._choose(fields))
        return self.intake

    async def _choose(self, fields: Mapping[str, str]) -> Slot | None:
        """The chunk's place, if all is known and nobody has it yet; else it waits in a file of its own."""
        if fields.keys() < set(FIELDS):
            return None
        form = _checked(fields)
        async with self._database.read() as view:
            transfer = _checked_against(await transfers.get_own(view, self._actor, form.upload_id), form)
        if not transfer.chunk_size or not await self._is_free(transfer.id, form.chunk_number):
            return None

        async def is_free() -> bool:
            return await self._is_free(transfer.id, form.chunk_number)

        start, size = transfer.start_of(form.chunk_number), transfer.size_of(form.chunk_number)
        return await self._chunks.find_slot(transfer.id, start, size, is_free)

    async def _is_free(self, transfer_id: UUID, number: int) -> bool:
        async with self._database.read() as view:
            return await store.find_chunk(view, transfer_id, number) is None

    async def keep(self, fields: Mapping[str, str]) -> ChunkTaken:
        """Make the chunk durable, then let it be there."""
        form, intake = _checked(fields), self.intake
        if intake is None:
            raise ValidationFailed(details=[Detail("chunk", "This field is required.", "REQUIRED")])
        async with self._database.read() as view:
            transfer = _checked_against(await transfers.get_own(view, self._actor, form.upload_id), form)
        _find_chunk_size(transfer, form.chunk_number, intake.size)
        chunk = await self._chunks.keep(transfer.id, form.chunk_number, intake)
        try:
            received, replaced = await self._commit(form, chunk)
        except VezaError as error:
            if error.status < 500:  # noqa: PLR2004 - else nobody knows whether it was committed
                await self._chunks.remove_chunk(transfer.id, chunk)
            raise
        self._chunks.know(transfer.id, chunk)
        if replaced is not None:
            await self._chunks.remove_chunk(transfer.id, replaced)
        progress = round(100 * received / transfer.total_chunks, 2)
        return ChunkTaken(transfer.id, received, progress, "Chunk uploaded successfully")

    async def _commit(self, form: ChunkForm, chunk: Chunk) -> tuple[int, Chunk | None]:
        async with self._database.write() as tx:
            transfer = _checked_against(await transfers.hold_own(tx, self._actor, form.upload_id), form)
            chunk_size = _find_chunk_size(transfer, chunk.number, chunk.size)
            return await store.put_chunk(tx, transfer, chunk, chunk_size)


def _checked(fields: Mapping[str, str]) -> ChunkForm:
    try:
        return validate(dict(fields), ChunkForm, strict=False)
    except ValidationFailed as error:
        wrong = {detail.field: detail for detail in error.details if isinstance(detail, Detail)}
        if "upload_id" in wrong and "upload_id" in fields:
            raise InvalidRequest(details=[wrong["upload_id"]]) from None
        if "chunk_number" in wrong:
            raise InvalidChunkNumber(details=error.details) from None
        raise


def _checked_against(transfer: Transfer, form: ChunkForm) -> Transfer:
    """The transfer, if it is open and this chunk one of its own."""
    transfers.check_open(transfer)
    unlike = [
        Detail(name, "The upload was started with another value.", "MISMATCH")
        for name in ("total_chunks", "total_size", "filename")
        if getattr(form, name) != getattr(transfer, name)
    ]
    if unlike:
        raise UploadMismatch(details=unlike)
    if form.chunk_number > transfer.total_chunks:
        number = Detail("chunk_number", f"The upload has {transfer.total_chunks} chunks.", "INVALID")
        raise InvalidChunkNumber(details=[number])
    return transfer


def _find_chunk_size(transfer: Transfer, number: int, size: int) -> int:
    """The size of all chunks but the last, if this one's fits it. Raises :class:`ChunkSizeMismatch`.

    The first chunk that comes decides, since nothing else tells it.
    """
    least, most = transfers.sizes(transfer.total_size, transfer.total_chunks)
    found = transfer.chunk_size
    if not found and number < transfer.total_chunks:
        found = size
    elif not found:
        found, rest = divmod(transfer.total_size - size, transfer.total_chunks - 1)
        found = 0 if rest else found
    decided = msgspec.structs.replace(transfer, chunk_size=found)
    if not least <= found <= most or decided.size_of(number) != size:
        raise ChunkSizeMismatch(details=[Detail("chunk", f"{size} bytes do not fit here.", "INVALID")])
    return found
