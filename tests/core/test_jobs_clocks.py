"""Jobs whose clock is set back (threat X8)."""

import asyncio
from collections import Counter
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from tests.core.jobs_house import SOON, queue, rows, until, working
from veza.core import clock, job_times
from veza.core import worker as worker_module
from veza.core.db import Database, Statement, Tx
from veza.core.job_times import ClockWatch
from veza.core.jobs import Job, JobKind, NoPayload, jobs
from veza.core.worker import Task


async def test_nothing_waits_for_a_clock_that_was_set_back(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """X8: what was wanted at once, tried before or recurs is done as if it had not been; delays are kept."""
    done: Counter[str] = Counter()
    monkeypatch.setattr(worker_module, "LONGEST_SLEEP", 0.05)
    monkeypatch.setattr(worker_module, "SHARED_POLL", 0.05)
    monkeypatch.setattr(worker_module, "LONGEST_RETRY", SOON)
    monkeypatch.setattr(job_times, "SETTLED", 2.0)
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
        await until(lambda: asyncio.sleep(0, result=done["new"] > 0 and done["tried"] > 1))
        await until(lambda: asyncio.sleep(0, result=done["again"] > before + 1))
        [late] = [row for row in await rows(database) if row.kind == "late"]
        assert timedelta(minutes=4) < late.run_at - clock.now() <= timedelta(minutes=5)
    assert done["late"] == 0


async def test_what_is_written_while_the_clock_is_set_back_does_not_wait_for_it(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """X8: its time may have been read before, and be committed after what waited was set right."""
    done: Counter[str] = Counter()
    monkeypatch.setattr(worker_module, "LONGEST_SLEEP", 0.05)
    monkeypatch.setattr(worker_module, "SHARED_POLL", 0.05)
    monkeypatch.setattr(job_times, "SETTLED", 0.1)
    set_right, now = worker_module.set_right, clock.now
    times: list[int] = []

    async def note(job: Job, _payload: Any) -> None:
        done[job.kind] += 1

    async def set_right_too_soon(tx: Tx, *told: Any) -> None:
        await set_right(tx, *told)
        times.append(done["again"])
        if len(times) == 1:
            await tx.run(Statement(sa.update(jobs).values(run_at=now() + SOON, attempt=0)))

    async with working(database, [Task(JobKind("again", NoPayload, every=SOON), note)]):
        await until(lambda: asyncio.sleep(0, result=done["again"] > 0))
        monkeypatch.setattr(worker_module, "set_right", set_right_too_soon)
        monkeypatch.setattr(clock, "now", lambda: now() - timedelta(hours=1))
        await until(lambda: asyncio.sleep(0, result=len(times) == 2 and done["again"] > times[1] + 1))


def test_a_clock_that_was_set_back_is_told_of_until_it_is_noted(monkeypatch: pytest.MonkeyPatch) -> None:
    """X8: what sets jobs right may fail at first, of a database that is away."""
    watch, now = ClockWatch(), clock.now
    assert not watch.went_back()
    monkeypatch.setattr(clock, "now", lambda: now() - timedelta(hours=1))
    assert [watch.went_back(), watch.went_back()] == [True, True]
    watch.noted()
    assert not watch.went_back()
    with clock.shifted(timedelta(seconds=job_times.SETTLED)):
        assert [watch.went_back(), watch.went_back()] == [True, True]
        watch.noted()
        assert not watch.went_back()
