"""Jobs: once each, whoever works, whatever dies."""

# ruff: noqa: PT012 - what must raise is a whole transaction

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from typing import Any

import msgspec
import pytest
import sqlalchemy as sa

from veza.core import clock
from veza.core import worker as worker_module
from veza.core.db import Database, Statement, Tx, open_database
from veza.core.errors import Unavailable
from veza.core.events import Context, Event, EventJob, Outbox, events
from veza.core.job_times import ClockWatch
from veza.core.jobs import CHANNEL, Job, JobKind, LeaseLost, NoPayload, enqueue, finish, jobs
from veza.core.worker import Task, Worker, release_leases, retry_after

SOON = timedelta(milliseconds=300)


class Note(msgspec.Struct, frozen=True):
    text: str


class Row(msgspec.Struct, frozen=True):
    id: Any
    kind: str
    run_at: Any
    attempt: int
    unique_key: str | None
    error: str | None
    dead_at: Any


ROWS = Statement(
    sa.select(
        *(jobs.c[name] for name in ("id", "kind", "run_at", "attempt", "unique_key", "error", "dead_at"))
    ).order_by(jobs.c.id),
    Row,
)
COUNT_EVENTS = Statement(sa.select(sa.func.count()).select_from(events), int)
NOTE = JobKind("note", Note)


@pytest.fixture
async def other(database: Database, database_url: str) -> AsyncIterator[Database]:
    """Another node on PostgreSQL; on SQLite, which one process writes, the same database."""
    if not database.shared:
        yield database
        return
    opened = open_database(database_url)
    yield opened
    await opened.close()


async def rows(database: Database) -> list[Row]:
    async with database.read() as view:
        return await view.all(ROWS)


async def queue(database: Database, *kinds: JobKind[Any], **options: Any) -> None:
    async with database.write() as tx:
        for kind in kinds:
            await enqueue(tx, kind, Note("x") if kind.payload is Note else NoPayload(), **options)


@asynccontextmanager
async def working(
    database: Database, tasks: Sequence[Task], *, lane: str = "default", concurrency: int = 4
) -> AsyncIterator["asyncio.Task[None]"]:
    running = asyncio.create_task(Worker(database, lane, tasks, concurrency=concurrency).run())
    try:
        yield running
    finally:
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running


async def until(look: Callable[[], Awaitable[bool]], limit: float = 10) -> None:
    async with asyncio.timeout(limit):
        while not await look():  # noqa: ASYNC110 - the database cannot tell us
            await asyncio.sleep(0.01)


async def none_left(database: Database) -> None:
    async def look() -> bool:
        return not await rows(database)

    await until(look)


# ── once each ──────────────────────────────────────────────────────────────────────────────────────────


async def test_each_job_is_done_once_by_four_workers_on_two_nodes(
    database: Database, other: Database
) -> None:
    done: Counter[str] = Counter()

    async def note(_job: Job, payload: Note) -> None:
        await asyncio.sleep(0)
        done[payload.text] += 1

    async with database.write() as tx:
        for number in range(500):
            await enqueue(tx, NOTE, Note(str(number)))
    tasks = [Task(NOTE, note)]
    async with (
        working(database, tasks),
        working(database, tasks),
        working(other, tasks),
        working(other, tasks),
    ):
        await none_left(database)
    assert done == Counter({str(number): 1 for number in range(500)})


async def test_no_more_are_claimed_than_can_be_worked_on(database: Database) -> None:
    at_once, most = 0, 0

    async def note(_job: Job, _payload: Note) -> None:
        nonlocal at_once, most
        at_once += 1
        most = max(most, at_once)
        await asyncio.sleep(0.005)
        at_once -= 1

    await queue(database, *[NOTE] * 12)
    async with working(database, [Task(NOTE, note)], concurrency=3):
        await none_left(database)
    assert most == 3


async def test_a_job_is_queued_with_its_cause_or_not_at_all(database: Database) -> None:
    with pytest.raises(ZeroDivisionError):
        async with database.write() as tx:
            await enqueue(tx, NOTE, Note("x"))
            _ = 1 / 0
    assert await rows(database) == []


async def test_a_job_queued_elsewhere_wakes_a_worker(
    database: Database, other: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is told, and does not find it when it looks next."""
    monkeypatch.setattr(worker_module, "SHARED_POLL", 600.0)
    done = asyncio.Event()

    async def note(_job: Job, _payload: Note) -> None:
        done.set()

    await other.start()
    async with working(other, [Task(NOTE, note)]):
        await asyncio.sleep(0.2)
        await queue(database, NOTE)
        await asyncio.wait_for(done.wait(), 20)
        await none_left(database)


async def test_finishing_within_the_effect_is_finishing(database: Database) -> None:
    async def note(job: Job, _payload: Note) -> None:
        async with database.write() as tx:
            await finish(tx, job)

    await queue(database, NOTE)
    async with working(database, [Task(NOTE, note)]):
        await none_left(database)


async def test_a_delayed_job_waits(database: Database) -> None:
    await queue(database, NOTE, delay=timedelta(hours=1))
    done = asyncio.Event()

    async def note(_job: Job, _payload: Note) -> None:
        done.set()

    async with working(database, [Task(NOTE, note)]):
        await asyncio.sleep(0.05)
        assert not done.is_set()
    with clock.shifted(timedelta(hours=1)):
        async with working(database, [Task(NOTE, note)]):
            await none_left(database)
    assert done.is_set()


async def test_a_lane_that_comes_second_waits_for_the_first(database: Database) -> None:
    """What came in bulk waits for what somebody waits for, however long it has been due."""
    done: list[str] = []

    async def run(job: Job, _what: Note) -> None:
        if not done:  # queued while the worker is busy with the backlog
            await queue(database, soon, soon)
        done.append(job.kind)

    soon, later = JobKind("soon", Note, lane="media"), JobKind("later", Note, lane="backlog")
    await queue(database, later, later, later)
    tasks = [Task(soon, run), Task(later, run)]
    worker = Worker(database, "media", tasks, concurrency=1, then=("backlog",))
    running = asyncio.create_task(worker.run())
    async with asyncio.timeout(20):
        while len(done) < 5:  # noqa: ASYNC110 - what is waited for tells nobody
            await asyncio.sleep(0.01)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert done == ["later", "soon", "soon", "later", "later"]


async def test_lanes_and_unknown_kinds_are_left_to_who_knows_them(database: Database) -> None:
    newer, slow = JobKind("newer", NoPayload), JobKind("slow", NoPayload, lane="media")

    async def note(_job: Job, _payload: Note) -> None:
        pass

    await queue(database, newer, slow, NOTE)
    async with working(database, [Task(NOTE, note), Task(slow, note)]):
        await until_kinds(database, {"newer", "slow"})
        await asyncio.sleep(0.05)
    assert {(row.kind, row.attempt) for row in await rows(database)} == {("newer", 0), ("slow", 0)}


async def until_kinds(database: Database, kinds: set[str]) -> None:
    async def look() -> bool:
        return {row.kind for row in await rows(database)} == kinds

    await until(look)


# ── leases ─────────────────────────────────────────────────────────────────────────────────────────────


async def lose(database: Database, kind: JobKind[Any]) -> Job:
    """Claim the one job there is, as a worker that then dies: no heartbeat, no outcome."""
    held = asyncio.Event()
    seen: list[Job] = []

    async def hold(job: Job, _payload: Any) -> None:
        seen.append(job)
        held.set()
        await asyncio.Event().wait()

    worker = Worker(database, kind.lane, [Task(kind, hold)], concurrency=1)
    worker._stop = _nothing  # type: ignore[method-assign]  # to see who is woken  # it dies, and gives nothing back
    running = asyncio.create_task(worker.run())
    await asyncio.wait_for(held.wait(), 5)
    running.cancel()
    await asyncio.wait([running])
    for task in list(worker._running):
        task.cancel()
    return seen[0]


async def _nothing() -> None:
    pass


async def test_the_job_of_a_dead_worker_is_done_when_its_lease_ends(
    database: Database, other: Database
) -> None:
    """X6: and not before."""
    attempts: list[int] = []

    async def note(job: Job, _payload: Note) -> None:
        attempts.append(job.attempt)

    await queue(database, NOTE)
    await lose(database, NOTE)
    async with working(other, [Task(NOTE, note)]):
        await asyncio.sleep(0.05)
        assert attempts == []
    with clock.shifted(NOTE.lease):
        async with working(other, [Task(NOTE, note)]):
            await none_left(database)
    assert attempts == [2]


async def test_who_lost_the_lease_cannot_finish(database: Database, other: Database) -> None:
    await queue(database, NOTE)
    lost = await lose(database, NOTE)
    with clock.shifted(NOTE.lease):
        taken = await lose(other, NOTE)
    assert (taken.id, taken.attempt) == (lost.id, 2)
    with pytest.raises(LeaseLost):
        async with database.write() as tx:
            await finish(tx, lost)
    assert [row.attempt for row in await rows(database)] == [2]
    async with other.write() as tx:
        await finish(tx, taken)
    assert await rows(database) == []


async def test_a_heartbeat_keeps_a_long_job(database: Database, other: Database) -> None:
    quick = JobKind("quick", NoPayload, lease=SOON)
    runs: list[int] = []

    async def work(job: Job, _payload: NoPayload) -> None:
        runs.append(job.attempt)
        await asyncio.sleep(3 * SOON.total_seconds())

    await queue(database, quick)
    tasks = [Task(quick, work)]
    async with working(database, tasks), working(other, tasks):
        await none_left(database)
    assert runs == [1]


async def test_a_worker_that_lost_the_lease_is_stopped(database: Database) -> None:
    quick = JobKind("quick", NoPayload, lease=SOON)
    stopped, begun = asyncio.Event(), asyncio.Event()

    async def work(_job: Job, _payload: NoPayload) -> None:
        begun.set()
        try:
            await asyncio.sleep(10)
        finally:
            stopped.set()

    await queue(database, quick)
    async with working(database, [Task(quick, work)]):
        await asyncio.wait_for(begun.wait(), 5)
        async with database.write() as tx:
            await tx.run(Statement(sa.delete(jobs)))
        await asyncio.wait_for(stopped.wait(), 5)


async def test_each_kind_has_its_own_lease(database: Database) -> None:
    """A lane's kinds are claimed together, but the worker of a short one is missed soon."""
    short, long = (
        JobKind("short", NoPayload, lease=SOON),
        JobKind("long", NoPayload, lease=timedelta(hours=1)),
    )
    begun = asyncio.Semaphore(0)

    async def work(_job: Job, _payload: NoPayload) -> None:
        begun.release()
        await asyncio.Event().wait()

    await queue(database, short, long)
    now = clock.now()
    async with working(database, [Task(short, work), Task(long, work)]):
        await begun.acquire()
        await begun.acquire()
        due = {row.kind: row.run_at - now for row in await rows(database)}
    assert due["short"] < timedelta(seconds=30)
    assert due["long"] > timedelta(minutes=59)


async def test_a_shutdown_gives_back_what_it_cuts(database: Database, other: Database) -> None:
    """Due at once, and no attempt is counted: the job was not at fault."""
    begun = asyncio.Semaphore(0)

    async def hang(_job: Job, _payload: Note) -> None:
        begun.release()
        await asyncio.Event().wait()

    await queue(database, NOTE, NOTE)
    async with working(database, [Task(NOTE, hang)]):
        await begun.acquire()
        await begun.acquire()
    assert [(row.attempt, row.run_at <= clock.now()) for row in await rows(database)] == [(0, True)] * 2

    async def note(_job: Job, _payload: Note) -> None:
        pass

    async with working(other, [Task(NOTE, note)]):
        await none_left(database)


@pytest.mark.parametrize("steps", range(0, 40, 4))
async def test_a_shutdown_at_any_moment_leaves_nothing_leased(database: Database, steps: int) -> None:
    """X13."""

    async def hang(_job: Job, _payload: Note) -> None:
        await asyncio.Event().wait()

    await queue(database, NOTE)
    async with working(database, [Task(NOTE, hang)]):
        for _ in range(steps):
            await asyncio.sleep(0)
        if database.shared:
            await asyncio.sleep(steps * 0.0004)
    assert [(row.attempt, row.run_at <= clock.now()) for row in await rows(database)] == [(0, True)]


async def test_a_restart_of_the_only_process_releases_every_lease(database: Database) -> None:
    await queue(database, NOTE)
    await lose(database, NOTE)
    await release_leases(database, clock.now())
    [row] = await rows(database)
    assert row.run_at <= clock.now()
    assert row.attempt == 1


# ── failures ───────────────────────────────────────────────────────────────────────────────────────────


async def test_a_failed_job_is_tried_again_later_and_later(database: Database) -> None:
    attempts: list[int] = []

    async def fail(job: Job, _payload: Note) -> None:
        attempts.append(job.attempt)
        raise ValueError("no luck")

    await queue(database, NOTE)
    passed, wait = timedelta(), timedelta()
    for attempt in range(1, 5):
        with clock.shifted(passed):
            async with working(database, [Task(NOTE, fail)]):

                async def look(want: int = attempt) -> bool:
                    found = await rows(database)
                    return found[0].attempt == want and found[0].error is not None and len(attempts) == want

                await until(look)
            [row] = await rows(database)
            assert row.error == "ValueError: no luck"
            longer = row.run_at - clock.now()
            assert longer > wait
            wait = longer
        passed += timedelta(minutes=1)
        await clear_error(database)
    assert attempts == [1, 2, 3, 4]


async def test_a_job_outlasts_a_part_that_is_away(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """X15: for a day its tries do not count; what lasts longer, or is its own fault, does."""
    monkeypatch.setattr(worker_module, "AWAY_RETRY", timedelta(milliseconds=5))
    patient = JobKind("patient", Note, attempts=1, outlasts=True)
    tried: list[int] = []

    async def store(job: Job, _payload: Note) -> None:
        tried.append(job.attempt)
        if len(tried) < 4 or len(tried) == 5:
            raise Unavailable

    await queue(database, patient)
    async with working(database, [Task(patient, store)]):
        await until(lambda: none_left_now(database))
        assert tried == [1] * 4
    await queue(database, patient)
    with clock.shifted(worker_module.LONGEST_AWAY):
        async with working(database, [Task(patient, store)]):

            async def dead() -> bool:
                return (await rows(database))[0].dead_at is not None

            await until(dead)
    assert len(tried) == 5


async def none_left_now(database: Database) -> bool:
    return not await rows(database)


async def clear_error(database: Database) -> None:
    async with database.write() as tx:
        await tx.run(Statement(sa.update(jobs).values(error=None)))


def test_retries_are_patient_and_bounded() -> None:
    assert timedelta(seconds=1.6) <= retry_after(1) <= timedelta(seconds=2.4)
    assert timedelta(seconds=6.4) <= retry_after(3) <= timedelta(seconds=9.6)
    assert timedelta(minutes=8) <= retry_after(10_000) <= timedelta(minutes=12)


async def test_a_hopeless_job_dies_and_its_kind_is_told_in_the_same_transaction(database: Database) -> None:
    once = JobKind("once", Note, attempts=1)
    told: list[tuple[Note, bool]] = []

    async def fail(_job: Job, _payload: Note) -> None:
        raise ValueError("hopeless")

    async def dead(tx: Tx, payload: Note) -> None:
        own, outside = await tx.all(ROWS), await rows(database)
        told.append((payload, own[0].dead_at is not None and outside[0].dead_at is None))

    await queue(database, once, unique_key="one")
    async with working(database, [Task(once, fail, dead)]):
        await until_dead(database)
    [row] = await rows(database)
    assert row.error == "ValueError: hopeless"
    assert told == [(Note("x"), True)]
    await queue(database, once, unique_key="one")
    assert len(await rows(database)) == 2, "a dead job must not keep its key"


async def until_dead(database: Database) -> None:
    async def look() -> bool:
        return any(row.dead_at is not None for row in await rows(database))

    await until(look)


async def test_a_job_that_kills_its_workers_is_tried_so_often_and_then_dies(database: Database) -> None:
    """C33, X6: a poison file never loops."""
    poison = JobKind("poison", Note, attempts=3)
    ran, told = 0, asyncio.Event()
    await queue(database, poison)

    async def never(_job: Job, _payload: Note) -> None:
        nonlocal ran
        ran += 1

    async def dead(_tx: Tx, _payload: Note) -> None:
        told.set()

    for attempt in range(3):
        with clock.shifted(attempt * poison.lease):
            assert (await lose(database, poison)).attempt == attempt + 1
    with clock.shifted(3 * poison.lease):
        async with working(database, [Task(poison, never, dead)]):
            await asyncio.wait_for(told.wait(), 5)
            await until_dead(database)
    assert ran == 0
    assert (await rows(database))[0].error == "its workers died"


async def test_a_dead_handler_that_fails_buries_nothing(database: Database) -> None:
    once = JobKind("once", Note, attempts=1)
    tried = asyncio.Event()

    async def fail(_job: Job, _payload: Note) -> None:
        raise ValueError("hopeless")

    async def dead(_tx: Tx, _payload: Note) -> None:
        tried.set()
        raise ValueError("cannot be told")

    await queue(database, once)
    async with working(database, [Task(once, fail, dead)]):
        await asyncio.wait_for(tried.wait(), 5)
        await asyncio.sleep(0.05)
    assert (await rows(database))[0].dead_at is None


# ── recurring and unique ───────────────────────────────────────────────────────────────────────────────


async def test_a_recurring_job_has_one_row_and_never_dies(database: Database, other: Database) -> None:
    sweep = JobKind("sweep", NoPayload, every=timedelta(hours=1), attempts=2)
    runs: list[bool] = []

    async def work(_job: Job, _payload: NoPayload) -> None:
        runs.append(True)
        if len(runs) in {2, 3, 4, 5}:
            raise ValueError("for now")

    async def ran(times: int) -> None:
        async def look() -> bool:
            found = await rows(database)
            return len(runs) >= times and bool(found) and found[0].run_at > clock.now()

        await until(look)

    tasks = [Task(sweep, work)]
    for times in range(1, 8):
        with clock.shifted(timedelta(hours=2 * times)):
            async with working(database, tasks), working(other, tasks):
                await ran(times)
    [row] = await rows(database)
    assert len(runs) == 7
    assert (row.attempt, row.dead_at, row.error) == (0, None, None)


async def test_what_recurs_is_queued_by_nobody_else(database: Database) -> None:
    """It would recur as well, beside the one row that its kind has."""
    sweep = JobKind("sweep", NoPayload, every=timedelta(hours=1))
    for key in (None, "sweep"):
        with pytest.raises(ValueError, match="sweep recurs by itself"):
            await queue(database, sweep, unique_key=key)
    assert await rows(database) == []


async def test_nothing_waits_for_a_clock_that_was_set_back(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """X8: what was wanted at once, tried before or recurs is done as if it had not been; delays are kept."""
    done: Counter[str] = Counter()
    monkeypatch.setattr(worker_module, "LONGEST_SLEEP", 0.05)
    monkeypatch.setattr(worker_module, "SHARED_POLL", 0.05)
    monkeypatch.setattr(worker_module, "LONGEST_RETRY", SOON)
    kinds = [
        JobKind("again", NoPayload, every=SOON),
        JobKind("tried", NoPayload, lease=SOON),
        JobKind("new", NoPayload),
        JobKind("late", NoPayload),
    ]

    async def note(job: Job, _payload: Any) -> None:
        done[job.kind] += 1
        if job.kind == "tried" and done["tried"] == 1:
            raise RuntimeError

    async with working(database, [Task(kind, note) for kind in kinds]):
        await queue(database, kinds[1])
        await until(lambda: asyncio.sleep(0, result=done["tried"] > 0 and done["again"] > 0))
        await queue(database, kinds[2], delay=SOON)
        await queue(database, kinds[3], delay=timedelta(minutes=5))
        now, before = clock.now, done["again"]
        monkeypatch.setattr(clock, "now", lambda: now() - timedelta(hours=1))
        await until(lambda: asyncio.sleep(0, result=done["new"] == 1 and done["tried"] == 2))
        await until(lambda: asyncio.sleep(0, result=done["again"] > before + 1))
        [late] = [row for row in await rows(database) if row.kind == "late"]
        assert timedelta(minutes=4) < late.run_at - clock.now() <= timedelta(minutes=5)
    assert done["late"] == 0


async def test_a_unique_key_is_queued_once(database: Database) -> None:
    await queue(database, NOTE, unique_key="a")
    await queue(database, NOTE, NOTE, unique_key="a")
    await queue(database, NOTE, unique_key="b")
    await queue(database, NOTE)
    assert sorted(row.unique_key or "" for row in await rows(database)) == ["", "a", "b"]


async def test_what_waits_already_wakes_nobody(database: Database) -> None:
    channels: list[str] = []

    async def queue_once() -> None:
        async with database.write() as tx:
            tx.notify = channels.append  # type: ignore[method-assign]  # to see who is woken
            await enqueue(tx, NOTE, Note("a"), unique_key="a")

    await queue_once()
    await queue_once()
    assert channels == [CHANNEL]


# ── the outbox ─────────────────────────────────────────────────────────────────────────────────────────


class Sung(Event, frozen=True):
    kind = "sung"
    song: str


async def test_what_happened_is_recorded_with_what_follows(database: Database) -> None:
    one, two = JobKind("one", EventJob), JobKind("two", EventJob)
    told: list[tuple[str, EventJob]] = []
    database.record_events = Outbox({Sung: [one, two]})
    async with database.write() as tx:
        tx.context = lambda: Context(ip="192.0.2.1", request_id="r")
        tx.emit(Sung("a"))
    with pytest.raises(ZeroDivisionError):
        async with database.write() as tx:
            tx.emit(Sung("b"))
            await enqueue(tx, NOTE, Note("x"))
            _ = 1 / 0
    async with database.read() as view:
        assert await view.first(COUNT_EVENTS) == 1

    async def hear(job: Job, payload: EventJob) -> None:
        told.append((job.kind, payload))

    async with working(database, [Task(one, hear), Task(two, hear)]):
        await none_left(database)
    assert {kind for kind, _ in told} == {"one", "two"}
    assert {(event.kind, event.data["song"]) for _, event in told} == {("sung", "a")}


def test_a_clock_that_was_set_back_is_told_of_until_it_is_noted(monkeypatch: pytest.MonkeyPatch) -> None:
    """X8: what sets jobs right may fail at first, of a database that is away."""
    watch, now = ClockWatch(), clock.now
    assert not watch.went_back()
    monkeypatch.setattr(clock, "now", lambda: now() - timedelta(hours=1))
    assert [watch.went_back(), watch.went_back()] == [True, True]
    watch.noted()
    assert not watch.went_back()
