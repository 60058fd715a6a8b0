"""Jobs that fail: tried again with patience, outlasting what is away, and buried in the end."""

import asyncio
from datetime import timedelta
from errno import EMFILE, ENOENT

import pytest
import sqlalchemy as sa

from tests.core.jobs_house import NOTE, ROWS, Note, lose, queue, rows, until, working
from veza.core import clock
from veza.core import worker as worker_module
from veza.core.db import Database, Statement, Tx
from veza.core.errors import InsufficientStorage, RateLimited, Unavailable
from veza.core.gauges import look_at_jobs
from veza.core.jobs import LEASE, Job, JobKind, NoPayload, amend, jobs, recurring_key
from veza.core.worker import Task, Worker, retry_after

_AWAY_SINCE: Statement[None] = Statement(
    sa.update(jobs).values(away_since=sa.bindparam("since"), run_at=sa.bindparam("now"))
)


async def test_a_failed_job_is_tried_again_later_and_later(database: Database, still: None) -> None:
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
    """X5, X15: for a day its tries do not count, a full disk included; what lasts longer does."""
    monkeypatch.setattr(worker_module, "AWAY_RETRY", timedelta(milliseconds=5))
    patient = JobKind("patient", Note, attempts=1, outlasts=True)
    tried: list[int] = []

    async def store(job: Job, _payload: Note) -> None:
        tried.append(job.attempt)
        if len(tried) != 4:
            raise away[len(tried) % 3]

    away = [Unavailable(), InsufficientStorage(), OSError(EMFILE, "no more files")]
    await queue(database, patient)
    async with working(database, [Task(patient, store)]):
        await until(lambda: none_left_now(database))
        assert tried == [1] * 4
    # The day begins with the first of these tries, however long it waited for its turn; and anew where it
    # had none for long after it was put off.
    await queue(database, patient)
    for day in (1, 2):
        before = len(tried)
        with clock.shifted(day * worker_module.LONGEST_AWAY):
            async with working(database, [Task(patient, store)]):
                await until(lambda so_far=before: more_than(tried, so_far + 1))
        [row] = await rows(database)
        assert (row.dead_at, row.error is not None) == (None, True)
    with clock.shifted(2 * worker_module.LONGEST_AWAY):
        async with database.write() as tx:
            await tx.run(_AWAY_SINCE, since=clock.now() - worker_module.LONGEST_AWAY, now=clock.now())
        before = len(tried)
        async with working(database, [Task(patient, store)]):

            async def dead() -> bool:
                return (await rows(database))[0].dead_at is not None

            await until(dead)
    assert len(tried) == before + 1


async def more_than(tried: list[int], count: int) -> bool:
    return len(tried) > count


@pytest.mark.parametrize("fault", [FileNotFoundError(ENOENT, "it's gone: a\0b\udcff"), TimeoutError()])
async def test_what_would_fail_again_counts(database: Database, fault: Exception) -> None:
    """A day of tries would not help what cannot be done; and any text of an error can be kept."""
    patient = JobKind("patient", Note, attempts=1, outlasts=True)

    async def fail(_job: Job, _payload: Note) -> None:
        raise fault

    await queue(database, patient)
    async with working(database, [Task(patient, fail)]):

        async def dead() -> bool:
            return (await rows(database))[0].dead_at is not None

        await until(dead)
    [row] = await rows(database)
    assert row.error.startswith(type(fault).__name__)
    assert "\0" not in row.error


@pytest.mark.parametrize(
    "kind",
    [JobKind("patient", NoPayload, outlasts=True), JobKind("sweep", NoPayload, every=timedelta(hours=1))],
    ids=lambda kind: kind.name,
)
async def test_what_never_dies_is_told_as_long_as_it_fails(
    database: Database, kind: JobKind[NoPayload]
) -> None:
    """X15: between two tries it is not late, and it is not given up for a day, or for ever."""
    tried: list[dict[str, int]] = []

    async def failing() -> dict[str, int]:
        async with database.read() as view:
            return dict((await look_at_jobs().find(view))[2])

    async def run(job: Job, _payload: NoPayload) -> None:
        async with database.write() as tx:  # as a heartbeat does
            await tx.run(LEASE, job_id=job.id, lease=job.attempt, until=clock.now() + kind.lease)
        tried.append(await failing())
        if len(tried) < 3:
            raise Unavailable

    await queue(database, kind, unique_key=recurring_key(kind))
    worker = Worker(database, kind.lane, [Task(kind, run)], concurrency=1)
    for turn in range(3):
        with clock.shifted(timedelta(hours=2 * turn)):
            await worker._claim()
            await asyncio.gather(*worker._running)
        assert await failing() == ({kind.name: 1} if turn < 2 else {})
    assert tried == [{}, {kind.name: 1}, {kind.name: 1}]


async def test_an_error_may_ask_for_more_time(database: Database, still: None) -> None:
    """X6: such as one of a machine that is short of memory. It is an attempt all the same."""
    patient = JobKind("patient", Note, attempts=3, outlasts=True)

    async def killed(_job: Job, _payload: Note) -> None:
        raise RateLimited(headers={"Retry-After": "60"})

    async def tried() -> bool:
        [row] = await rows(database)
        return row.error is not None

    await queue(database, patient)
    async with working(database, [Task(patient, killed)]):
        await until(tried)
    [row] = await rows(database)
    assert timedelta(seconds=50) < row.run_at - clock.now() < timedelta(seconds=61)
    assert row.attempt == 1


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

    async def fail(job: Job, _payload: Note) -> None:
        async with database.write() as tx:
            await amend(tx, job, Note("y"))
        raise ValueError("hopeless")

    async def dead(tx: Tx, payload: Note) -> None:
        own, outside = await tx.all(ROWS), await rows(database)
        told.append((payload, own[0].dead_at is not None and outside[0].dead_at is None))

    await queue(database, once, unique_key="one")
    async with working(database, [Task(once, fail, dead)]):
        await until_dead(database)
    [row] = await rows(database)
    assert row.error == "ValueError: hopeless"
    assert told == [(Note("y"), True)], "with what the last try found out"
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
            await asyncio.wait_for(told.wait(), 30)
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
        await asyncio.wait_for(tried.wait(), 30)
        await asyncio.sleep(0.05)
    assert (await rows(database))[0].dead_at is None
