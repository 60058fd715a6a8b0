"""Jobs whose worker dies, is stopped, or was thought dead."""

# ruff: noqa: F811 - a fixture is asked for by its name

import asyncio
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from tests.core.jobs_house import (
    NOTE,
    SOON,
    Note,
    lose,
    none_left,
    other,  # noqa: F401 - a fixture
    queue,
    rows,
    until,
    working,
)
from veza.core import clock
from veza.core import worker as worker_module
from veza.core.db import Database, Statement
from veza.core.db.postgres_pool import Connection
from veza.core.jobs import Job, JobKind, LeaseLost, NoPayload, finish, jobs
from veza.core.worker import Task, Worker, release_leases


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


async def test_a_heartbeat_keeps_a_long_job(
    database: Database, other: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each makes it due a whole lease later; the time of jobs goes on as fast as they come."""
    quick = JobKind("quick", NoPayload, lease=SOON)
    runs: list[int] = []
    now = clock.now()
    monkeypatch.setattr(clock, "now", lambda: now)

    async def kept() -> bool:
        return [row.run_at for row in await rows(database)] == [now + SOON]

    async def work(job: Job, _payload: NoPayload) -> None:
        nonlocal now
        runs.append(job.attempt)
        for _ in range(5):
            now += SOON * 2 / 3
            await until(kept)

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
            await asyncio.Event().wait()
        finally:
            stopped.set()

    await queue(database, quick)
    async with working(database, [Task(quick, work)]):
        await asyncio.wait_for(begun.wait(), 30)
        async with database.write() as tx:
            await tx.run(Statement(sa.delete(jobs)))
        await asyncio.wait_for(stopped.wait(), 30)


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


async def test_at_a_shutdown_some_may_end_by_themselves(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For so long, and no longer."""
    monkeypatch.setattr(worker_module, "STOP_LIMIT", 600.0)
    begun, end, ran = asyncio.Semaphore(0), asyncio.Event(), list[str]()
    brief, endless = JobKind("brief", NoPayload), JobKind("endless", NoPayload)

    async def finish_soon(job: Job, _payload: NoPayload) -> None:
        begun.release()
        await end.wait()
        ran.append(job.kind)

    async def hang(job: Job, _payload: NoPayload) -> None:
        ran.append(job.kind)
        begun.release()
        await asyncio.Event().wait()

    await queue(database, brief, endless)
    for task, parting in ((Task(brief, finish_soon), 500.0), (Task(endless, hang), 0.1)):
        running = asyncio.create_task(
            Worker(database, "default", [task], concurrency=2, parting=parting).run()
        )
        await asyncio.wait_for(begun.acquire(), 30)
        running.cancel()
        await asyncio.sleep(0)
        end.set()
        await asyncio.wait_for(asyncio.wait([running]), 30)
    assert ran == ["brief", "endless"]
    assert [(row.kind, row.attempt) for row in await rows(database)] == [("endless", 0)]


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


@pytest.mark.parametrize("dialect", ["postgresql"])
async def test_a_shutdown_amid_the_commit_of_a_claim_leaves_nothing_leased(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """X13: however long the commit takes."""
    committing, let_go, over = asyncio.Event(), asyncio.Event(), asyncio.Event()
    waiting = "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"

    async def execute_late(self: Connection, query: str, *args: Any, **options: Any) -> Any:
        if query != "COMMIT" or not worker._claimed or committing.is_set():
            return await execute(self, query, *args, **options)
        committing.set()
        await let_go.wait()
        try:
            return await execute(self, query, *args, **options)
        finally:
            over.set()

    async def hang(_job: Job, _payload: Note) -> None:
        await asyncio.Event().wait()

    async def stopped_or_waiting() -> bool:
        return running.done() or bool(await database.rows(waiting))

    await queue(database, NOTE)
    worker = Worker(database, NOTE.lane, [Task(NOTE, hang)], concurrency=1)
    execute = Connection.execute
    monkeypatch.setattr(Connection, "execute", execute_late)
    running = asyncio.create_task(worker.run())
    await asyncio.wait_for(committing.wait(), 30)
    running.cancel()
    await until(stopped_or_waiting)
    let_go.set()
    await asyncio.wait_for(asyncio.gather(over.wait(), asyncio.wait([running])), 30)
    assert [(row.attempt, row.run_at <= clock.now()) for row in await rows(database)] == [(0, True)]


@pytest.mark.parametrize("dialect", ["postgresql"])
async def test_a_claim_that_is_undone_by_a_shutdown_gives_back_no_other_s_job(
    database: Database, other: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever claims it next has it under the same number of an attempt; a shutdown may take a while."""
    claiming, undone, may_end = asyncio.Event(), asyncio.Event(), asyncio.Event()
    give_back = Worker._stop

    async def hang(_connection: Any, _text: str, _rows: Any, **_: Any) -> None:
        claiming.set()
        await asyncio.Event().wait()

    async def stop(worker: Worker) -> None:
        undone.set()
        await may_end.wait()
        await give_back(worker)

    async def nothing(_job: Job, _payload: Any) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(Worker, "_stop", stop)
    await queue(database, NOTE)
    # A lease shorter than that of another kind is written apart, in the transaction of the claim.
    tasks = [Task(NOTE, nothing), Task(JobKind("long", NoPayload, lease=timedelta(hours=1)), nothing)]
    with monkeypatch.context() as patch:
        patch.setattr(Connection, "executemany", hang)
        first = asyncio.create_task(Worker(database, NOTE.lane, tasks, concurrency=1).run())
        await claiming.wait()
        first.cancel()
        await undone.wait()
    second = asyncio.create_task(Worker(other, NOTE.lane, tasks, concurrency=1).run())
    await until(lambda: _is_claimed(other))
    may_end.set()
    await asyncio.wait([first])
    assert [row.attempt for row in await rows(database)] == [1]
    second.cancel()
    await asyncio.wait([second])


async def _is_claimed(database: Database) -> bool:
    return [row.attempt for row in await rows(database)] == [1]


async def test_a_restart_of_the_only_process_releases_every_lease(database: Database) -> None:
    await queue(database, NOTE)
    await lose(database, NOTE)
    await release_leases(database, clock.now())
    [row] = await rows(database)
    assert row.run_at <= clock.now()
    assert row.attempt == 1
