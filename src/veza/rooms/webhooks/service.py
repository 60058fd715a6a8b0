"""Webhooks: making, showing, changing and deleting them.

A hook speaks to its owner's program of what concerns the owner's own things. Nobody else sees it.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Annotated
from uuid import UUID

import msgspec
from litestar.params import Dependency

from veza.access.actor import Actor, Member
from veza.access.policy import Action, may
from veza.access.secrets import Keyring, SecretRefused
from veza.core import clock
from veza.core.db import Database, Tx
from veza.core.errors import Detail, InvalidToken, ValidationFailed
from veza.core.ids import new_id
from veza.core.jobs import enqueue
from veza.core.limits import Limit, Limiter
from veza.core.outgoing import Courier, Forbidden
from veza.core.targets import read_target
from veza.rooms.accounts import quota
from veza.rooms.accounts.errors import UserNotFound
from veza.rooms.webhooks import deliveries_store, queues_store, store
from veza.rooms.webhooks.errors import TooManyWebhooks, WebhookNotFound
from veza.rooms.webhooks.events import (
    WebhookCreated,
    WebhookDeleted,
    WebhookKeysChanged,
    WebhookTargetForbidden,
    WebhookUpdated,
)
from veza.rooms.webhooks.keys import OLD_SIGNS_FOR, make_keys, open_keys, seal
from veza.rooms.webhooks.kinds import FORGET, SKIP, Hooked, SkipBefore
from veza.rooms.webhooks.schemas import (
    KeyDraft,
    NewKeys,
    NewWebhook,
    Stats,
    Webhook,
    WebhookChanges,
    WebhookDraft,
)
from veza.rooms.webhooks.store import Hook

MOST_WEBHOOKS = 20
OWNER = "owner"


class HookMeans(msgspec.Struct, frozen=True):
    """What hooks are made and tried with; ``test_limit`` is None where limits are off."""

    database: Database
    keyring: Keyring
    courier: Courier
    limiter: Limiter
    test_limit: Limit | None


TheHookMeans = Annotated[HookMeans, Dependency(skip_validation=True)]
# A transaction of its own, told of as the request that asks for it.
Begin = Annotated[Callable[[], Tx], Dependency(skip_validation=True)]


async def register(tx: Tx, actor: Member, means: HookMeans, begin: Begin, draft: WebhookDraft) -> NewWebhook:
    """A new hook; its keys are told this once.

    Raises :class:`TooManyWebhooks`, and :class:`ValidationFailed` for an address that is no stranger's.
    """
    await _check_target(tx, means, actor, begin, draft.url)
    await _hold_owner(tx, actor)
    if await store.count(tx, actor.id) >= MOST_WEBHOOKS:
        raise TooManyWebhooks
    hook_id, now, keys = new_id(), clock.now(), make_keys(draft.secret)
    hook = Hook(
        id=hook_id,
        url=draft.url,
        description=draft.description,
        events=list(dict.fromkeys(draft.events)),
        enabled=draft.enabled,
        ordered=draft.ordered,
        disabled_reason=None if draft.enabled else OWNER,
        failing_since=None,
        created_at=now,
        updated_at=now,
        user_id=actor.id,
        enabled_since=now,
        keys=seal(means.keyring, hook_id, keys),
    )
    await store.add(tx, hook)
    tx.emit(WebhookCreated(hook.id, actor.id))
    return NewWebhook(**msgspec.structs.asdict(view(hook)), api_key=keys.api_key, secret=keys.secret)


async def _hold_owner(tx: Tx, actor: Member) -> None:
    try:
        await quota.hold(tx, actor.id)
    except UserNotFound:
        raise InvalidToken from None


async def _check_target(tx: Tx, means: HookMeans, actor: Member, begin: Begin, url: str) -> None:
    target = read_target(url)
    try:
        means.courier.guard.check_name(target)
    except Forbidden:
        await tx.close()  # nothing comes of it, and a task is in one transaction at a time
        async with begin() as note:
            note.emit(WebhookTargetForbidden(None, actor.id, target.host))
        said = "This is not the address of a server on the internet."
        raise ValidationFailed(details=[Detail("url", said, "TARGET_FORBIDDEN")]) from None


async def get_own(tx: Tx, actor: Actor, webhook_id: UUID) -> Hook:
    """The hook, if it is the actor's. Raises :class:`WebhookNotFound`."""
    return _own(actor, await store.find(tx, webhook_id))


async def hold(tx: Tx, actor: Member, webhook_id: UUID) -> Hook:
    """A hook of the actor's, which nobody else changes until ``tx`` is over. Raises WebhookNotFound."""
    return _own(actor, await store.lock(tx, webhook_id))


def _own(actor: Actor, hook: Hook | None) -> Hook:
    if hook is None or not may(actor, Action.USE_WEBHOOK, hook):
        raise WebhookNotFound
    return hook


async def list_own(tx: Tx, actor: Member) -> list[Webhook]:
    """Every hook of the actor's, the oldest first."""
    return [view(hook) for hook in await store.list_of(tx, actor.id)]


async def update(
    tx: Tx, actor: Member, means: HookMeans, begin: Begin, webhook_id: UUID, changes: WebhookChanges
) -> Webhook:
    """Change a hook. Raises :class:`WebhookNotFound`, and :class:`ValidationFailed` as :func:`register`."""
    given = {
        name: value for name, value in msgspec.structs.asdict(changes).items() if value is not msgspec.UNSET
    }
    if "url" in given:
        await _check_target(tx, means, actor, begin, given["url"])
    hook = await hold(tx, actor, webhook_id)
    if "events" in given:
        given["events"] = list(dict.fromkeys(given["events"]))
    changed = {name for name, value in given.items() if value != getattr(hook, name)}
    if not changed:
        return view(hook)
    if "enabled" in changed:
        given |= await turn(tx, hook, on=given["enabled"])
    saved = await store.save(tx, hook, **given)
    if "url" in changed or ("enabled" in changed and saved.enabled):
        # What has failed elsewhere, or before, says nothing of how it goes now.
        await queues_store.heal(tx, hook.id)
        saved = msgspec.structs.replace(saved, failing_since=None)
        tx.notify(queues_store.CHANNEL)
    tx.emit(WebhookUpdated(hook.id, hook.user_id, tuple(sorted(changed))))
    return view(saved)


async def turn(tx: Tx, hook: Hook, *, on: bool) -> dict[str, object]:
    """What else changes about a held hook that is turned on or off; and what is queued is not delivered."""
    if on:
        # Where what was queued when it was turned off is not all skipped yet, it is before that, too.
        queued = await deliveries_store.last_queued(tx, hook.id)
        return {"disabled_reason": None, "enabled_since": _after(hook.enabled_since, queued)}
    await skip_queued(tx, hook)
    return {"disabled_reason": OWNER}


def _after(*moments: datetime | None) -> datetime:
    """Now, and after these; times of a hook go on when those of the clock are set back."""
    told = (moment + timedelta(microseconds=1) for moment in moments if moment is not None)
    return max(clock.now(), *told)


async def skip_queued(tx: Tx, hook: Hook) -> None:
    """Nothing that is queued for a hook by now is delivered; it can be, once more, when it is on again."""
    await enqueue(tx, SKIP, SkipBefore(hook.id, _after(hook.enabled_since)))


async def delete(tx: Tx, actor: Member, webhook_id: UUID) -> None:
    """Delete a hook; nothing more is delivered, and what was is forgotten. Raises WebhookNotFound."""
    hook = await hold(tx, actor, webhook_id)
    await store.delete(tx, hook.id)
    await enqueue(tx, FORGET, Hooked(hook.id))
    tx.emit(WebhookDeleted(hook.id, hook.user_id))


async def regenerate(tx: Tx, actor: Member, means: HookMeans, webhook_id: UUID, draft: KeyDraft) -> NewKeys:
    """Other keys for a hook, told this once: the API key at once, the secret beside the old one for a day.

    Raises :class:`WebhookNotFound`.
    """
    hook, now = await hold(tx, actor, webhook_id), clock.now()
    try:
        keys = open_keys(means.keyring, hook.id, hook.keys).renewed(draft.secret, now)
    except SecretRefused:  # nobody can sign with what was there
        keys = make_keys(draft.secret)
    await store.save(tx, hook, keys=seal(means.keyring, hook.id, keys))
    tx.emit(WebhookKeysChanged(hook.id, hook.user_id))
    return NewKeys(keys.api_key, keys.secret, now + OLD_SIGNS_FOR)


async def stats(tx: Tx, actor: Member) -> Stats:
    """What became of the events that were to be delivered to all hooks of the actor's."""
    sums = await store.sums(tx, actor.id)
    return Stats(sums.hooks, sums.delivered + sums.failed, sums.delivered, sums.failed)


async def remove_user_hooks(tx: Tx, user_id: UUID) -> None:
    """Somebody's hooks go with their account."""
    hooks = [hook.id for hook in await store.list_of(tx, user_id)]
    await store.delete(tx, *hooks)
    for hook_id in hooks:
        await enqueue(tx, FORGET, Hooked(hook_id))


def view(hook: Hook) -> Webhook:
    """A hook as its owner sees it."""
    return Webhook(**{name: getattr(hook, name) for name in Webhook.__struct_fields__})
