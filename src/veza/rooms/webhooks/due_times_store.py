"""All SQL about when queues are due after the clock was set back."""

from datetime import datetime, timedelta
from uuid import UUID

import msgspec
import sqlalchemy as sa

from veza.core import clock
from veza.core.db import Statement, Tx
from veza.rooms.webhooks import queues_store
from veza.rooms.webhooks.tables import webhook_queues

Q = webhook_queues.c


class Times(msgspec.Struct, frozen=True):
    """When a queue is due, and between which times its receiver is to be left alone."""

    due_at: datetime | None
    rests_from: datetime | None
    rests_until: datetime | None


_now = sa.bindparam("now", type_=Q.due_at.type)
_ACTIVE = Statement(
    sa.select(Q.webhook_id)
    .where(
        Q.webhook_id > sa.bindparam("after"),
        sa.or_(Q.due_at.is_not(None), Q.leased_until.is_not(None), Q.rests_until > _now),
    )
    .order_by(Q.webhook_id)
    .limit(sa.bindparam("count")),
    UUID,
)
_TIMES = Statement(
    sa.select(Q.due_at, Q.rests_from, Q.rests_until)
    .where(Q.webhook_id == sa.bindparam("hook"))
    .with_for_update(),
    Times,
)
_RETIME: Statement[None] = Statement(
    sa.update(webhook_queues)
    .where(Q.webhook_id == sa.bindparam("hook"))
    .values({name: sa.bindparam(f"new_{name}", type_=Q[name].type) for name in Times.__struct_fields__})
)
_SHORTEN: Statement[None] = Statement(
    sa.update(webhook_queues)
    .where(Q.webhook_id == sa.bindparam("hook"), Q.leased_until > sa.bindparam("until"))
    .values(leased_until=sa.bindparam("until"))
)


async def list_active(tx: Tx, after: UUID, count: int) -> list[UUID]:
    """The hooks, by id, for which something is or will be to do, or somebody does it."""
    return await tx.all(_ACTIVE, after=after, count=count, now=clock.now())


async def bring_forward(tx: Tx, hook_id: UUID, lease: timedelta) -> None:
    """Have a hook be due with what waits for it, once it has rested as long as it was to from when it began.

    Where nothing waits nothing is due. ``lease`` is as long as one may work.
    """
    now, times = clock.now(), await tx.first(_TIMES, hook=hook_id)
    if times is None:
        return
    rest, due = times.rests_until, times.due_at
    if rest is not None and times.rests_from is not None and times.rests_from > now:
        rest -= times.rests_from - now
    if due is not None and due > now:
        due = await queues_store.next_waiting(tx, hook_id)
        due = due and max(due, now)
    if due is not None and rest is not None:
        due = max(due, rest)
    rests_from = times.rests_from and min(times.rests_from, now)
    if Times(due, rests_from, rest) != times:
        await tx.run(_RETIME, hook=hook_id, new_due_at=due, new_rests_from=rests_from, new_rests_until=rest)
    await tx.run(_SHORTEN, hook=hook_id, until=now + lease)
