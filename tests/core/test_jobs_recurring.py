"""Jobs that recur by themselves."""

# ruff: noqa: F811 - a fixture is asked for by its name

from datetime import timedelta

import pytest

from tests.core.jobs_house import (
    other,  # noqa: F401 - a fixture
    queue,
    rows,
    until,
    working,
)
from veza.core import clock
from veza.core.db import Database
from veza.core.jobs import Job, JobKind, NoPayload
from veza.core.worker import Task


async def test_a_recurring_job_has_one_row_and_never_dies(
    database: Database, other: Database, still: None
) -> None:
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
