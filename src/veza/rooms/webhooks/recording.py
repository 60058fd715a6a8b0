"""What came of attempts, written down: those that end while one commit is under way share the next."""

import asyncio
from collections import Counter
from collections.abc import Collection, Sequence
from datetime import datetime
from uuid import UUID

import msgspec
import structlog

from veza.core.db import Database, Tx
from veza.core.targets import host_of
from veza.rooms.webhooks import deliveries_store, queues_store, store
from veza.rooms.webhooks.deliveries_store import Due
from veza.rooms.webhooks.events import WebhookDisabled, WebhookTargetForbidden
from veza.rooms.webhooks.queues_store import Claim
from veza.rooms.webhooks.sending import Post
from veza.rooms.webhooks.service import skip_queued
from veza.rooms.webhooks.store import Hook

log = structlog.get_logger()

# A few milliseconds of the one writer.
MOST = 64


class Outcome(msgspec.Struct, frozen=True):
    """What came of one attempt, or of one that was not to be made (``post`` is None).

    ``failures``, ``failing_since`` and ``rests_until`` are the hook's, after it; ``disabled`` is why it is
    turned off with it. All that is of the hook as it was ``asked``: where it is to begin anew since, what has
    failed is tried again at ``anew_at``.
    """

    claim: Claim
    due: Due
    status: str
    due_at: datetime | None
    at: datetime
    post: Post | None
    failures: int
    failing_since: datetime | None
    rests_until: datetime | None
    asked: Hook | None = None
    disabled: str | None = None
    forbidden: str | None = None
    anew_at: datetime | None = None

    @property
    def hook_id(self) -> UUID:
        """Whose it is."""
        return self.claim.webhook_id

    @property
    def concerns_hook(self) -> bool:
        """Whether what follows from it depends on what the hook is by now."""
        return (self.disabled or self.forbidden or self.anew_at) is not None


_Waiting = tuple[Outcome, "asyncio.Future[bool]"]


class Recorder:
    """Writes outcomes down, in transactions that are shared."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._waiting: list[_Waiting] = []
        self._work: asyncio.Task[None] | None = None

    async def record(self, outcome: Outcome) -> bool:
        """Return once it is durable: False where the hook is to begin anew. Raises what the database does."""
        done: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._waiting.append((outcome, done))
        if self._work is None:
            self._work = asyncio.create_task(self._record_all(), name="webhooks-record")
        return await done

    async def _record_all(self) -> None:
        try:
            while self._waiting:
                batch, self._waiting = self._waiting[:MOST], self._waiting[MOST:]
                await self._record(batch)
        finally:
            self._work = None

    async def _record(self, batch: Sequence[_Waiting]) -> None:
        problem: Exception | None = None
        noted: Collection[UUID] = ()
        try:
            async with self._database.write() as tx:
                noted = await _write(tx, [one for one, _ in batch])
        except Exception as error:  # noqa: BLE001 - told to everybody who waits
            problem = error
        for one, done in batch:
            if done.done():
                continue
            if problem is None:
                done.set_result(one.hook_id in noted)
            else:
                done.set_exception(problem)


async def _write(tx: Tx, outcomes: Sequence[Outcome]) -> Collection[UUID]:
    """Write it all down; the hooks of which it says how they do."""
    # Hooks before deliveries and queues, each in one order: who else holds several of these does it so, too.
    concerned = sorted({one.hook_id for one in outcomes if one.concerns_hook})
    hooks = {hook_id: await store.lock(tx, hook_id) for hook_id in concerned}
    outcomes = [await _as_of_now(tx, one, hooks.get(one.hook_id)) for one in outcomes]
    ended: dict[UUID, Counter[str]] = {}
    for one in sorted(outcomes, key=lambda one: (one.hook_id, one.due.event_id)):
        kept = await _write_one(tx, one)
        if kept and one.due_at is None:
            ended.setdefault(one.hook_id, Counter())[one.status] += 1
    noted = set[UUID]()
    last = {one.hook_id: one for one in sorted(outcomes, key=lambda one: one.claim.lease)}
    for hook_id, one in sorted(last.items(), key=lambda item: item[0]):
        counted = ended.get(hook_id, Counter())
        if await queues_store.note(
            tx,
            one.claim,
            one.failures,
            one.failing_since,
            one.rests_until,
            delivered=counted["delivered"],
            failed=counted["failed"],
        ):
            noted.add(hook_id)
    for one in outcomes:
        if hook := hooks.get(one.hook_id):
            await _follow(tx, one, hook)
    return noted


async def _as_of_now(tx: Tx, one: Outcome, hook: Hook | None) -> Outcome:
    """What has failed at an address, or in a time, that is not the hook's any more ends neither of the two.

    ``hook`` is locked, so nobody asks to begin anew with it in the meantime.
    """
    if hook is None or one.asked is None or one.status == "delivered" or not hook.enabled:
        return one
    same = (hook.url, hook.enabled_since) == (one.asked.url, one.asked.enabled_since)
    if same and await queues_store.is_as_claimed(tx, one.claim):
        return one
    status = "waiting" if one.anew_at else "failed"
    return msgspec.structs.replace(one, status=status, due_at=one.anew_at, disabled=None)


async def _write_one(tx: Tx, one: Outcome) -> bool:
    due, post = one.due, one.post
    tries = [*due.attempts, post.attempt] if post else due.attempts
    return await deliveries_store.note_attempt(
        tx,
        one.hook_id,
        due.event_id,
        due.attempt,
        status=one.status,
        due_at=one.due_at,
        attempt=due.attempt + (post is not None),
        attempts=tries[-deliveries_store.MOST_ATTEMPTS :],
        headers=post.shown if post else None,
        body=post.body if post else None,
        concluded_at=one.at if one.due_at is None else None,
    )


async def _follow(tx: Tx, one: Outcome, hook: Hook) -> None:
    """What else is to be known of an outcome."""
    if one.forbidden is not None:
        tx.emit(WebhookTargetForbidden(hook.id, hook.user_id, one.forbidden))
    if one.disabled is not None and await store.disable(tx, hook.id, one.disabled):
        await skip_queued(tx, hook)
        tx.emit(WebhookDisabled(hook.id, hook.user_id, one.disabled, host_of(hook.url)))
        log.info("webhooks.disabled", webhook_id=str(hook.id), reason=one.disabled)
