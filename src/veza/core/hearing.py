"""Events that are heard many at a time, since what follows from each costs little beside a transaction.

A piece of what is queued is heard and struck off in one transaction, so that each event has its effect once,
whenever the process is killed. Where a piece fails, each of its events becomes a job, and is tried with the
patience of its kind. After each piece comes a rest, many times as long while the process is busy, for
requests go before; what is queued meanwhile makes the next piece larger, and so cheaper.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from uuid import UUID

import msgspec
import sqlalchemy as sa
import structlog

from veza.core import clock
from veza.core.db import Database, Statement, Tx, any_of
from veza.core.events import QUEUED, EventJob, event_queue, events
from veza.core.jobs import JobKind, enqueue
from veza.core.tracing import About, Kind, begin

log = structlog.get_logger()

# Some milliseconds of the one writer.
PIECE = 50
# How much longer than a piece the rest after it is, at most, in seconds too; a process of which so much was
# idle meanwhile is not busy, and then it ends.
RESTS, LONGEST_REST, _IDLE = 16.0, 0.25, 0.5
_STEP = 0.02
_LONGEST_SLEEP, _SHARED_POLL, _TROUBLE = 30.0, 2.0, 1.0

Q, E = event_queue.c, events.c


class Heard(msgspec.Struct, frozen=True):
    """What happened, its fields as JSON, and who caused it."""

    id: UUID
    kind: str
    data: str
    actor_id: UUID | None


HearAll = Callable[[Tx, Sequence[Heard]], Awaitable[None]]

_next = (
    sa.select(Q.event_id)
    .where(Q.kind == sa.bindparam("of_kind"))
    .order_by(Q.event_id)
    .limit(sa.bindparam("count"))
    .with_for_update(skip_locked=True)
    .cte("next")
)
_TAKE = Statement(
    sa.delete(event_queue)
    .where(Q.kind == sa.bindparam("of_kind"), Q.event_id.in_(sa.select(_next.c.event_id)))
    .returning(Q.event_id),
    UUID,
)
_IS_QUEUED = Statement(sa.select(sa.literal(1)).where(Q.kind == sa.bindparam("of_kind")).limit(1), int)
_OF = Statement(
    sa.select(E.id, E.kind, sa.type_coerce(E.data, sa.Text).label("data"), E.actor_id)
    .where(any_of(E.id, "ids"))
    .order_by(E.id),
    Heard,
)


class Hearer:
    """Hears what is queued for a kind of job, until cancelled."""

    def __init__(self, database: Database, kind: JobKind[EventJob], hear_all: HearAll) -> None:
        self._database = database
        self._kind = kind
        self._hear_all = hear_all
        self._poll = _SHARED_POLL if database.shared else _LONGEST_SLEEP
        self._woken = asyncio.Event()
        database.listen(QUEUED, self._woken.set)

    async def run(self) -> None:
        """Hear piece after piece, and rest after each."""
        while True:
            self._woken.clear()
            try:
                took = await self.hear()
            except Exception:
                log.exception("events.not_heard", kind=self._kind.name)
                await asyncio.sleep(_TROUBLE)
                continue
            if took is None:
                await self._wait()
            else:
                await _rest(min(took * RESTS, LONGEST_REST))

    async def _wait(self) -> None:
        try:
            async with asyncio.timeout(self._poll):
                await self._woken.wait()
        except TimeoutError:
            pass

    async def hear(self) -> float | None:
        """Hear a piece; how many seconds it took, or None where nothing was queued."""
        async with self._database.read() as view:
            if await view.first(_IS_QUEUED, of_kind=self._kind.name) is None:
                return None
        try:
            return await self._hear_piece()
        except Exception:
            log.exception("events.piece_failed", kind=self._kind.name)
        await self._leave_to_jobs()
        return 0.0

    async def _hear_piece(self) -> float:
        async with self._database.write() as tx:
            found = await self._take(tx)
            began = clock.monotonic()
            if found:
                about: About = {"messaging.system": "veza", "messaging.batch.message_count": len(found)}
                with begin(f"hear {self._kind.name}", Kind.CONSUMER, about):
                    await self._hear_all(tx, found)
            return clock.monotonic() - began

    async def _take(self, tx: Tx) -> list[Heard]:
        """Strike off the next ones; what they are, but for those that are forgotten by now."""
        ids = await tx.all(_TAKE, of_kind=self._kind.name, count=PIECE)
        return await tx.all(_OF, ids=ids) if ids else []

    async def _leave_to_jobs(self) -> None:
        """One of a piece cannot be heard: none of the others shall bear it."""
        async with self._database.write() as tx:
            for one in await self._take(tx):
                await enqueue(tx, self._kind, EventJob(one.id, one.kind, msgspec.json.decode(one.data)))


async def _rest(seconds: float) -> None:
    """Leave the process to others: a moment at least, and so long while they need it."""
    ends = clock.monotonic() + seconds
    while True:
        began, used = clock.monotonic(), time.process_time()
        await asyncio.sleep(_STEP)
        now = clock.monotonic()
        if now >= ends or time.process_time() - used < (1 - _IDLE) * (now - began):
            return
