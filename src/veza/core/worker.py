"""Runs the jobs of a lane: claims what is due, keeps leases, retries with patience, buries the hopeless."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta
from errno import EAGAIN, EIO, EMFILE, ENFILE, ENOMEM, EROFS
from functools import partial
from time import perf_counter
from typing import Any

import msgspec
import structlog

from veza.core import clock
from veza.core.db import Database, Tx
from veza.core.errors import NO_ROOM, InsufficientStorage, Unavailable, VezaError
from veza.core.job_envelope import queued_at
from veza.core.job_times import ClockWatch, set_right
from veza.core.jobs import (
    BURY,
    CHANNEL,
    CLAIM,
    GIVE_BACK,
    HOLD_CLAIMED,
    LEASE,
    MOVE,
    NEXT,
    PUT_OFF,
    RELEASE_ALL,
    RESTART,
    DeadHandler,
    Handler,
    Job,
    JobKind,
    LeaseLost,
    check_queue,
    enqueue,
    finish,
    recurring_key,
)
from veza.core.metrics import observe_job
from veza.core.tracing import NOTHING, About, Kind, Span, begin, tracing

log = structlog.get_logger()

LONGEST_SLEEP = 30.0
STOP_LIMIT = 10.0
SHARED_POLL = 2.0
FIRST_RETRY = timedelta(seconds=2)
LONGEST_RETRY = timedelta(minutes=10)
# What is away is asked for again so soon, and so long.
AWAY_RETRY = timedelta(seconds=5)
LONGEST_AWAY = timedelta(days=1)
# Where the database is what is away: seconds from one try to write to the next, and for how long.
WRITE_AGAIN = 1.0
LONGEST_WRITING = 600.0
# Seconds from when it answers again to the next claim. A lease that ended meanwhile may be of a worker that
# lives: who has a job in hand writes that down first.
GRACE = 3.0


class Task:
    """A kind of job and what does it.

    ``run(job, payload)`` may strike the job off itself, by :func:`veza.core.jobs.finish` in the
    transaction of its effect; else that is done after it. ``dead(tx, payload)`` is told, in the same
    transaction, when the job is given up.
    """

    def __init__(self, kind: JobKind[Any], run: Handler, dead: DeadHandler | None = None) -> None:
        self.kind = kind
        self.run = run
        self.dead = dead


def retry_after(attempt: int) -> timedelta:
    """How long to wait after the given failed attempt: doubling, with jitter of a fifth."""
    wait = FIRST_RETRY * (1 << min(attempt - 1, 20))
    return min(wait, LONGEST_RETRY) * random.uniform(0.8, 1.2)  # noqa: S311 - jitter, not a secret


# What the kernel refuses for want of room, descriptors or memory, or since a disk fails. A file that is not
# there, or a time that is up, would be so again.
_REFUSED = NO_ROOM | {EMFILE, ENFILE, ENOMEM, EAGAIN, EROFS, EIO}


def _is_away(error: Exception) -> bool:
    """Whether what is worked on is not at fault: a disk that is full is one that will be emptied."""
    if isinstance(error, OSError):
        return error.errno in _REFUSED
    return isinstance(error, Unavailable | InsufficientStorage)


def _said(error: Exception) -> str:
    """What an operator is told, as any database takes it: no NUL, no half of a character."""
    text = f"{type(error).__name__}: {error}"[:2000]
    return text.replace("\0", "\\0").encode("utf-8", "backslashreplace").decode()


def _age(since: datetime | None) -> timedelta:
    return timedelta() if since is None else clock.now() - since


def _asked(error: Exception) -> timedelta:
    """How long the error itself asks to wait; what is away has a patience of its own."""
    if not isinstance(error, VezaError) or isinstance(error, Unavailable):
        return timedelta()
    asked = error.headers.get("Retry-After", "")
    return min(timedelta(seconds=int(asked)) if asked.isdecimal() else timedelta(), LONGEST_RETRY)


class Worker:
    """Works on a lane of jobs, ``concurrency`` at a time, until cancelled.

    Jobs of the lanes ``then`` are begun only while none of those before is due: what somebody waits for is
    never behind what nobody does. When it is stopped, what it has begun has ``parting`` seconds to end by
    itself, less than :data:`STOP_LIMIT`.
    """

    def __init__(
        self,
        database: Database,
        lane: str,
        tasks: Sequence[Task],
        *,
        concurrency: int,
        then: Sequence[str] = (),
        parting: float = 0.0,
    ) -> None:
        self._database = database
        self._lane = lane
        self._lanes = (lane, *then)
        self._tasks = {task.kind.name: task for task in tasks if task.kind.lane in self._lanes}
        self._concurrency = concurrency
        self._parting = parting
        # Whether the database did not answer when it was last written to: see GRACE.
        self._failed = False
        self._clock = ClockWatch()
        self._woken = asyncio.Event()
        self._running: dict[asyncio.Task[None], Job] = {}
        self._claimed: list[Job] = []
        self._concluding: set[Job] = set()
        database.listen(CHANNEL, self._woken.set)

    async def run(self) -> None:
        """Work until cancelled; jobs in hand are then cancelled too, and are due again at once."""
        begun = False
        try:
            while True:
                self._woken.clear()
                try:
                    while self._failed:
                        await check_queue(self._database)
                        self._failed = False
                        await asyncio.sleep(GRACE)
                    if not begun:
                        await self._begin()
                        begun = True
                    wait = await self._claim()
                except Exception:
                    log.exception("jobs.claim_failed", lane=self._lane)
                    wait, self._failed = WRITE_AGAIN, True
                if wait > 0:
                    try:
                        async with asyncio.timeout(wait):
                            await self._woken.wait()
                    except TimeoutError:
                        continue
        finally:
            await asyncio.shield(self._stop())

    async def _stop(self) -> None:
        """Cancel what runs and give it back; the attempt does not count, since the job was not at fault.

        A job that has ended, well or badly, is left to write that down: else it would be done again. Where
        that takes longer than there is time, its lease will end.
        """
        running = dict(self._running)
        if running and self._parting:
            await asyncio.wait(running, timeout=self._parting)
        for task, job in running.items():
            if job not in self._concluding:
                task.cancel()
        if running:
            _, late = await asyncio.wait(running, timeout=STOP_LIMIT - self._parting)
            for task in late:
                if running[task] in self._concluding:
                    task.cancel()
        # Among what was claimed in the last moment, only what was committed will be found.
        cut = [job for task, job in running.items() if task.cancelled()] + self._claimed
        if not cut:
            return
        try:
            async with asyncio.timeout(STOP_LIMIT), self._database.write() as tx:
                await self._give_back(tx, cut)
        except Exception:
            log.exception("jobs.give_back_failed", lane=self._lane)  # their leases will end

    async def _give_back(self, tx: Tx, cut: Sequence[Job]) -> None:
        for job in cut:
            if job in self._claimed:  # the others' claims are long committed
                await tx.first(HOLD_CLAIMED, job_id=job.id)
            await tx.run(GIVE_BACK, job_id=job.id, lease=job.attempt, now=clock.now())
        tx.notify(CHANNEL)

    async def _begin(self) -> None:
        async with self._database.write() as tx:
            for task in self._tasks.values():
                if task.kind.every is not None:
                    await enqueue(tx, task.kind, task.kind.payload(), unique_key=recurring_key(task.kind))
            await self._set_right(tx)

    async def _set_right(self, tx: Tx) -> None:
        await set_right(tx, [task.kind for task in self._tasks.values()], LONGEST_RETRY * 1.2, clock.now())

    async def _claim(self) -> float:
        """Start what is due; how many seconds until there may be more."""
        free = self._concurrency - len(self._running)
        if free <= 0:
            return LONGEST_SLEEP
        if self._clock.went_back():
            log.warning("jobs.clock_set_back", lane=self._lane)
            async with self._database.write() as tx:
                await self._set_right(tx)
            self._clock.noted()
        now, waits = clock.now(), list[tuple[str, float]]()
        async with self._database.read() as view:
            for each in self._lanes:
                due = await view.first(NEXT, lane=each, kinds=self._tasks)
                if due is not None:
                    waits.append((each, (due - now).total_seconds()))
        poll = SHARED_POLL if self._database.shared else LONGEST_SLEEP
        lane = next((lane for lane, wait in waits if wait <= 0), None)
        if lane is None:
            return min([poll, *(wait + 0.001 for _, wait in waits)])
        lease = max(task.kind.lease for task in self._tasks.values())
        try:
            async with self._database.write() as tx:
                claimed = await tx.all(
                    CLAIM, lane=lane, kinds=self._tasks, now=now, until=now + lease, count=free
                )
                shorter = [self._shorter(job, now) for job in claimed if self._lease(job) < lease]
                await tx.run_many(LEASE, shorter)
                # No sooner: what is undone may be claimed by another, whose attempt has the same number.
                self._claimed = claimed
        except Exception:
            self._claimed = []
            raise
        self._claimed = []
        for job in claimed:
            running = asyncio.create_task(self._work(job), name=f"job:{job.kind}")
            self._running[running] = job
            running.add_done_callback(self._done)
        return 0.0 if claimed else 0.2

    def _lease(self, job: Job) -> timedelta:
        return self._tasks[job.kind].kind.lease

    def _shorter(self, job: Job, now: datetime) -> dict[str, Any]:
        return {"job_id": job.id, "lease": job.attempt, "until": now + self._lease(job)}

    def _done(self, task: asyncio.Task[None]) -> None:
        self._running.pop(task, None)
        self._woken.set()
        if not task.cancelled() and (error := task.exception()):
            log.error("jobs.outcome_lost", exc_info=error)

    async def _work(self, job: Job) -> None:
        task = self._tasks[job.kind]
        if job.attempt > task.kind.attempts and task.kind.every is None:
            await self._bury(job, task, "its workers died")
            return
        beat = asyncio.create_task(self._keep_lease(job, task.kind.lease, asyncio.current_task()))
        began = perf_counter()
        try:
            with _span(job, task.kind.lane):
                await task.run(job, msgspec.json.decode(job.payload, type=task.kind.payload))
        except LeaseLost:
            log.warning("jobs.lease_lost", kind=job.kind, job_id=str(job.id))
        except Exception as error:
            log.exception("jobs.failed", kind=job.kind, job_id=str(job.id), attempt=job.attempt)
            problem, wait = _said(error), _asked(error)
            if task.kind.outlasts and _is_away(error) and _age(job.away_since) < LONGEST_AWAY:
                outcome, write = "failed", partial(self._put_off, job, problem, wait=wait)
            else:
                outcome = "dead" if self._is_last(job, task) else "failed"
                write = partial(self._fail, job, task, problem, wait=wait)
            observe_job(job.kind, outcome, perf_counter() - began)
            await self._conclude(job, write)
        else:
            observe_job(job.kind, "done", perf_counter() - began)
            await self._conclude(job, partial(self._succeed, job, task.kind))
        finally:
            self._concluding.discard(job)
            beat.cancel()

    async def _conclude(self, job: Job, write: Callable[[], Awaitable[None]]) -> None:
        """Write down what came of a job, with patience: the database may be what was away.

        Else the try would count that failed for want of it, and what was done would be done again. Its lease
        is kept meanwhile; where another worker has taken it over, there is nothing to write.
        """
        self._concluding.add(job)
        began = clock.monotonic()
        while True:
            try:
                return await write()
            except Exception as error:
                waited = clock.monotonic() - began
                self._failed = True
                if not _is_away(error) or waited > LONGEST_WRITING:
                    raise
                log.warning("jobs.outcome_waits", kind=job.kind, job_id=str(job.id), error=_said(error))
            await asyncio.sleep(WRITE_AGAIN)

    async def _keep_lease(self, job: Job, lease: timedelta, worker: "asyncio.Task[None] | None") -> None:
        wait = usual = lease.total_seconds() / 3
        while True:
            await asyncio.sleep(wait)
            try:
                async with self._database.write() as tx:
                    kept = await tx.run(LEASE, job_id=job.id, lease=job.attempt, until=clock.now() + lease)
            except Exception:
                self._failed = True
                if wait == usual:
                    log.exception("jobs.heartbeat_failed", kind=job.kind)
                wait = min(WRITE_AGAIN, usual)
                continue
            wait = usual
            if not kept:
                log.warning("jobs.lease_lost", kind=job.kind, job_id=str(job.id))
                if worker is not None:
                    worker.cancel()
                return

    async def _succeed(self, job: Job, kind: JobKind[Any]) -> None:
        async with self._database.write() as tx:
            if kind.every is not None:
                await tx.run(RESTART, job_id=job.id, lease=job.attempt, until=clock.now() + kind.every)
                return
            try:
                await finish(tx, job)
            except LeaseLost:
                return  # struck off already, in the transaction of its effect

    def _is_last(self, job: Job, task: Task) -> bool:
        return task.kind.every is None and job.attempt >= task.kind.attempts

    async def _put_off(self, job: Job, problem: str, *, wait: timedelta) -> None:
        """Try it again in a while, as often as now."""
        now = clock.now()
        until = now + max(wait, AWAY_RETRY) * random.uniform(0.8, 1.2)  # noqa: S311 - as above
        async with self._database.write() as tx:
            await tx.run(PUT_OFF, job_id=job.id, lease=job.attempt, now=now, until=until, problem=problem)

    async def _fail(self, job: Job, task: Task, problem: str, *, wait: timedelta) -> None:
        if self._is_last(job, task):
            await self._bury(job, task, problem)
            return
        until = clock.now() + max(retry_after(job.attempt), wait)
        async with self._database.write() as tx:
            await tx.run(MOVE, job_id=job.id, lease=job.attempt, until=until, problem=problem)

    async def _bury(self, job: Job, task: Task, problem: str) -> None:
        async with self._database.write() as tx:
            told = await tx.first(BURY, job_id=job.id, lease=job.attempt, now=clock.now(), problem=problem)
            if told is not None and task.dead is not None:
                await task.dead(tx, msgspec.json.decode(told, type=task.kind.payload))


def _span(job: Job, lane: str) -> Span:
    """One try at a job, within the span that queued it: whichever process that was, and however long ago."""
    if tracing.recorder is None:
        return NOTHING
    about: About = {
        "messaging.system": "veza",
        "messaging.operation.type": "process",
        "messaging.destination.name": job.kind,
        "messaging.message.id": str(job.id),
        "veza.job.attempt": job.attempt,
        "veza.job.lane": lane,
    }
    return begin(f"process {job.kind}", Kind.CONSUMER, about, parent=queued_at(job.payload))


async def release_leases(database: Database, now: datetime) -> None:
    """At the start of the only process there is: nobody holds a lease any more."""
    async with database.write() as tx:
        await tx.run(RELEASE_ALL, now=now)
