"""The statements by which the log is checked."""

from uuid import UUID

import msgspec
import sqlalchemy as sa

from veza.core.db import Statement, Tx
from veza.core.events import events
from veza.rooms.audit.events import AuditPurged
from veza.rooms.audit.rows import Entry
from veza.rooms.audit.tables import audit_log, audit_queue, audit_state

A, Q = audit_log.c, audit_queue.c


class Sealed(msgspec.Struct, frozen=True):
    """A row of the log and its seal."""

    entry: Entry
    mac: bytes


class Purge(msgspec.Struct, frozen=True):
    """What a purge told, as it was written, and the seal of its row; none while it waits for that."""

    data: str
    mac: bytes


COLUMNS = tuple(A[name] for name in Entry.__struct_fields__)
_Row = msgspec.defstruct(
    "_Row", [*((field.name, field.type) for field in msgspec.structs.fields(Entry)), ("mac", bytes)]
)
_here = sa.and_(A.seq > sa.bindparam("after"), A.seq <= sa.bindparam("end"))
_FROM: Statement[msgspec.Struct] = Statement(
    sa.select(*COLUMNS, A.mac).where(_here).order_by(A.seq).limit(sa.bindparam("most", type_=sa.BigInteger)),
    _Row,
    heavy=True,
)
_AFTER_HEAD = Statement(
    sa.select(A.seq)
    .where(A.seq > sa.func.coalesce(sa.select(audit_state.c.head_seq).scalar_subquery(), 0))
    .order_by(A.seq)
    .limit(1),
    int,
)
_purged = sa.func.coalesce(sa.select(audit_state.c.purged_seq).scalar_subquery(), 0)
_BEFORE = Statement(sa.select(A.seq).where(A.seq <= _purged).order_by(A.seq).limit(1), int)
_STRAY = Statement(
    sa.select(events.c.id)
    .where(
        ~sa.exists().where(Q.id == events.c.id),
        ~sa.exists().where(A.id == events.c.id),
    )
    .limit(1),
    UUID,
    heavy=True,
)
COUNT_QUEUED = Statement(sa.select(sa.func.count()).select_from(audit_queue), int, heavy=True)
# Of rows whose seals are checked alone: what stands before the beginning or after the end, anybody can write.
_PURGES = Statement(
    sa.select(A.data, A.mac)
    .where(A.kind == AuditPurged.kind, A.seq > _purged, A.seq <= sa.bindparam("end", type_=sa.BigInteger))
    .order_by(A.seq.desc())
    .limit(20),
    Purge,
)
_QUEUED_PURGES = Statement(
    sa.select(sa.type_coerce(events.c.data, sa.Text))
    .select_from(audit_queue.join(events, events.c.id == Q.id))
    .where(events.c.kind == AuditPurged.kind),
    str,
    heavy=True,
)


async def list_from(tx: Tx, after: int, end: int, most: int) -> list[Sealed]:
    """The rows after this number, up to the ``end``."""
    rows = await tx.all(_FROM, after=after, end=end, most=most)
    return [Sealed(msgspec.convert(row, Entry, from_attributes=True), row.mac) for row in rows]  # type: ignore[attr-defined]  # defined above


async def find_after_head(tx: Tx) -> int | None:
    """The number of a row that is beyond where the log ends."""
    return await tx.first(_AFTER_HEAD)


async def find_before_beginning(tx: Tx) -> int | None:
    """The number of a row that is not after where the log was purged to."""
    return await tx.first(_BEFORE)


async def find_stray(tx: Tx) -> UUID | None:
    """An event that is neither sealed nor waits for it."""
    return await tx.first(_STRAY)


async def count_queued(tx: Tx) -> int:
    """How many events wait to be sealed."""
    return await tx.first(COUNT_QUEUED) or 0


async def list_purges(tx: Tx, end: int) -> list[Purge]:
    """What the latest purges told, of rows up to the ``end``, and of what waits for its seal."""
    return [*(Purge(data, b"") for data in await tx.all(_QUEUED_PURGES)), *await tx.all(_PURGES, end=end)]
