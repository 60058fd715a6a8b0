"""What came of attempts, written down: those that end while one commit is under way share the next."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

import msgspec
import structlog

from veza.core.db import Database, Tx
from veza.core.targets import read_target
from veza.rooms.webhooks import deliveries_store, queues_store, store
from veza.rooms.webhooks.deliveries_store import Due
from veza.rooms.webhooks.events import WebhookDisabled, WebhookTargetForbidden
from veza.rooms.webhooks.sending import Post
from veza.rooms.webhooks.service import skip_queued
from veza.rooms.webhooks.store import Hook

log = structlog.get_logger()

# A few milliseconds of the one writer.
MOST = 64


class Outcome(msgspec.Struct, frozen=True):
    """What came of one attempt, or of one that was not to be made (``post`` is None).

    ``failures``, ``failing_since`` and ``rests_until`` are the hook's, after it; ``disabled`` is why it is
    turned off with it.
    """

    hook_id: UUID
    due: Due
    status: str
    due_at: datetime | None
    at: datetime
    post: Post | None
    failures: int
    failing_since: datetime | None
    rests_until: datetime | None
    disabled: str | None = None
    forbidden: str | None = None


_Waiting = tuple[Outcome, "asyncio.Future[None]"]


class Recorder:
    """Writes outcomes down, in transactions that are shared."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._waiting: list[_Waiting] = []
        self._work: asyncio.Task[None] | None = None

    async def record(self, outcome: Outcome) -> None:
        """Return once it is durable. Raises what the database does."""
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((outcome, done))
        if self._work is None:
            self._work = asyncio.create_task(self._record_all(), name="webhooks-record")
        await done

    async def _record_all(self) -> None:
        try:
            while self._waiting:
                batch, self._waiting = self._waiting[:MOST], self._waiting[MOST:]
                await self._record(batch)
        finally:
            self._work = None

    async def _record(self, batch: Sequence[_Waiting]) -> None:
        problem: Exception | None = None
        try:
            async with self._database.write() as tx:
                await _write(tx, [one for one, _ in batch])
        except Exception as error:  # noqa: BLE001 - told to everybody who waits
            problem = error
        for _, done in batch:
            if done.done():
                continue
            if problem is None:
                done.set_result(None)
            else:
                done.set_exception(problem)


async def _write(tx: Tx, outcomes: Sequence[Outcome]) -> None:
    ended: dict[UUID, Counter[str]] = {}
    last: dict[UUID, Outcome] = {}
    # Hooks before deliveries and queues, each in one order: who else holds several of these does it so, too.
    told_of = sorted({one.hook_id for one in outcomes if one.disabled or one.forbidden})
    hooks = {hook_id: await store.lock(tx, hook_id) for hook_id in told_of}
    for one in sorted(outcomes, key=lambda one: (one.hook_id, one.due.event_id)):
        kept = await _write_one(tx, one)
        if kept and one.due_at is None:
            ended.setdefault(one.hook_id, Counter())[one.status] += 1
    for one in outcomes:
        last[one.hook_id] = one
    for hook_id, one in sorted(last.items(), key=lambda item: item[0]):
        counted = ended.get(hook_id, Counter())
        await queues_store.note(
            tx,
            hook_id,
            one.failures,
            one.failing_since,
            one.rests_until,
            delivered=counted["delivered"],
            failed=counted["failed"],
        )
    for one in outcomes:
        if hook := hooks.get(one.hook_id):
            await _follow(tx, one, hook)


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
        tx.emit(WebhookDisabled(hook.id, hook.user_id, one.disabled, read_target(hook.url).host))
        log.info("webhooks.disabled", webhook_id=str(hook.id), reason=one.disabled)
