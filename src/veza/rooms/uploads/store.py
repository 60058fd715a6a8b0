"""All SQL about transfers and their chunks."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

import msgspec
import sqlalchemy as sa

from veza.core import clock
from veza.core.db import Statement, Tx
from veza.core.storage_chunks import Chunk
from veza.rooms.tracks.schemas import UploadForm
from veza.rooms.uploads.schemas import IDLE, Outcome
from veza.rooms.uploads.tables import transfer_chunks, transfers

T, C = transfers.c, transfer_chunks.c


class Transfer(msgspec.Struct, frozen=True):
    """A file that comes in chunks; sizes in bytes, ``chunk_size`` 0 until it is known."""

    id: UUID
    user_id: UUID
    filename: str
    total_chunks: int
    total_size: int
    chunk_size: int
    received: int
    revision: int
    form: UploadForm
    status: str
    outcome: Outcome | None
    created_at: datetime
    updated_at: datetime

    @property
    def progress(self) -> float:
        """How much of it is there, in percent."""
        return round(100 * self.received / self.total_chunks, 2)

    @property
    def expires_at(self) -> datetime:
        """When it is given up, unless something comes."""
        return self.updated_at + IDLE

    def size_of(self, number: int) -> int:
        """The size of a chunk, once ``chunk_size`` is known."""
        return self.chunk_size if number < self.total_chunks else self.total_size - self.start_of(number)

    def start_of(self, number: int) -> int:
        """Where a chunk begins in the file, once ``chunk_size`` is known."""
        return (number - 1) * self.chunk_size


_ALL = sa.select(*(transfers.c[name] for name in Transfer.__struct_fields__))
_one = T.id == sa.bindparam("transfer_id")
_chunks_of = C.transfer_id == sa.bindparam("transfer_id")
_CHUNK = sa.select(C.number, C.id, C.size, C.in_place)

_INSERT: Statement[None] = Statement(sa.insert(transfers))
_FIND = Statement(_ALL.where(_one), Transfer)
_LOCK = Statement(_ALL.where(_one).with_for_update(), Transfer)
_OF_USER = Statement(_ALL.where(T.user_id == sa.bindparam("user_id")).order_by(T.id), Transfer)
_OPEN = Statement(_ALL.where(T.status == "open").order_by(T.id), Transfer)
_IDLE = Statement(
    _ALL.where(T.status == "open", T.updated_at < sa.bindparam("before")).order_by(T.updated_at).limit(100),
    Transfer,
)
_COUNT_OPEN = Statement(
    sa.select(sa.func.count(T.id)).where(T.user_id == sa.bindparam("user_id"), T.status == "open"), int
)
_PROGRESS: Statement[None] = Statement(
    sa.update(transfers)
    .where(_one)
    .values(
        received=sa.bindparam("new_received"), chunk_size=sa.bindparam("new_chunk_size"),
        revision=T.revision + 1, updated_at=sa.bindparam("now"),
    )
)  # fmt: skip
_END: Statement[None] = Statement(
    sa.update(transfers)
    .where(_one)
    .values(
        status=sa.bindparam("new_status"),
        outcome=sa.bindparam("new_outcome", type_=T.outcome.type),
        updated_at=sa.bindparam("now"),
    )
)
_DELETE: Statement[None] = Statement(sa.delete(transfers).where(_one))
_DELETE_OF_USER: Statement[None] = Statement(sa.delete(transfers).where(T.user_id == sa.bindparam("user_id")))
_PURGE: Statement[None] = Statement(
    sa.delete(transfers).where(T.status != "open", T.updated_at < sa.bindparam("before"))
)
_CHUNKS = Statement(_CHUNK.where(_chunks_of).order_by(C.number), Chunk)
_FIND_CHUNK = Statement(_CHUNK.where(_chunks_of, C.number == sa.bindparam("chunk")), Chunk)
_NUMBERS = Statement(sa.select(C.number).where(_chunks_of).order_by(C.number), int)
_ADD_CHUNK: Statement[None] = Statement(sa.insert(transfer_chunks))
_DROP_CHUNK: Statement[None] = Statement(
    sa.delete(transfer_chunks).where(_chunks_of, C.number == sa.bindparam("chunk"))
)
_COUNT_CHUNKS = Statement(sa.select(sa.func.count()).select_from(transfer_chunks).where(_chunks_of), int)


async def add(
    tx: Tx, user_id: UUID, *, transfer_id: UUID, filename: str, chunks: int, size: int, chunk_size: int,
    form: UploadForm,
) -> Transfer:  # fmt: skip
    """A new transfer, open."""
    now = clock.now()
    made = Transfer(
        transfer_id, user_id, filename, chunks, size, chunk_size, 0, 0, form, "open", None, now, now
    )
    await tx.run(_INSERT, **{name: getattr(made, name) for name in Transfer.__struct_fields__})
    return made


async def find(tx: Tx, transfer_id: UUID) -> Transfer | None:
    """The transfer with this id."""
    return await tx.first(_FIND, transfer_id=transfer_id)


async def lock(tx: Tx, transfer_id: UUID) -> Transfer | None:
    """The same; nobody else changes it until ``tx`` is over."""
    return await tx.first(_LOCK, transfer_id=transfer_id)


async def list_of(tx: Tx, user_id: UUID) -> list[Transfer]:
    """All of a user's transfers, in whatever state."""
    return await tx.all(_OF_USER, user_id=user_id)


async def list_open(tx: Tx) -> list[Transfer]:
    """Every transfer that is under way."""
    return await tx.all(_OPEN)


async def list_idle(tx: Tx) -> list[Transfer]:
    """Transfers for which nothing has come for too long, some at a time."""
    return await tx.all(_IDLE, before=clock.now() - IDLE)


async def count_open(tx: Tx, user_id: UUID) -> int:
    """How many transfers a user has under way."""
    return await tx.first(_COUNT_OPEN, user_id=user_id) or 0


async def end(tx: Tx, transfer_id: UUID, status: str, outcome: Outcome | None = None) -> None:
    """A transfer that is locked is over."""
    await tx.run(_END, transfer_id=transfer_id, new_status=status, new_outcome=outcome, now=clock.now())


async def delete(tx: Tx, transfer_id: UUID) -> None:
    """A transfer never was."""
    await tx.run(_DELETE, transfer_id=transfer_id)


async def delete_of(tx: Tx, user_id: UUID) -> list[Transfer]:
    """Delete every transfer of a user; what they were."""
    gone = await list_of(tx, user_id)
    await tx.run(_DELETE_OF_USER, user_id=user_id)
    return gone


async def purge(tx: Tx, before: datetime) -> None:
    """Forget the transfers that were over before then."""
    await tx.run(_PURGE, before=before)


async def list_chunks(tx: Tx, transfer_id: UUID) -> list[Chunk]:
    """The chunks that are there, in their order."""
    return await tx.all(_CHUNKS, transfer_id=transfer_id)


async def list_numbers(tx: Tx, transfer_id: UUID) -> list[int]:
    """The numbers of the chunks that are there, in their order."""
    return await tx.all(_NUMBERS, transfer_id=transfer_id)


async def find_chunk(tx: Tx, transfer_id: UUID, number: int) -> Chunk | None:
    """One chunk, if it is there."""
    return await tx.first(_FIND_CHUNK, transfer_id=transfer_id, chunk=number)


async def put_chunk(tx: Tx, transfer: Transfer, chunk: Chunk, chunk_size: int) -> tuple[int, Chunk | None]:
    """A chunk of a transfer that is locked is there; how many now are, and which it replaces."""
    before = await find_chunk(tx, transfer.id, chunk.number)
    if before is not None:
        await tx.run(_DROP_CHUNK, transfer_id=transfer.id, chunk=chunk.number)
    await tx.run(_ADD_CHUNK, transfer_id=transfer.id, **msgspec.structs.asdict(chunk))
    received = transfer.received + (before is None)
    await _count(tx, transfer.id, received, chunk_size)
    return received, before


async def drop_chunks(tx: Tx, transfer: Transfer, gone: Sequence[Chunk]) -> None:
    """These chunks of a transfer that is locked are not there after all, if they are still the same."""
    now = {chunk.number: chunk for chunk in await list_chunks(tx, transfer.id)}
    for chunk in gone:
        if now.get(chunk.number) == chunk:
            await tx.run(_DROP_CHUNK, transfer_id=transfer.id, chunk=chunk.number)
    received = await tx.first(_COUNT_CHUNKS, transfer_id=transfer.id) or 0
    await _count(tx, transfer.id, received, transfer.chunk_size)


async def _count(tx: Tx, transfer_id: UUID, received: int, chunk_size: int) -> None:
    await tx.run(
        _PROGRESS, transfer_id=transfer_id, new_received=received, new_chunk_size=chunk_size, now=clock.now()
    )
