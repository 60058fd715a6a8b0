"""All hooks as admins see them: how far deliveries are behind, whose receivers fail; and trying one again."""

from uuid import UUID

import msgspec

from veza.access.actor import Actor
from veza.access.policy import Action, require
from veza.core import clock
from veza.core.db import Tx
from veza.core.jobs import enqueue
from veza.core.pages import Page
from veza.core.targets import host_of
from veza.rooms.webhooks import overview_store, queues_store, service, store
from veza.rooms.webhooks.errors import WebhookDisabled, WebhookNotFound
from veza.rooms.webhooks.events import WebhookRetried
from veza.rooms.webhooks.kinds import RETRY, Retry
from veza.rooms.webhooks.overview_store import Depth, Seen
from veza.rooms.webhooks.schemas import (
    Attempt,
    HookOwner,
    HooksOverview,
    HookState,
    HookTotals,
    WatchedHook,
)


async def look(tx: Tx, actor: Actor, page: Page, state: HookState | None = None) -> HooksOverview:
    """All hooks in numbers, and a page of those in this state, or that need a look; furthest behind first.

    A hook needs a look when it fails, was turned off for that, or has something to be delivered.
    Raises Forbidden.
    """
    require(actor, Action.RUN_PLATFORM)
    total = await overview_store.count(tx, state)
    found = await overview_store.page(tx, page, state) if page.offset < total else []
    depths = await overview_store.depths(tx, [seen.id for seen in found])
    hooks = [_watched(seen, depths[seen.id]) for seen in found if seen.id in depths]
    return HooksOverview(await _totals(tx), hooks, page.of(total))


async def _totals(tx: Tx) -> HookTotals:
    states = await overview_store.count_states(tx)
    pending = await overview_store.count_pending(tx)
    oldest = await overview_store.oldest_pending(tx)
    return HookTotals(**msgspec.structs.asdict(states), pending=pending, oldest_pending_at=oldest)


def _watched(seen: Seen, depth: Depth) -> WatchedHook:
    tried = (depth.waiting, depth.delivered, depth.failed)
    last = [msgspec.convert(attempts[-1], Attempt) for attempts in tried if attempts]
    return WatchedHook(
        id=seen.id,
        owner=HookOwner(seen.user_id, seen.username),
        host=host_of(seen.url),
        state=_state(seen),
        disabled_reason=seen.disabled_reason,
        pending=min(depth.pending, overview_store.COUNTED_OF_ONE),
        oldest_pending_at=seen.oldest_pending_at,
        failing_since=seen.failing_since,
        last_attempt=max(last, key=lambda attempt: attempt.at, default=None),
    )


def _state(seen: Seen) -> HookState:
    if not seen.enabled:
        return "disabled"
    return "failing" if seen.failures else "active"


async def retry(tx: Tx, actor: Actor, webhook_id: UUID) -> None:
    """Forget how a hook has failed: what waits is due now, and what was missed since is delivered once more.

    One that was turned off for it is turned on again; what its owner has turned off stays so. Raises
    Forbidden, :class:`WebhookNotFound`, and :class:`WebhookDisabled` for the latter.
    """
    require(actor, Action.RUN_PLATFORM)
    hook = await store.lock(tx, webhook_id)
    if hook is None:
        raise WebhookNotFound
    if hook.disabled_reason == service.OWNER:
        raise WebhookDisabled("Its owner has turned this webhook off, and alone turns it on again.")
    if not hook.enabled:
        await store.save(tx, hook, enabled=True, **await service.turn(tx, hook, on=True))
    await enqueue(tx, RETRY, Retry(hook.id, hook.failing_since, clock.now()))
    await queues_store.heal(tx, hook.id)
    tx.notify(queues_store.CHANNEL)
    tx.emit(WebhookRetried(hook.id, hook.user_id, turned_on=not hook.enabled))
