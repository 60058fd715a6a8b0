"""Files that come in chunks: how they begin, how far they are, and how they end before they are whole."""

from collections.abc import Iterable
from uuid import UUID

from veza.access.actor import Actor, Member
from veza.core import clock
from veza.core.db import Database, Tx
from veza.core.errors import Detail, ValidationFailed
from veza.core.exchange import Exchange
from veza.core.idempotency import claim, fingerprint_of
from veza.core.ids import new_id
from veza.core.jobs import enqueue
from veza.core.storage import ChunkStore
from veza.rooms.accounts import quota
from veza.rooms.tracks.upload import Uploads
from veza.rooms.uploads import store
from veza.rooms.uploads.errors import TooManyUploads, UploadCompleted, UploadExpired, UploadNotFound
from veza.rooms.uploads.events import TransferEnded, TransferStarted
from veza.rooms.uploads.kinds import REMOVE_CHUNKS, RemoveChunks
from veza.rooms.uploads.schemas import MAX_CHUNK_BYTES, Start, TransferState
from veza.rooms.uploads.store import Transfer

MOST_OPEN = 5


class Transfers:
    """Begins transfers, by the operator's rules."""

    def __init__(self, database: Database, chunks: ChunkStore, tracks: Uploads) -> None:
        self._database = database
        self._chunks = chunks
        self._tracks = tracks

    async def start(self, tx: Tx, actor: Member, exchange: Exchange, wanted: Start) -> Transfer:
        """A new transfer, whose bytes are reserved in the quota.

        Raises what may be wrong with an upload, :class:`TooManyUploads`, and the answer to the same request
        if it came before.
        """
        _check_shape(wanted.total_size, wanted.total_chunks)
        # First, for what the request before this one has reserved is in the quota already.
        if key := claim(exchange, actor.id, "POST /tracks/initiate"):
            async with self._database.read() as view:
                await key.check(view, fingerprint_of(wanted))
        await self._tracks.check_size(actor, exchange, wanted.total_size)
        transfer_id = new_id()
        try:
            await self._chunks.prepare(transfer_id, wanted.total_size)
            return await self._start(tx, actor, transfer_id, wanted)
        except BaseException:
            await self._chunks.remove(transfer_id)
            raise

    async def _start(self, tx: Tx, actor: Member, transfer_id: UUID, wanted: Start) -> Transfer:
        await quota.reserve(tx, actor.id, wanted.total_size, self._tracks.allowance(actor))
        if await store.count_open(tx, actor.id) >= MOST_OPEN:
            raise TooManyUploads
        smallest, largest = sizes(wanted.total_size, wanted.total_chunks)
        tx.emit(TransferStarted(transfer_id, actor.id))
        return await store.add(
            tx, actor.id, transfer_id=transfer_id, filename=wanted.filename, chunks=wanted.total_chunks,
            size=wanted.total_size, chunk_size=smallest if smallest == largest else 0, form=wanted.form,
        )  # fmt: skip


def sizes(total: int, chunks: int) -> tuple[int, int]:
    """The least and the most bytes that each chunk but the last may have, for the last to have some, too."""
    return -(-total // chunks), total if chunks == 1 else (total - 1) // (chunks - 1)


def _check_shape(total: int, chunks: int) -> None:
    smallest, largest = sizes(total, chunks)
    problem = ""
    if smallest > MAX_CHUNK_BYTES:
        problem = f"A chunk has at most {MAX_CHUNK_BYTES} bytes; take more of them."
    elif smallest > largest:
        problem = "So many chunks would not all have a byte, and but the last one size; take fewer."
    if problem:
        raise ValidationFailed(details=[Detail("total_chunks", problem, "INVALID")])


def check_open(transfer: Transfer) -> Transfer:
    """The transfer, if it is under way. Raises :class:`UploadExpired`, :class:`UploadCompleted`."""
    check_alive(transfer)
    if transfer.status != "open":
        raise UploadCompleted
    return transfer


def check_alive(transfer: Transfer) -> Transfer:
    """The transfer, unless it was given up. Raises :class:`UploadExpired`."""
    idle = transfer.status == "open" and transfer.expires_at <= clock.now()
    if idle or transfer.status == "expired":
        raise UploadExpired
    return transfer


async def get_own(tx: Tx, actor: Actor, transfer_id: UUID) -> Transfer:
    """The actor's own transfer; nobody else ever sees it. Raises :class:`UploadNotFound`."""
    return _own(actor, await store.find(tx, transfer_id))


async def hold_own(tx: Tx, actor: Actor, transfer_id: UUID) -> Transfer:
    """The same; nobody else changes it until ``tx`` is over."""
    return _own(actor, await store.lock(tx, transfer_id))


def _own(actor: Actor, transfer: Transfer | None) -> Transfer:
    if transfer is None or transfer.user_id != actor.id:
        raise UploadNotFound
    return transfer


async def get_state(tx: Tx, actor: Actor, transfer_id: UUID) -> TransferState:
    """How far a transfer is. Raises :class:`UploadNotFound`, :class:`UploadExpired`."""
    transfer = check_alive(await get_own(tx, actor, transfer_id))
    received = await store.list_numbers(tx, transfer_id)
    return TransferState(
        upload_id=transfer.id,
        status=transfer.status,
        filename=transfer.filename,
        total_size=transfer.total_size,
        total_chunks=transfer.total_chunks,
        chunk_size=transfer.chunk_size,
        chunks_received=len(received),
        received=received,
        missing_chunks=missing(transfer, received),
        progress=round(100 * len(received) / transfer.total_chunks, 2),
        expires_at=transfer.expires_at,
        track_id=transfer.outcome.track.id if transfer.outcome else None,
    )


def missing(transfer: Transfer, received: Iterable[int]) -> list[int]:
    """The numbers of the chunks that are still to come."""
    there = set(received)
    return [number for number in range(1, transfer.total_chunks + 1) if number not in there]


async def abandon(tx: Tx, actor: Member, transfer_id: UUID) -> None:
    """Give a transfer up; one that is over already is only forgotten. Raises :class:`UploadNotFound`."""
    await get_own(tx, actor, transfer_id)
    # Users before transfers, as everywhere: so that two transactions never wait for each other.
    await quota.hold(tx, actor.id)
    transfer = await hold_own(tx, actor, transfer_id)
    if transfer.status == "open":
        await end(tx, transfer, "abandoned")
    await store.delete(tx, transfer_id)


async def end(tx: Tx, transfer: Transfer, reason: str) -> None:
    """An open transfer, held like its user, is over without a track: its bytes are given back."""
    await quota.release(tx, transfer.user_id, transfer.total_size)
    await store.end(tx, transfer.id, reason)
    await enqueue(tx, REMOVE_CHUNKS, RemoveChunks(transfer.id))
    tx.emit(TransferEnded(transfer.id, transfer.user_id, reason))


async def remove_user_transfers(tx: Tx, user_id: UUID) -> None:
    """Somebody's transfers go with their account."""
    for transfer in await store.delete_of(tx, user_id):
        await enqueue(tx, REMOVE_CHUNKS, RemoveChunks(transfer.id))


async def list_states(tx: Tx, user_id: UUID) -> list[dict[str, object]]:
    """All of somebody's transfers, for the export of their data."""
    kept = ("id", "filename", "total_size", "status", "created_at", "updated_at")
    return [{name: getattr(one, name) for name in kept} for one in await store.list_of(tx, user_id)]
