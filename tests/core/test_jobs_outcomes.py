"""What came of a job while the database was away: written down when it is back, and nothing counts for it."""

# ruff: noqa: F811 - a fixture is asked for by its name

import asyncio
from collections.abc import Callable
from datetime import timedelta

import pytest

from tests.core.jobs_house import (
    NOTE,
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
from veza.core.db import Database, Tx
from veza.core.errors import DatabaseBusy, InsufficientStorage, Unavailable
from veza.core.jobs import Job, JobKind
from veza.core.worker import Task, Worker

PATIENT = JobKind("patient", Note, attempts=1, outlasts=True)


class Outage:
    """Once it has begun, a database refuses so many transactions; then it has ``ended``."""

    def __init__(self, database: Database, monkeypatch: pytest.MonkeyPatch, *ways: str) -> None:
        self._left: int | None = None
        self._error: Exception = Unavailable()
        self.ended = asyncio.Event()
        for way in ways:
            monkeypatch.setattr(database, way, self._perhaps(getattr(database, way)))

    def begin(self, times: int, error: Exception | None = None) -> None:
        self._left, self._error = times, error or self._error

    def _perhaps(self, begin: Callable[[], Tx]) -> Callable[[], Tx]:
        def opened() -> Tx:
            if self._left:
                self._left -= 1
                raise self._error
            if self._left == 0:
                self.ended.set()
            return begin()

        return opened


@pytest.fixture
def outage(database: Database, monkeypatch: pytest.MonkeyPatch) -> Outage:
    monkeypatch.setattr(worker_module, "WRITE_AGAIN", 0.01)
    monkeypatch.setattr(worker_module, "GRACE", 0.05)
    monkeypatch.setattr(worker_module, "AWAY_RETRY", timedelta(milliseconds=5))
    return Outage(database, monkeypatch, "write")


@pytest.mark.parametrize(
    "error", [Unavailable(), DatabaseBusy(), InsufficientStorage()], ids=lambda error: type(error).__name__
)
async def test_a_try_that_ends_without_a_database_does_not_count(
    database: Database, outage: Outage, error: Exception
) -> None:
    """X2, X5: three restarts of the database at a bad moment remove no upload."""
    tried: list[int] = []

    async def store(job: Job, _payload: Note) -> None:
        tried.append(job.attempt)
        if len(tried) < 4:
            outage.begin(3, error)
            raise error

    await queue(database, PATIENT)
    async with working(database, [Task(PATIENT, store)]):
        await none_left(database)
    assert tried == [1] * 4


async def test_what_is_done_without_a_database_is_not_done_again(database: Database, outage: Outage) -> None:
    """X15: a mail that was sent is not sent again."""
    done: list[str] = []

    async def note(_job: Job, payload: Note) -> None:
        done.append(payload.text)
        outage.begin(3)

    await queue(database, NOTE)
    async with working(database, [Task(NOTE, note)]):
        await none_left(database)
    assert len(done) == 1


async def test_what_fails_for_good_without_a_database_is_told_once(
    database: Database, outage: Outage
) -> None:
    """With what was wrong with it, and once also where a first time was committed, and not heard of."""
    failed: list[Job] = []
    told: list[Note] = []

    async def fail(job: Job, _payload: Note) -> None:
        failed.append(job)
        outage.begin(3)
        raise ValueError("hopeless")

    async def dead(_tx: Tx, payload: Note) -> None:
        told.append(payload)

    async def buried() -> bool:
        return (await rows(database))[0].dead_at is not None

    await queue(database, PATIENT)
    task = Task(PATIENT, fail, dead)
    async with working(database, [task]):
        await until(buried)
    await Worker(database, PATIENT.lane, [task], concurrency=1)._bury(failed[0], task, "its workers died")
    [row] = await rows(database)
    assert (row.error, len(failed), len(told)) == ("ValueError: hopeless", 1, 1)


async def test_a_lease_is_renewed_as_soon_as_the_database_is_back(
    database: Database, other: Database, outage: Outage, still: None
) -> None:
    """X2: and not a third of it later, when somebody else has the job."""
    brief = JobKind("brief", Note, lease=timedelta(seconds=2))
    tried: list[int] = []

    async def kept() -> bool:
        return [row.run_at for row in await rows(database)] == [clock.now() + brief.lease]

    async def work(job: Job, _payload: Note) -> None:
        tried.append(job.attempt)
        outage.begin(45)
        # So many times a third of it would be half a minute.
        with clock.shifted(brief.lease * 2 / 3):
            async with asyncio.timeout(30):
                await outage.ended.wait()
            await until(kept)

    await queue(database, brief)
    async with working(database, [Task(brief, work)]):
        async with asyncio.timeout(30):
            while not tried:  # noqa: ASYNC110 - it is told by being there
                await asyncio.sleep(0.01)
        async with working(other, [Task(brief, work)]):
            await none_left(other)
    assert tried == [1]


async def test_who_was_cut_off_writes_before_others_claim(
    database: Database, other: Database, outage: Outage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """X2: a lease that ended while the database was away is not that of somebody dead."""
    tried: list[int] = []

    async def store(job: Job, _payload: Note) -> None:
        tried.append(job.attempt)

    monkeypatch.setattr(worker_module, "GRACE", 600.0)
    tasks = [Task(PATIENT, store)]
    await queue(database, PATIENT)
    held = await lose(database, PATIENT)
    outage = Outage(other, monkeypatch, "read")
    outage.begin(2)
    with clock.shifted(PATIENT.lease):
        async with working(other, tasks):
            await asyncio.wait_for(outage.ended.wait(), 30)
            await asyncio.sleep(0.1)
            assert tried == [], "not at once"
            who = Worker(database, PATIENT.lane, tasks, concurrency=1)
            await who._put_off(held, "Unavailable", wait=timedelta(0))
        async with working(other, tasks):
            await none_left(database)
    assert tried == [1]


async def test_who_had_its_hands_full_lets_others_write_as_well(
    database: Database, outage: Outage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """X2: it asked for no more while the database was away, and may be the first to hear that it is back."""
    monkeypatch.setattr(worker_module, "GRACE", 0.3)
    begun: list[float] = []

    async def work(_job: Job, _payload: Note) -> None:
        begun.append(asyncio.get_running_loop().time())
        if len(begun) == 1:
            outage.begin(3)

    await queue(database, PATIENT)
    await queue(database, PATIENT)
    async with working(database, [Task(PATIENT, work)], concurrency=1):
        await none_left(database)
    first, second = begun
    assert second - first >= 0.3


async def test_an_outcome_that_cannot_be_written_holds_up_no_stop(
    database: Database, outage: Outage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """X13."""
    monkeypatch.setattr(worker_module, "STOP_LIMIT", 0.1)
    begun = asyncio.Event()

    async def note(_job: Job, _payload: Note) -> None:
        outage.begin(1_000_000)
        begun.set()

    await queue(database, NOTE)
    async with asyncio.timeout(30):
        async with working(database, [Task(NOTE, note)]):
            await begun.wait()
        while any(task.get_name() == "job:note" for task in asyncio.all_tasks()):  # noqa: ASYNC110 - as above
            await asyncio.sleep(0.01)
    assert [row.attempt for row in await rows(database)] == [1]
