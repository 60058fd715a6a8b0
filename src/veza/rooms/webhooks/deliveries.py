"""The log of a hook, and having what is in it delivered once more."""

from datetime import datetime, timedelta
from typing import get_args
from uuid import UUID

import msgspec

from veza.access.actor import Member
from veza.core import clock
from veza.core.db import Tx
from veza.core.errors import Detail, InvalidRequest, ValidationFailed
from veza.core.jobs import enqueue
from veza.rooms.webhooks import deliveries_store, queues_store, service
from veza.rooms.webhooks.catalogue import CATALOGUE, TEST
from veza.rooms.webhooks.deliveries_store import Row
from veza.rooms.webhooks.errors import DeliveryNotFound, DeliveryPending, WebhookDisabled
from veza.rooms.webhooks.kinds import REPLAY, Replay
from veza.rooms.webhooks.schemas import (
    Attempt,
    Deliveries,
    Delivery,
    DeliveryStatus,
    ReplayDraft,
    Sent,
)

# How a status is kept, by what callers call it.
_KEPT_AS: dict[str, tuple[str, ...]] = {name: (name,) for name in get_args(DeliveryStatus)}
_KEPT_AS["pending"] = ("fresh", "waiting")
_PENDING = frozenset(_KEPT_AS["pending"])


async def list_own(
    tx: Tx,
    actor: Member,
    webhook_id: UUID,
    before: UUID | None,
    limit: int,
    status: DeliveryStatus | None,
    event: str | None,
) -> Deliveries:
    """A part of the log of a hook, the newest first.

    Raises :class:`veza.rooms.webhooks.errors.WebhookNotFound`, and :class:`InvalidRequest` for an event that
    there is not.
    """
    if event is not None and event not in CATALOGUE and event != TEST:
        raise InvalidRequest(details=[Detail("event", "There is no such event.", "INVALID")])
    hook = await service.get_own(tx, actor, webhook_id)
    kept_as = _KEPT_AS[status] if status else ()
    rows = await deliveries_store.page(tx, hook.id, before, limit + 1, kept_as, event)
    following = rows[limit - 1].event_id if len(rows) > limit else None
    return Deliveries([view(row) for row in rows[:limit]], following)


async def get_own(tx: Tx, actor: Member, webhook_id: UUID, delivery_id: UUID) -> Delivery:
    """One delivery. Raises :class:`veza.rooms.webhooks.errors.WebhookNotFound`, :class:`DeliveryNotFound`."""
    hook = await service.get_own(tx, actor, webhook_id)
    row = await deliveries_store.find(tx, hook.id, delivery_id)
    if row is None:
        raise DeliveryNotFound
    return view(row)


async def redeliver(tx: Tx, actor: Member, webhook_id: UUID, delivery_id: UUID) -> Delivery:
    """Have a delivery that has come to an end made once more, under the same id, before all that waits.

    Of an ordered hook it keeps its place. Raises :class:`veza.rooms.webhooks.errors.WebhookNotFound`,
    :class:`WebhookDisabled`, :class:`DeliveryNotFound`, :class:`DeliveryPending`.
    """
    hook = await service.hold(tx, actor, webhook_id)
    if not hook.enabled:
        raise WebhookDisabled
    row = await deliveries_store.lock(tx, hook.id, delivery_id)
    if row is None:
        raise DeliveryNotFound
    first, now = await queues_store.next_waiting(tx, hook.id), clock.now()
    due_at = min(now, first - timedelta(microseconds=1)) if first else now
    if row.status in _PENDING or not await deliveries_store.requeue(tx, row, hook.enabled_since, due_at):
        raise DeliveryPending
    await queues_store.count(tx, hook.id, {row.status: -1})
    await queues_store.hurry(tx, hook.id)
    tx.notify(queues_store.CHANNEL)
    return view(msgspec.structs.replace(row, status="waiting", due_at=due_at, concluded_at=None))


async def replay(tx: Tx, actor: Member, webhook_id: UUID, draft: ReplayDraft) -> None:
    """Have all events since some time delivered once more, as far back as the log goes.

    Raises :class:`veza.rooms.webhooks.errors.WebhookNotFound`, :class:`WebhookDisabled`, and
    :class:`ValidationFailed` for a time without its zone or to come.
    """
    now = clock.now()
    if draft.since.tzinfo is None or draft.since > now:
        said = "Must be a time that is over, with its zone, as 2025-01-01T00:00:00Z."
        raise ValidationFailed(details=[Detail("since", said, "INVALID")])
    hook = await service.get_own(tx, actor, webhook_id)
    if not hook.enabled:
        raise WebhookDisabled
    await enqueue(tx, REPLAY, Replay(hook.id, draft.since, now, draft.undelivered_only))


def view(row: Row) -> Delivery:
    """A delivery as the owner of its hook sees it."""
    attempts = msgspec.convert(row.attempts, list[Attempt])
    last = attempts[-1] if attempts else None
    return Delivery(
        id=row.event_id,
        event=row.kind,
        event_at=row.event_at,
        status="pending" if row.status in _PENDING else row.status,  # type: ignore[arg-type]  # the others are their names
        attempts=attempts,
        response_status=last.status if last else None,
        error=last.error if last else None,
        latency_ms=last.latency_ms if last else None,
        next_attempt_at=_next(row),
        request=Sent(row.headers, row.body) if row.headers is not None and row.body is not None else None,
        concluded_at=row.concluded_at,
    )


def _next(row: Row) -> datetime | None:
    if row.status == "fresh":
        return row.due_at or clock.now()
    return row.due_at
