"""What is done about webhooks when nobody waits for it."""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

import msgspec

from veza.core import clock
from veza.core.db import Database, Tx
from veza.core.events import EventJob
from veza.core.jobs import Job, NoPayload
from veza.core.mail import Mailer, MailRefused, render
from veza.core.postage import Postage
from veza.core.targets import host_of
from veza.core.worker import Task
from veza.rooms.accounts import profiles
from veza.rooms.webhooks import deliveries_store, queues_store, store
from veza.rooms.webhooks.catalogue import TEST
from veza.rooms.webhooks.deliveries_store import Row
from veza.rooms.webhooks.events import WebhookDisabled
from veza.rooms.webhooks.kinds import (
    FORGET,
    PURGE,
    REPLAY,
    RETRY,
    SEND_DISABLED,
    SKIP,
    Hooked,
    Replay,
    Retry,
    SkipBefore,
)
from veza.rooms.webhooks.store import Hook

KEPT = timedelta(days=30)
# A few milliseconds of the writer.
PIECE = 500
_FIRST = UUID(int=0)

_REASONS = {
    "failing": "For five days nothing that was sent there has arrived.",
    "gone": "The receiver answered that it is gone for good (410).",
}


class HookJobs:
    """The jobs of this room, with what they work on."""

    def __init__(self, database: Database, mailer: Mailer, base_url: str, postage: Postage) -> None:
        self._database = database
        self._mailer = mailer
        self._base_url = base_url
        self._postage = postage

    def tasks(self) -> Sequence[Task]:
        """What the worker is to know."""
        return [
            Task(FORGET, self.forget),
            Task(SKIP, self.skip),
            Task(REPLAY, self.replay),
            Task(RETRY, self.retry),
            Task(SEND_DISABLED, self.send_disabled),
            Task(PURGE, self.purge),
        ]

    async def forget(self, job: Job, what: Hooked) -> None:
        """Remove the deliveries of a hook that is gone."""
        del job
        await self._remove(what.webhook_id, deliveries_store.LAST)

    async def skip(self, job: Job, what: SkipBefore) -> None:
        """Mark what was queued for a hook when it was turned off; all there is, as long as it is off."""
        del job
        more = True
        while more:
            async with self._database.write() as tx:
                hook = await store.lock(tx, what.webhook_id)
                if hook is None:
                    return
                until = hook.enabled_since if hook.enabled else None
                more = await deliveries_store.skip(tx, hook.id, until, PIECE)

    async def replay(self, job: Job, what: Replay) -> None:
        """Have the events of some time delivered once more, the oldest first."""
        del job
        after, until = deliveries_store.first_id_at(what.since), deliveries_store.first_id_at(what.until)
        while True:
            async with self._database.write() as tx:
                hook = await store.find(tx, what.webhook_id)
                if hook is None:
                    return
                rows = await deliveries_store.list_since(tx, what.webhook_id, after, PIECE, without=TEST)
                rows = [row for row in rows if row.event_id < until]
                wanted = [
                    row
                    for row in rows
                    if row.event_at >= what.since
                    and row.status in deliveries_store.CONCLUDED
                    and not (what.undelivered_only and row.status == "delivered")
                ]
                await _begin_anew(tx, hook, wanted)
            if len(rows) < PIECE:
                return
            after = rows[-1].event_id

    async def retry(self, job: Job, what: Retry) -> None:
        """Have what was not delivered while a hook failed delivered once more, and what waits at once."""
        # What was queued when it was turned off may not all be skipped by now.
        await self.skip(job, SkipBefore(what.webhook_id, what.until))
        if what.since is not None:
            for status in ("failed", "skipped"):
                await self._redeliver(what.webhook_id, status, what.since)
        more = True
        while more:
            async with self._database.write() as tx:
                more = await deliveries_store.hasten(tx, what.webhook_id, PIECE)
                await queues_store.wake(tx, [what.webhook_id])
                tx.notify(queues_store.CHANNEL)

    async def _redeliver(self, hook_id: UUID, status: str, since: datetime) -> None:
        after, more = _FIRST, True
        while more:
            async with self._database.write() as tx:
                hook = await store.find(tx, hook_id)
                if hook is None:
                    return
                rows = await deliveries_store.list_ended(
                    tx, hook_id, status, since, after, PIECE, without=TEST
                )
                await _begin_anew(tx, hook, rows)
            more = len(rows) == PIECE
            after = rows[-1].event_id if rows else after

    async def send_disabled(self, job: Job, told: EventJob) -> None:
        """Tell somebody that a hook of theirs was turned off."""
        event = msgspec.convert(told.data, WebhookDisabled)
        async with self._database.read() as view:
            hook = await store.find(view, event.webhook_id)
            users = await profiles.list_by_ids(view, [event.user_id])
        if hook is None or not users:
            return
        (user,) = users
        if not await self._postage.covers(job, user.email, confirmed=user.email_verified, kind=told.kind):
            return
        mail = render(
            "webhook_disabled", to=user.email, public_url=self._base_url, username=user.username,
            host=event.host or host_of(hook.url), when=job.created_at, reason=_REASONS[event.reason],
        )  # fmt: skip
        try:
            await self._mailer.send(mail, key=job.id)
        except MailRefused:
            return  # it never will be taken; the hook itself says that it is off

    async def purge(self, job: Job, what: NoPayload) -> None:
        """Remove deliveries that are a month old, and those of hooks that are gone."""
        del job, what
        old, hook_id = deliveries_store.first_id_at(clock.now() - KEPT), _FIRST
        while True:
            async with self._database.read() as view:
                found = await deliveries_store.next_hook(view, hook_id)
                kept = found is not None and await store.find(view, found) is not None
            if found is None:
                return
            await self._remove(found, old if kept else deliveries_store.LAST)
            hook_id = found

    async def _remove(self, hook_id: UUID, until: UUID) -> None:
        more = True
        while more:
            async with self._database.write() as tx:
                more = await deliveries_store.remove(tx, hook_id, until, PIECE)


async def _begin_anew(tx: Tx, hook: Hook, rows: Sequence[Row]) -> None:
    begun = Counter[str]()
    for row in rows:
        if await deliveries_store.requeue(tx, row, hook.enabled_since):
            begun[row.status] -= 1
    await queues_store.count(tx, hook.id, begun)
    tx.notify(queues_store.CHANNEL)
