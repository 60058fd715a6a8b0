"""One hook's deliveries, for as long as it is somebody's turn to see to them.

Whoever holds the lease of a queue is alone with it: so the number of requests at a time is bounded for each
receiver, wherever the workers are, and what is ordered is delivered in its order.
"""

import asyncio
from collections import deque
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import structlog

from veza.core import clock
from veza.core.db import Database
from veza.core.errors import VezaError
from veza.core.job_envelope import cause_of
from veza.core.outgoing import Line
from veza.core.targets import read_target
from veza.core.tracing import About, Kind, begin, tracing
from veza.rooms.sessions import standing
from veza.rooms.webhooks import deliveries_store, patience, queues_store, store
from veza.rooms.webhooks.catalogue import Withheld, tell
from veza.rooms.webhooks.deliveries_store import Due
from veza.rooms.webhooks.queues_store import Claim
from veza.rooms.webhooks.recording import Outcome, Recorder
from veza.rooms.webhooks.sending import Message, Post, Sender
from veza.rooms.webhooks.store import Hook

log = structlog.get_logger()

# Requests to one receiver at a time; one, while it fails, and for what is ordered.
HANDS = 4
# After so many seconds others that wait have their turn.
TURN_SECONDS = 5.0
# A receiver that has said nothing for so long is not waited for by others.
SLOW_SECONDS = 1.0
# Whatever went wrong with us and not with the receiver: it shall not go wrong all the time.
AFTER_TROUBLE = timedelta(seconds=5)
_PICKED = 64
_PIECE = 500
_READS_SHARED, _READS_ALONE = 4, 400


class Office:
    """What all drives of a process work with; ``reads`` bounds how many look things up at a time."""

    def __init__(self, database: Database, sender: Sender) -> None:
        self.database = database
        self.sender = sender
        self.recorder = Recorder(database)
        # Of PostgreSQL's connections most are left to those who wait for an answer.
        self.reads = asyncio.Semaphore(_READS_SHARED if database.shared else _READS_ALONE)


class Drive:
    """Delivers what is due for one hook until nothing is, its turn is over, or it fails too often.

    ``leased_until`` is by the monotonic clock; past it nothing more is begun.
    """

    def __init__(self, office: Office, claim: Claim, line: Line, leased_until: float) -> None:
        self._office = office
        self.claim = claim
        self.line = line
        self.leased_until = leased_until
        self.stopped = False
        self._failures = claim.failures
        self._failing_since = claim.failing_since
        self._ordered = False
        # By the monotonic clock.
        self._rests_until = 0.0
        self._next_late = self._heard = clock.monotonic()
        self._answered = False
        self._ends = 0.0
        self._slowest = 0.0

    @property
    def failing(self) -> bool:
        """Whether the receiver did not do well when it was last asked."""
        return self._failures > 0

    @property
    def slow(self) -> bool:
        """Whether all that goes on here is that a receiver is waited for."""
        return clock.monotonic() - self._heard > SLOW_SECONDS

    @property
    def answered(self) -> bool:
        """Whether the receiver answered when it was last asked."""
        return self._answered

    @property
    def was_slow(self) -> bool:
        """Whether the receiver took long to answer."""
        return self._slowest > SLOW_SECONDS

    async def run(self) -> None:
        """Deliver, and give the queue back."""
        self._ends = clock.monotonic() + TURN_SECONDS
        try:
            going = await self._begin()
            while going and not self.stopped and clock.monotonic() < self._ends:
                due = await self._pick()
                if not due:
                    break
                await self._deliver_all(due)
        except Exception:
            self._rest_until(AFTER_TROUBLE)
            raise
        finally:
            await asyncio.shield(self._release())

    async def _begin(self) -> bool:
        """Whether there is a hook that is on; what was queued before it was turned on is skipped.

        So is all where it is off: what was written meanwhile by somebody who still saw it on.
        """
        async with self._office.database.read() as view:
            hook = await store.find(view, self.claim.webhook_id)
        if hook is None:
            return False
        self._ordered = hook.ordered
        more = not hook.enabled or hook.enabled_since > hook.created_at
        while more:
            async with self._office.database.write() as tx:
                held = hook if hook.enabled else await store.lock(tx, hook.id)
                if held is None:
                    return False
                until = held.enabled_since if held.enabled else None
                more = await deliveries_store.skip(tx, hook.id, until, _PIECE)
        return hook.enabled

    async def _pick(self) -> Sequence[Due]:
        async with self._office.reads, self._office.database.read() as view:
            return await deliveries_store.pick(view, self.claim.webhook_id, _PICKED, ordered=self._ordered)

    async def _deliver_all(self, due: Sequence[Due]) -> None:
        """One hand begins; where that goes well, and order does not count, others help."""
        waiting = deque(due)
        if not self._answered:
            await self._work(deque([waiting.popleft()]))
        if self._ordered or self._failures:
            await self._work(waiting)
            return
        async with asyncio.TaskGroup() as group:
            for _ in range(HANDS):
                group.create_task(self._work(waiting))

    async def _work(self, waiting: deque[Due]) -> None:
        while waiting and not self.stopped:
            one = waiting.popleft()
            # What is ordered waits for what comes before it; and what takes long, for the next turn.
            if one.due_at > clock.now() or clock.monotonic() > min(self.leased_until, self._ends):
                self.stopped = True
                return
            await self._deliver(one)

    async def _deliver(self, due: Due) -> None:
        if due.attempt or clock.now() - due.event_at > patience.LATE_AFTER:
            await self._keep_pace()
        async with self._office.reads, self._office.database.read() as view:
            hook = await store.find(view, self.claim.webhook_id)
            if hook is None or not hook.enabled or due.queued_at < hook.enabled_since:
                self.stopped = True
                return
            try:
                data = await self._tell(view, hook, due)
            except Withheld:
                data = None
        if data is None:
            await self._withhold(due)
            return
        message = Message(due.event_id, due.kind, due.event_at, data)
        about: About = {
            "veza.event.id": str(due.event_id),
            "veza.webhook.id": str(hook.id),
            "veza.attempt": due.attempt + 1,
        }
        cause = cause_of(due.data) if tracing.recorder else None
        with begin(f"deliver {due.kind}", Kind.INTERNAL, about, parent=cause) as span:
            post = await self._office.sender.send(self.line, hook, message)
            if not post.arrived:
                span.fail(post.attempt.error or "BAD_STATUS")
        self._slowest = max(self._slowest, post.attempt.latency_ms / 1000)
        self._heard, self._answered = clock.monotonic(), post.attempt.status is not None
        await self._conclude(due, hook, post)

    async def _tell(self, view: Any, hook: Hook, due: Due) -> Any:
        owner = await standing.find_owner(view, hook.user_id)
        if owner is None:
            raise Withheld
        try:
            return await tell(view, owner, due.kind, due.data)
        except (Withheld, VezaError):
            raise
        except Exception as error:
            # An event of another version of this program, say: nobody is told, and nobody is held up.
            log.exception("webhooks.untellable", kind=due.kind, event_id=str(due.event_id))
            raise Withheld from error

    async def _keep_pace(self) -> None:
        now = clock.monotonic()
        self._next_late = max(self._next_late, now) + 1 / patience.LATE_PER_SECOND
        await asyncio.sleep(self._next_late - now)

    async def _withhold(self, due: Due) -> None:
        await self._record(due, "skipped", None, None)

    async def _conclude(self, due: Due, hook: Hook, post: Post) -> None:
        now, tried = clock.now(), due.attempt + 1
        if post.arrived:
            self._failures, self._failing_since = 0, None
            await self._record(due, "delivered", None, post, asked=hook)
            return
        self._failures += 1
        self._failing_since = since = self._failing_since or post.attempt.at
        disabled = None
        if post.attempt.status == patience.GONE:
            disabled = "gone"
        elif now - since >= patience.GIVEN_UP_AFTER:
            disabled = "failing"
        due_at = None if disabled else patience.next_attempt(tried, now, post.retry_after)
        rest = patience.rest(self._failures, post.attempt, now, post.retry_after)
        if rest is not None:
            self._rest_until(rest - now)
        self.stopped = self.stopped or self._ordered or disabled is not None or rest is not None
        forbidden = read_target(hook.url).host if post.attempt.error == "TARGET_FORBIDDEN" else None
        status = "waiting" if due_at else "failed"
        await self._record(
            due, status, due_at, post, asked=hook, disabled=disabled, forbidden=forbidden,
            anew_at=patience.next_attempt(tried, now, ""),
        )  # fmt: skip

    async def _record(
        self, due: Due, status: str, due_at: datetime | None, post: Post | None, **more: Any
    ) -> None:
        outcome = Outcome(
            claim=self.claim,
            due=due,
            status=status,
            due_at=due_at,
            at=clock.now(),
            post=post,
            failures=self._failures,
            failing_since=self._failing_since,
            rests_until=self._rest(),
            **more,
        )
        if not await self._office.recorder.record(outcome):
            self.stopped = True  # whoever has the next turn begins anew

    def _rest_until(self, wanted: timedelta) -> None:
        """Leave the receiver alone for so long, or longer where another of its answers asked for that."""
        self._rests_until = max(self._rests_until, clock.monotonic() + wanted.total_seconds())

    def _rest(self) -> datetime | None:
        left = self._rests_until - clock.monotonic()
        return clock.now() + timedelta(seconds=left) if left > 0 else None

    async def _release(self) -> None:
        async with self._office.database.write() as tx:
            await queues_store.release(tx, self.claim, ordered=self._ordered, not_before=self._rest())
