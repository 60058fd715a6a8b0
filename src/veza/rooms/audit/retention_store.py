"""The statements by which what is old goes."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

import msgspec
import sqlalchemy as sa

from veza.core.db import Statement, Tx, any_of
from veza.core.events import events
from veza.rooms.audit.tables import audit_log, audit_state

A = audit_log.c


class Old(msgspec.Struct, frozen=True):
    """What has to be known of a row before it goes."""

    seq: int
    id: UUID
    kind: str
    user_id: UUID | None
    created_at: datetime
    mac: bytes


_AFTER = Statement(
    sa.select(A.seq, A.id, A.kind, A.user_id, A.created_at, A.mac)
    .where(A.seq > sa.bindparam("after"))
    .order_by(A.seq)
    .limit(sa.bindparam("most", type_=sa.BigInteger)),
    Old,
)
_DATED = Statement(
    sa.select(A.created_at)
    .where(A.seq > sa.bindparam("after"), A.created_at <= sa.bindparam("now"))
    .order_by(A.seq)
    .limit(1),
    datetime,
)
_EMPTY: Statement[None] = Statement(sa.delete(events).where(any_of(events.c.id, "ids")))
_EMPTIED: Statement[None] = Statement(sa.update(audit_state).values(emptied_seq=sa.bindparam("seq")))
_PURGED: Statement[None] = Statement(
    sa.update(audit_state).values(purged_seq=sa.bindparam("seq"), purged_mac=sa.bindparam("mac"))
)
_PURGE: Statement[None] = Statement(sa.delete(audit_log).where(A.seq <= sa.bindparam("seq")))


async def list_after(tx: Tx, after: int, most: int) -> list[Old]:
    """The first rows after this number."""
    return await tx.all(_AFTER, after=after, most=most)


async def find_dated(tx: Tx, after: int, now: datetime) -> datetime | None:
    """When the first row after this number was written that was not written later than now."""
    return await tx.first(_DATED, after=after, now=now)


async def empty(tx: Tx, ids: Sequence[UUID], seq: int) -> None:
    """Forget events as they were written, up to this number of the log."""
    await tx.run(_EMPTY, ids=ids)
    await tx.run(_EMPTIED, seq=seq)


async def purge(tx: Tx, seq: int, mac: bytes) -> None:
    """Remove the beginning of the log, up to this number; where it was is said before it goes."""
    await tx.run(_PURGED, seq=seq, mac=mac)
    await tx.run(_PURGE, seq=seq)
