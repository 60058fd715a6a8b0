"""The statements of sealing: what is queued, where the log ends, what is added to it."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
import sqlalchemy as sa

from veza.core.db import Id, Statement, Tx, any_of
from veza.core.events import events
from veza.rooms.audit.rows import Happened
from veza.rooms.audit.tables import audit_counts, audit_log, audit_queue, audit_state

S = audit_state.c


class State(msgspec.Struct, frozen=True):
    """How far the log goes, from where on it is kept, and how far ``events`` was emptied.

    ``head_mac`` is the seal of the last row, and after it that of the end.
    """

    head_seq: int
    head_mac: bytes
    purged_seq: int
    purged_mac: bytes
    emptied_seq: int


NEW = State(0, b"", 0, b"", 0)

EVENT = (
    events.c.id,
    events.c.kind,
    sa.type_coerce(events.c.data, sa.Text).label("data"),
    events.c.actor_id,
    events.c.ip,
    events.c.user_agent,
    events.c.request_id,
    events.c.created_at,
)
_IS_QUEUED = Statement(sa.select(sa.literal(1)).select_from(audit_queue).limit(1), int)
_QUEUED = Statement(
    sa.select(*EVENT)
    .select_from(audit_queue.join(events, events.c.id == audit_queue.c.id))
    .order_by(audit_queue.c.id)
    .limit(sa.bindparam("most", type_=sa.BigInteger)),
    Happened,
)
# Of all: whoever plants an event to stop the sealing can also plant one of tomorrow in front of it.
_OLDEST_QUEUED = Statement(
    sa.select(sa.func.min(events.c.created_at)).select_from(
        audit_queue.join(events, events.c.id == audit_queue.c.id)
    ),
    datetime,
    heavy=True,
)
_MAKE_STATE: Statement[None] = Statement(
    sa.text(
        "INSERT INTO audit_state (id, head_seq, head_mac, purged_seq, purged_mac, emptied_seq)"
        " VALUES (1, 0, :nothing, 0, :nothing, 0) ON CONFLICT (id) DO NOTHING"
    ).bindparams(sa.bindparam("nothing", type_=sa.LargeBinary))
)
_COLUMNS = (S.head_seq, S.head_mac, S.purged_seq, S.purged_mac, S.emptied_seq)
_STATE = Statement(sa.select(*_COLUMNS), State)
_LOCK_STATE = Statement(sa.select(*_COLUMNS).with_for_update(), State)
_MOVE_HEAD: Statement[None] = Statement(
    sa.update(audit_state).values(head_seq=sa.bindparam("seq"), head_mac=sa.bindparam("mac"))
)
_APPEND: Statement[None] = Statement(sa.insert(audit_log))
_DEQUEUE: Statement[None] = Statement(sa.delete(audit_queue).where(any_of(audit_queue.c.id, "ids")))
_COUNT: Statement[None] = Statement(
    sa.text(
        "INSERT INTO audit_counts (scope, kind, total) VALUES (:scope, :kind, :change)"
        " ON CONFLICT (scope, kind) DO UPDATE SET total = audit_counts.total + excluded.total"
    ).bindparams(
        sa.bindparam("scope", type_=Id),
        sa.bindparam("kind", type_=sa.Text),
        sa.bindparam("change", type_=sa.BigInteger),
    )
)
_DROP_NOUGHTS: Statement[None] = Statement(
    sa.delete(audit_counts).where(any_of(audit_counts.c.scope, "scopes"), audit_counts.c.total <= 0)
)


async def is_queued(tx: Tx) -> bool:
    """Whether anything waits to be sealed."""
    return await tx.first(_IS_QUEUED) is not None


async def list_queued(tx: Tx, most: int) -> list[Happened]:
    """The oldest of what waits to be sealed."""
    return await tx.all(_QUEUED, most=most)


async def find_waiting_since(tx: Tx) -> datetime | None:
    """When the oldest of what waits to be sealed happened."""
    return await tx.first(_OLDEST_QUEUED)


async def find_state(tx: Tx) -> State:
    """How far the log goes."""
    return await tx.first(_STATE) or NEW


async def lock_state(tx: Tx) -> State:
    """The same; nobody else adds to the log or purges it until ``tx`` is over."""
    found = await tx.first(_LOCK_STATE)
    if found is None:
        await tx.run(_MAKE_STATE, nothing=b"")
        found = await tx.first(_LOCK_STATE)
    return found or NEW


async def append(tx: Tx, rows: Sequence[Mapping[str, Any]]) -> None:
    """Add rows with their seals, in their order, and take them out of the queue."""
    await tx.run_many(_APPEND, rows)
    await tx.run(_DEQUEUE, ids=[row["id"] for row in rows])


async def move_head(tx: Tx, seq: int, end: bytes) -> None:
    """The log ends with the row of this number, and is sealed to end there."""
    await tx.run(_MOVE_HEAD, seq=seq, mac=end)


async def count(tx: Tx, counts: Mapping[tuple[UUID, str], int]) -> None:
    """Change the kept counts."""
    await tx.run_many(
        _COUNT,
        [{"scope": scope, "kind": kind, "change": change} for (scope, kind), change in counts.items()],
    )


async def drop_noughts(tx: Tx, scopes: Iterable[UUID]) -> None:
    """Forget counts of what is not there any more."""
    await tx.run(_DROP_NOUGHTS, scopes=list(set(scopes)))
