"""Jobs: queued with their cause, and done once each, whoever works."""

# ruff: noqa: PT012 - what must raise is a whole transaction
# ruff: noqa: F811 - a fixture is asked for by its name

import asyncio
from collections import Counter
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from tests.core.jobs_house import (
    NOTE,
    Note,
    none_left,
    other,  # noqa: F401 - a fixture
    queue,
    rows,
    until,
    working,
)
from veza.core import clock, job_lanes
from veza.core import worker as worker_module
from veza.core.db import Database, Statement
from veza.core.events import Context, Event, EventJob, Outbox, events
from veza.core.job_lanes import keep_lanes, settle_lanes
from veza.core.jobs import CHANNEL, Job, JobKind, NoPayload, enqueue, finish
from veza.core.worker import Task, Worker


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
    at_once, most, three = 0, 0, asyncio.Event()

    async def note(_job: Job, _payload: Note) -> None:
        nonlocal at_once, most
        at_once += 1
        most = max(most, at_once)
        if at_once == 3:
            three.set()
        await asyncio.wait_for(three.wait(), 30)
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
        await asyncio.wait_for(done.wait(), 30)
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


async def test_what_another_version_queued_goes_to_its_lane(database: Database) -> None:
    """X10: a kind that has moved is done where it is done now, whichever process queued it."""
    moved, stays = JobKind(NOTE.name, Note, lane="mail"), JobKind("stays", NoPayload)

    async def note(_job: Job, _payload: Any) -> None:
        pass

    await queue(database, NOTE, stays)
    tasks = [Task(moved, note), Task(stays, note)]
    async with working(database, tasks, lane="mail"):
        await settle_lanes(database, tasks)
        await until_kinds(database, {"stays"})
    async with working(database, tasks):
        await none_left(database)


async def test_what_another_version_queues_later_goes_there_too(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """X10: it may be the last to start, or live for long; where there is one process, nobody else queues."""
    monkeypatch.setattr(job_lanes, "LANES_SECONDS", 0.01)
    tasks = [Task(JobKind(NOTE.name, Note, lane="mail"), _nothing)]
    keeping = asyncio.create_task(keep_lanes(database, tasks))
    if not database.shared:
        await asyncio.wait_for(keeping, 30)
        return
    async with working(database, tasks, lane="mail"):
        for _ in range(2):
            await queue(database, NOTE)
            await none_left(database)
    keeping.cancel()
    await asyncio.wait([keeping])


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


COUNT_EVENTS = Statement(sa.select(sa.func.count()).select_from(events), int)


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


async def _nothing(_job: Job, _payload: Any) -> None:
    pass
