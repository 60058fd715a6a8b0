"""All SQL about hooks themselves."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
import sqlalchemy as sa

from veza.core import clock
from veza.core.db import Statement, Tx, any_of
from veza.rooms.webhooks.schemas import Webhook
from veza.rooms.webhooks.tables import webhook_queues, webhooks

W, Q = webhooks.c, webhook_queues.c


class Hook(Webhook, frozen=True):
    """A hook as it is kept."""

    user_id: UUID
    enabled_since: datetime
    keys: bytes


class Subscription(msgspec.Struct, frozen=True):
    """Which events a hook hears of, and whether it is on."""

    id: UUID
    user_id: UUID
    events: list[str]
    enabled: bool
    enabled_since: datetime


class Sums(msgspec.Struct, frozen=True):
    """Of all hooks of somebody."""

    hooks: int
    delivered: int
    failed: int


class Addressee(msgspec.Struct, frozen=True):
    """Whom a mail about a hook goes to."""

    user_id: UUID


_select = sa.select(
    *(Q.failing_since if name == "failing_since" else W[name] for name in Hook.__struct_fields__)
).select_from(webhooks.join(webhook_queues, Q.webhook_id == W.id))
_one = W.id == sa.bindparam("hook")
_of_user = W.user_id == sa.bindparam("user")
_FIND = Statement(_select.where(_one), Hook)
_LOCK = Statement(_select.where(_one).with_for_update(of=webhooks), Hook)
_OF_USER = Statement(_select.where(_of_user).order_by(W.id), Hook)
_COUNT = Statement(sa.select(sa.func.count()).select_from(webhooks).where(_of_user), int)
_ADD: Statement[None] = Statement(sa.insert(webhooks))
_ADD_QUEUE: Statement[None] = Statement(sa.insert(webhook_queues))
_SAVED = (
    "url", "description", "events", "ordered", "enabled", "enabled_since", "disabled_reason", "keys",
    "updated_at",
)  # fmt: skip
_SAVE: Statement[None] = Statement(
    sa.update(webhooks).where(_one).values({W[name]: sa.bindparam(f"new_{name}") for name in _SAVED})
)
_DISABLE: Statement[None] = Statement(
    sa.update(webhooks)
    .where(_one, W.enabled.is_(True))
    .values(enabled=False, disabled_reason=sa.bindparam("reason"), updated_at=sa.bindparam("now"))
)
_DELETE: Statement[None] = Statement(sa.delete(webhooks).where(_one))
_DELETE_QUEUE: Statement[None] = Statement(
    sa.delete(webhook_queues).where(Q.webhook_id == sa.bindparam("hook"))
)
_SUBSCRIPTIONS = Statement(
    sa.select(*(W[name] for name in Subscription.__struct_fields__)).where(any_of(W.user_id, "users")),
    Subscription,
)
_SUMS = Statement(
    sa.select(
        sa.func.count().label("hooks"),
        sa.cast(sa.func.coalesce(sa.func.sum(Q.delivered), 0), sa.BigInteger).label("delivered"),
        sa.cast(sa.func.coalesce(sa.func.sum(Q.failed), 0), sa.BigInteger).label("failed"),
    )
    .select_from(webhooks.join(webhook_queues, Q.webhook_id == W.id))
    .where(_of_user),
    Sums,
)


async def find(tx: Tx, hook_id: UUID) -> Hook | None:
    """The hook, whoever asks."""
    return await tx.first(_FIND, hook=hook_id)


async def lock(tx: Tx, hook_id: UUID) -> Hook | None:
    """The hook, which nobody else changes until ``tx`` ends."""
    return await tx.first(_LOCK, hook=hook_id)


async def list_of(tx: Tx, user_id: UUID) -> list[Hook]:
    """Every hook of a user, the oldest first."""
    return await tx.all(_OF_USER, user=user_id)


async def count(tx: Tx, user_id: UUID) -> int:
    """How many hooks a user has."""
    return await tx.first(_COUNT, user=user_id) or 0


async def add(tx: Tx, hook: Hook) -> None:
    """Write a new hook down."""
    row = {name: getattr(hook, name) for name in Hook.__struct_fields__ if name != "failing_since"}
    await tx.run(_ADD, **row)
    await tx.run(
        _ADD_QUEUE, webhook_id=hook.id, due_at=None, leased_until=None, lease=0, failures=0,
        failing_since=None, rests_from=None, rests_until=None, delivered=0, failed=0,
    )  # fmt: skip


async def save(tx: Tx, hook: Hook, **changes: Any) -> Hook:
    """Change a locked hook; what it is afterwards."""
    changed = msgspec.structs.replace(hook, updated_at=clock.now(), **changes)
    await tx.run(_SAVE, hook=hook.id, **{f"new_{name}": getattr(changed, name) for name in _SAVED})
    return changed


async def disable(tx: Tx, hook_id: UUID, reason: str) -> bool:
    """Turn a hook off; whether it was on."""
    return await tx.run(_DISABLE, hook=hook_id, reason=reason, now=clock.now()) == 1


async def delete(tx: Tx, *hook_ids: UUID) -> None:
    """Remove hooks, and then their queues, each in one order. Their deliveries are not touched."""
    for statement in (_DELETE, _DELETE_QUEUE):
        for hook_id in sorted(hook_ids):
            await tx.run(statement, hook=hook_id)


async def subscriptions(tx: Tx, user_ids: Sequence[UUID]) -> list[Subscription]:
    """What these users' hooks hear of."""
    return await tx.all(_SUBSCRIPTIONS, users=user_ids)


async def sums(tx: Tx, user_id: UUID) -> Sums:
    """How many hooks a user has, and what became of their deliveries."""
    return await tx.first(_SUMS, user=user_id) or Sums(0, 0, 0)
