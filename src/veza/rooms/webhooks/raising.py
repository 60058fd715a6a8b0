"""From events to deliveries: written in the transaction of what happened, so that none is lost or invented.

Whoever has no hook costs nothing where it is known who has one, and one look-up else.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import Any
from uuid import UUID

from veza.core.db import Database, Tx
from veza.core.events import Recorded
from veza.core.job_envelope import with_cause
from veza.core.tracing import here
from veza.rooms.webhooks import deliveries_store, store
from veza.rooms.webhooks.catalogue import ALL, CATALOGUE
from veza.rooms.webhooks.queues_store import CHANNEL
from veza.rooms.webhooks.store import Subscription

_TABLES = ("webhooks",)
MOST_REMEMBERED = 10_000


class Raiser:
    """Writes down what hooks are to hear of.

    Where this process sees every change of hooks, who has which is remembered until the next of them.
    """

    def __init__(self) -> None:
        self._known: dict[UUID, Sequence[Subscription]] = {}
        self._version: int | None = None

    async def raise_all(self, tx: Tx, happened: Sequence[Recorded]) -> None:
        """Write the deliveries of these events, if anybody wants any."""
        concerned = [
            (one, CATALOGUE[one.event.kind].whom(one.event))
            for one in happened
            if one.event.kind in CATALOGUE
        ]
        if not concerned:
            return
        hooks = await self._hooks_of(tx, {user_id for _, whom in concerned for user_id in whom})
        if not hooks:
            return
        rows = [
            _row(one, hook)
            for one, whom in concerned
            for user_id in sorted(whom)
            for hook in hooks.get(user_id, ())
            if ALL in hook.events or one.event.kind in hook.events
        ]
        if rows:
            await deliveries_store.add(tx, rows)
            tx.notify(CHANNEL)

    async def _hooks_of(self, tx: Tx, users: set[UUID]) -> dict[UUID, Sequence[Subscription]]:
        version = tx.database.version(_TABLES)
        if version is None:
            return _by_user(await store.subscriptions(tx, sorted(users)))
        if version != self._version or len(self._known) > MOST_REMEMBERED:
            self._version = version
            self._known = {}
        hooks = {user_id: self._known.get(user_id, ()) for user_id in users}
        if missing := sorted(users - self._known.keys()):
            found = _by_user(await store.subscriptions(tx, missing))
            asked = {user_id: found.get(user_id, ()) for user_id in missing}
            hooks |= asked
            # What ``tx`` sees and others of its commit have changed may come to nothing.
            tx.on_commit(partial(self._remember, tx.database, version, asked))
        return {user_id: theirs for user_id, theirs in hooks.items() if theirs}

    def _remember(
        self, database: Database, version: int, asked: Mapping[UUID, Sequence[Subscription]]
    ) -> None:
        if self._version == version == database.version(_TABLES):
            self._known |= asked


def _by_user(found: Iterable[Subscription]) -> dict[UUID, Sequence[Subscription]]:
    hooks = defaultdict[UUID, list[Subscription]](list)
    for one in found:
        hooks[one.user_id].append(one)
    return dict(hooks)


def _row(one: Recorded, hook: Subscription) -> dict[str, Any]:
    return {
        "webhook_id": hook.id,
        "event_id": one.id,
        "kind": one.event.kind,
        "data": with_cause(one.event, here()),
        "event_at": one.at,
        # Never before the hook was turned on, whatever was done to the clock since.
        "queued_at": max(one.at, hook.enabled_since),
        # Of a hook that is off it is kept that it was to be: it can be delivered once the hook is on again.
        "status": "fresh" if hook.enabled else "skipped",
        "concluded_at": None if hook.enabled else one.at,
    }
