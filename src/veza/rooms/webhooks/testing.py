"""Trying a hook: an event that nothing has happened for, sent while its owner waits."""

from typing import Literal
from uuid import UUID

from veza.access.actor import Member
from veza.core import clock
from veza.core.exchange import Exchange
from veza.core.ids import new_id
from veza.core.targets import read_target
from veza.rooms.webhooks import deliveries_store, queues_store, service, store
from veza.rooms.webhooks.catalogue import TEST
from veza.rooms.webhooks.events import WebhookTargetForbidden
from veza.rooms.webhooks.payloads import TestTold
from veza.rooms.webhooks.schemas import Tested
from veza.rooms.webhooks.sending import Message, Post, Sender
from veza.rooms.webhooks.service import Begin, HookMeans
from veza.rooms.webhooks.store import Hook


async def send(means: HookMeans, begin: Begin, actor: Member, exchange: Exchange, webhook_id: UUID) -> Tested:
    """Send a test event, once, whether the hook is on or off; what becomes of it stands in its log.

    Raises :class:`veza.rooms.webhooks.errors.WebhookNotFound`, :class:`veza.core.errors.RateLimited`.
    """
    async with means.database.read() as view:
        hook = await service.get_own(view, actor, webhook_id)
    if means.test_limit is not None:
        await means.limiter.admit(means.test_limit, str(actor.id), exchange)
    told = TestTold(hook.id, "This is a test: nothing has happened.")
    message = Message(new_id(), TEST, clock.now(), told)
    sender = Sender(means.keyring, means.courier)
    await sender.prepare()
    line = sender.line()
    try:
        post = await sender.send(line, hook, message)
    finally:
        await line.close()
    status: Literal["delivered", "failed"] = "delivered" if post.arrived else "failed"
    await _keep(begin, hook, message, post, status)
    said = "Test event sent" if post.arrived else "Test event could not be delivered"
    tried = post.attempt
    return Tested(said, status, message.id, tried.status, tried.error, tried.latency_ms)


async def _keep(begin: Begin, hook: Hook, message: Message, post: Post, status: str) -> None:
    async with begin() as tx:
        if await store.lock(tx, hook.id) is None:  # deleted meanwhile
            return
        row = {
            "webhook_id": hook.id,
            "event_id": message.id,
            "kind": message.kind,
            "data": message.data,
            "event_at": message.event_at,
            "queued_at": message.event_at,
            "status": status,
            "attempt": 1,
            "attempts": [post.attempt],
            "headers": post.shown,
            "body": post.body,
            "concluded_at": clock.now(),
        }
        await deliveries_store.add(tx, [row])
        await queues_store.count(tx, hook.id, {status: 1})
        if post.attempt.error == "TARGET_FORBIDDEN":
            tx.emit(WebhookTargetForbidden(hook.id, hook.user_id, read_target(hook.url).host))
