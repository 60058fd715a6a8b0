"""All SQL about what is due for each hook, and who works on it."""

from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from uuid import UUID

import msgspec
import sqlalchemy as sa

from veza.core import clock
from veza.core.db import Statement, Tx, any_of
from veza.rooms.webhooks.deliveries_store import in_turn
from veza.rooms.webhooks.tables import webhook_deliveries, webhook_queues, webhooks

CHANNEL = "veza_webhooks"

Q, D = webhook_queues.c, webhook_deliveries.c


# When a rest begins and ends that is none: somebody asked to begin anew. What comes of requests that whoever
# works on the queue made before changes nothing of that; the next claim takes the mark away.
ANEW = datetime(1970, 1, 1, tzinfo=UTC)


class Claim(msgspec.Struct, frozen=True):
    """A queue that is somebody's to work on, for as long as they keep the lease."""

    webhook_id: UUID
    lease: int
    failures: int
    failing_since: datetime | None


_fresh = (
    sa.select(D.webhook_id, D.event_id)
    .where(D.status == "fresh")
    .order_by(D.event_id)
    .limit(sa.bindparam("count"))
    .with_for_update(skip_locked=True)
    .cte("fresh")
)
_ANY_FRESH = Statement(sa.select(D.event_id).where(D.status == "fresh").order_by(D.event_id).limit(1), UUID)
_TAKE_IN = Statement(
    sa.update(webhook_deliveries)
    .where(
        D.status == "fresh",
        sa.tuple_(D.webhook_id, D.event_id).in_(sa.select(_fresh.c.webhook_id, _fresh.c.event_id)),
    )
    .values(status="waiting", due_at=sa.bindparam("now"))
    .returning(D.webhook_id),
    UUID,
)
# Locked in one order, so that two who do this never wait for each other.
_some = sa.select(Q.webhook_id).where(any_of(Q.webhook_id, "hooks")).order_by(Q.webhook_id).with_for_update()
_now = sa.bindparam("now", type_=Q.due_at.type)
# Every one of them, whatever is due: a condition would be asked of rows as they were before somebody, who is
# just giving a queue back, let go of it. Whose receiver is to be left alone is left alone.
_WAKE: Statement[None] = Statement(
    sa.update(webhook_queues)
    .where(Q.webhook_id.in_(_some))
    .values(
        due_at=sa.case(
            (Q.due_at < _now, Q.due_at),
            (Q.rests_until > _now, Q.rests_until),
            else_=_now,
        )
    )
)
_unleased = sa.or_(Q.leased_until.is_(None), Q.leased_until <= _now)
_rested = sa.or_(Q.rests_until.is_(None), Q.rests_until <= _now)
_free = sa.and_(Q.due_at <= _now, _unleased, _rested)


_slow = any_of(Q.webhook_id, "slow")


def _claiming(health: sa.ColumnElement[bool]) -> Statement[Claim]:
    due = (
        sa.select(Q.webhook_id)
        .where(_free, health)
        .order_by(Q.due_at)
        .limit(sa.bindparam("count"))
        .with_for_update(skip_locked=True)
        .cte("due")
    )
    return Statement(
        sa.update(webhook_queues)
        .where(Q.webhook_id.in_(sa.select(due.c.webhook_id)))
        .values(leased_until=sa.bindparam("until"), lease=Q.lease + 1, rests_from=None, rests_until=None)
        .returning(Q.webhook_id, Q.lease, Q.failures, Q.failing_since),
        Claim,
    )


_CLAIM_WELL = _claiming(sa.and_(Q.failures == 0, sa.not_(_slow)))
_CLAIM_SLOW = _claiming(sa.and_(Q.failures == 0, _slow))
_CLAIM_FAILING = _claiming(Q.failures > 0)
_NEXT = Statement(
    sa.select(Q.due_at)
    .where(Q.due_at.is_not(None), _unleased, sa.or_(_rested, Q.rests_until <= Q.due_at))
    .order_by(Q.due_at)
    .limit(1),
    datetime,
)
_mine = sa.and_(Q.webhook_id == sa.bindparam("hook"), Q.lease == sa.bindparam("of_lease"))
_anew = sa.and_(Q.rests_until.is_not(None), Q.rests_until == ANEW)
_HOLD = Statement(sa.select(sa.case((_anew, 1), else_=0)).where(_mine).with_for_update(), int)
_IS_AS_CLAIMED = Statement(sa.select(sa.literal(1)).where(_mine, sa.not_(_anew)), int)
# Unless it was given back in that moment: nobody would work on it until the lease ends.
_KEEP: Statement[None] = Statement(
    sa.update(webhook_queues)
    .where(_mine, Q.leased_until.is_not(None))
    .values(leased_until=sa.bindparam("until"))
)
_rest = sa.bindparam("new_rests_until", type_=Q.rests_until.type)
# Due no earlier than it has rested, also if whoever works on it is killed.
_NOTE: Statement[None] = Statement(
    sa.update(webhook_queues)
    .where(_mine, sa.not_(_anew))
    .values(
        due_at=sa.case((Q.due_at < _rest, _rest), else_=Q.due_at),
        failures=sa.bindparam("new_failures"),
        failing_since=sa.bindparam("new_failing_since"),
        rests_from=sa.bindparam("from_now", type_=Q.rests_from.type),
        rests_until=_rest,
        delivered=Q.delivered + sa.bindparam("more_delivered", type_=sa.BigInteger),
        failed=Q.failed + sa.bindparam("more_failed", type_=sa.BigInteger),
    )
)
_COUNT: Statement[None] = Statement(
    sa.update(webhook_queues)
    .where(Q.webhook_id == sa.bindparam("hook"))
    .values(
        delivered=Q.delivered + sa.bindparam("more_delivered", type_=sa.BigInteger),
        failed=Q.failed + sa.bindparam("more_failed", type_=sa.BigInteger),
    )
)
_at_once = {"due_at": _now, "rests_from": ANEW, "rests_until": ANEW}
_HURRY: Statement[None] = Statement(
    sa.update(webhook_queues).where(Q.webhook_id == sa.bindparam("hook")).values(_at_once)
)
_HEAL: Statement[None] = Statement(
    sa.update(webhook_queues)
    .where(Q.webhook_id == sa.bindparam("hook"))
    .values(failures=0, failing_since=None, **_at_once)
)
# Of a hook that is off nothing is due: who turns it on again, or queues more, sees to the queue.
_on = sa.exists().where(webhooks.c.id == sa.bindparam("hook"), webhooks.c.enabled.is_(True))
_waiting = sa.select(D.due_at).where(D.webhook_id == sa.bindparam("hook"), D.status == "waiting", _on)
_NEXT_DUE = Statement(_waiting.order_by(D.due_at).limit(1), datetime)
# Where what is not taken in comes before it, whoever takes that in wakes the queue.
_FIRST_DUE = Statement(_waiting.where(in_turn).order_by(D.event_id).limit(1), datetime)
_RELEASE: Statement[None] = Statement(
    sa.update(webhook_queues)
    .where(_mine)
    .values(
        leased_until=None,
        due_at=sa.bindparam("next_at", type_=Q.due_at.type),
        rests_from=sa.bindparam("from_now", type_=Q.rests_from.type),
        rests_until=sa.bindparam("new_rests_until", type_=Q.rests_until.type),
    )
)
_OLDEST_DUE = Statement(sa.select(Q.due_at).where(_free).order_by(Q.due_at).limit(1), datetime)
_OLDEST_FRESH = Statement(
    sa.select(D.queued_at).where(D.status == "fresh").order_by(D.event_id).limit(1), datetime
)
_FAILING = Statement(sa.select(sa.func.count()).select_from(webhook_queues).where(Q.failures > 0), int)
_RELEASE_ALL: Statement[None] = Statement(
    sa.update(webhook_queues).where(Q.leased_until.is_not(None)).values(leased_until=None)
)


async def take_in(tx: Tx, most: int) -> int:
    """Have queues know of what was written for them, at most so much; how much it was."""
    hooks = await tx.all(_TAKE_IN, count=most, now=clock.now())
    await wake(tx, sorted(set(hooks)))
    return len(hooks)


async def any_fresh(tx: Tx) -> bool:
    """Whether something was written that no queue knows of."""
    return await tx.first(_ANY_FRESH) is not None


async def wake(tx: Tx, hook_ids: Sequence[UUID]) -> None:
    """There is something to do for these hooks."""
    if hook_ids:
        await tx.run(_WAKE, hooks=hook_ids, now=clock.now())


class Places(msgspec.Struct, frozen=True):
    """How many queues may be taken on: that do well, whose receivers are slow, and that fail."""

    well: int
    slow: int
    failing: int


async def claim(tx: Tx, lease: timedelta, places: Places, slow: Collection[UUID]) -> list[Claim]:
    """Take on as many queues as there are places for, for so long; ``slow`` are known to be that."""
    now, found = clock.now(), list[Claim]()
    for statement, count, more in (
        (_CLAIM_WELL, places.well, {"slow": slow}),
        (_CLAIM_SLOW, places.slow if slow else 0, {"slow": slow}),
        (_CLAIM_FAILING, places.failing, {}),
    ):
        if count > 0:
            found += await tx.all(statement, now=now, until=now + lease, count=count, **more)
    return found


async def next_due(tx: Tx) -> datetime | None:
    """When there is something to do for a hook that nobody works on."""
    return await tx.first(_NEXT, now=clock.now())


async def keep(tx: Tx, claim: Claim, until: datetime) -> bool:
    """Keep a lease until then; False where it was lost or given back."""
    return await tx.run(_KEEP, hook=claim.webhook_id, of_lease=claim.lease, until=until) == 1


async def is_as_claimed(tx: Tx, claim: Claim) -> bool:
    """Whether a queue is still somebody's, and nobody asked to begin anew since they have it."""
    return await tx.first(_IS_AS_CLAIMED, hook=claim.webhook_id, of_lease=claim.lease) is not None


async def note(
    tx: Tx,
    claim: Claim,
    failures: int,
    failing_since: datetime | None,
    rests_until: datetime | None,
    *,
    delivered: int,
    failed: int,
) -> bool:
    """Write down how a hook does, and so many more deliveries that have come to an end.

    False where it says nothing of how the hook does, for it is not as it was claimed: then these are counted.
    """
    noted = await tx.run(
        _NOTE, hook=claim.webhook_id, of_lease=claim.lease,
        new_failures=failures, new_failing_since=failing_since,
        from_now=rests_until and clock.now(), new_rests_until=rests_until,
        more_delivered=delivered, more_failed=failed,
    )  # fmt: skip
    if not noted:
        await count(tx, claim.webhook_id, {"delivered": delivered, "failed": failed})
    return noted == 1


async def count(tx: Tx, hook_id: UUID, ended: Mapping[str, int]) -> None:
    """So many more deliveries of each status; fewer, where less than none."""
    delivered, failed = ended.get("delivered", 0), ended.get("failed", 0)
    if delivered or failed:
        await tx.run(_COUNT, hook=hook_id, more_delivered=delivered, more_failed=failed)


async def hurry(tx: Tx, hook_id: UUID) -> None:
    """Somebody waits for what is delivered next: whoever fails is not left alone first."""
    await tx.run(_HURRY, hook=hook_id, now=clock.now())


async def heal(tx: Tx, hook_id: UUID) -> None:
    """Forget how a hook has failed, and look at once for what there is to do for it."""
    await tx.run(_HEAL, hook=hook_id, now=clock.now())


async def release(tx: Tx, claim: Claim, *, ordered: bool, not_before: datetime | None) -> None:
    """Give a queue back, due again with its next delivery; nothing happens where the lease was lost.

    Where somebody asked to begin anew meanwhile it does not rest.
    """
    hook_id = claim.webhook_id
    anew = await tx.first(_HOLD, hook=hook_id, of_lease=claim.lease)
    if anew is None:
        return
    if anew:
        not_before = None
    due = await tx.first(_FIRST_DUE if ordered else _NEXT_DUE, hook=hook_id)
    if due is not None and not_before is not None:
        due = max(due, not_before)
    await tx.run(
        _RELEASE, hook=hook_id, of_lease=claim.lease, next_at=due,
        from_now=not_before and clock.now(), new_rests_until=not_before,
    )  # fmt: skip


async def next_waiting(tx: Tx, hook_id: UUID) -> datetime | None:
    """When the first of what waits for a hook that is on is due."""
    return await tx.first(_NEXT_DUE, hook=hook_id)


async def release_all(tx: Tx) -> None:
    """At the start of the only process there is: nobody works on anything."""
    await tx.run(_RELEASE_ALL)


async def oldest_due(tx: Tx, now: datetime) -> datetime | None:
    """Since when the first delivery is due that nobody works on; None while there is none."""
    found = (await tx.first(_OLDEST_DUE, now=now), await tx.first(_OLDEST_FRESH))
    return min((moment for moment in found if moment is not None), default=None)


async def count_failing(tx: Tx) -> int:
    """How many hooks there are whose last attempt failed."""
    return await tx.first(_FAILING) or 0
