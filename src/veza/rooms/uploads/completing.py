"""From all its chunks to a track."""

import asyncio
from collections.abc import Mapping
from uuid import UUID
from weakref import WeakValueDictionary

from veza.access.actor import Member
from veza.core.db import Database, Tx
from veza.core.errors import Unavailable, VezaError
from veza.core.exchange import Exchange
from veza.core.idempotency import claim, fingerprint_of
from veza.core.jobs import enqueue
from veza.core.malware import Malware
from veza.core.multipart import UploadedFile
from veza.core.storage import ChunkStore
from veza.core.storage_chunks import Assembled, Chunk
from veza.media import UnsupportedAudio
from veza.rooms.accounts import quota
from veza.rooms.tracks.schemas import UploadedTrack
from veza.rooms.tracks.upload import Uploads
from veza.rooms.uploads import store, transfers
from veza.rooms.uploads.errors import UploadChanged, UploadIncomplete
from veza.rooms.uploads.events import TransferCompleted
from veza.rooms.uploads.kinds import REMOVE_CHUNKS, RemoveChunks
from veza.rooms.uploads.schemas import Outcome
from veza.rooms.uploads.store import Transfer

# How a transfer ends whose file is refused for what it is, and what is said of it from then on.
_FINAL: Mapping[str, type[VezaError]] = {"failed": UnsupportedAudio, "infected": Malware}


class _Done(Exception):
    """Somebody else was quicker; this is what they were told."""

    def __init__(self, outcome: Outcome) -> None:
        super().__init__()
        self.outcome = outcome


class Completer:
    """Completes transfers."""

    def __init__(self, database: Database, chunks: ChunkStore, tracks: Uploads) -> None:
        self._database = database
        self._chunks = chunks
        self._tracks = tracks
        # Those who complete one transfer at once would all do the same work.
        self._turns: WeakValueDictionary[UUID, asyncio.Lock] = WeakValueDictionary()

    async def complete(self, tx: Tx, actor: Member, exchange: Exchange, transfer_id: UUID) -> Outcome:
        """What becomes of a transfer; the same again each time.

        ``tx`` begins only when the file is safe in the storage. Raises :class:`UploadIncomplete`, and what
        files can be refused for: then the transfer is over, and its bytes are given back.
        """
        if key := claim(exchange, actor.id, "POST /tracks/complete"):
            async with self._database.read() as view:
                await key.check(view, fingerprint_of(transfer_id))
        async with self._turns.setdefault(transfer_id, asyncio.Lock()):
            transfer, chunks = await self._look(actor, transfer_id)
            if transfer.outcome is not None:
                return transfer.outcome
            try:
                whole = await self._chunks.assemble(transfer.id, chunks)
            except Unavailable:
                # Whoever was quicker, in another process or just committing here, has them removed already.
                transfer, _ = await self._look(actor, transfer_id)
                if transfer.outcome is None:
                    raise
                return transfer.outcome
            try:
                return await self._store(tx, actor, transfer, whole)
            except _Done as done:
                return done.outcome
            except tuple(_FINAL.values()) as refused:
                await self._fail(actor, transfer, type(refused))
                raise
            finally:
                await asyncio.to_thread(whole.path.unlink, missing_ok=True)

    async def _look(self, actor: Member, transfer_id: UUID) -> tuple[Transfer, list[Chunk]]:
        async with self._database.read() as view:
            transfer = transfers.check_alive(await transfers.get_own(view, actor, transfer_id))
            chunks = await store.list_chunks(view, transfer_id)
        if transfer.status in _FINAL:
            raise _FINAL[transfer.status]
        if transfer.outcome is None:
            _check_complete(transfer, chunks)
        return transfer, chunks

    async def _store(self, tx: Tx, actor: Member, transfer: Transfer, whole: Assembled) -> Outcome:
        file = UploadedFile(whole.path, transfer.filename, "", transfer.total_size, {})

        async def reserved() -> None:
            await quota.hold(tx, actor.id)
            now = transfers.check_alive(await transfers.hold_own(tx, actor, transfer.id))
            if now.outcome is not None:
                raise _Done(now.outcome)
            if now.status != "open" or now.revision != transfer.revision:
                raise UploadChanged

        track = await self._tracks.store(tx, actor, file, transfer.form, reserved=reserved)
        told = UploadedTrack(track.id, track.title, track.status, track.created_at)
        outcome = Outcome(told, whole.md5, whole.sha256, "Upload completed")
        await store.end(tx, transfer.id, "completed", outcome)
        await enqueue(tx, REMOVE_CHUNKS, RemoveChunks(transfer.id))
        tx.emit(TransferCompleted(transfer.id, actor.id, track.id))
        return outcome

    async def _fail(self, actor: Member, transfer: Transfer, refusal: type[VezaError]) -> None:
        """These very chunks will never be a track."""
        status = next(status for status, error in _FINAL.items() if issubclass(refusal, error))
        async with self._database.write() as tx:
            await quota.hold(tx, actor.id)
            now = await transfers.hold_own(tx, actor, transfer.id)
            if now.status == "open" and now.revision == transfer.revision:
                await transfers.end(tx, now, status)


def _check_complete(transfer: Transfer, chunks: list[Chunk]) -> None:
    gaps = transfers.missing(transfer, (chunk.number for chunk in chunks))
    if gaps:
        said = f"{len(gaps)} of {transfer.total_chunks} chunks have not come."
        raise UploadIncomplete(details=[{"field": "missing_chunks", "message": said, "missing_chunks": gaps}])
