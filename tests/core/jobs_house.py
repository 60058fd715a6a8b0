"""What tests of jobs share: kinds, workers that work for a while, and looking at what is left."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from typing import Any

import msgspec
import pytest
import sqlalchemy as sa

from veza.core.db import Database, Statement, open_database
from veza.core.jobs import Job, JobKind, NoPayload, enqueue, jobs
from veza.core.worker import Task, Worker

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


async def until(look: Callable[[], Awaitable[bool]], limit: float = 30) -> None:
    async with asyncio.timeout(limit):
        while not await look():  # noqa: ASYNC110 - the database cannot tell us
            await asyncio.sleep(0.01)


async def none_left(database: Database) -> None:
    async def look() -> bool:
        return not await rows(database)

    await until(look)


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
    await asyncio.wait_for(held.wait(), 30)
    running.cancel()
    await asyncio.wait([running])
    for task in list(worker._running):
        task.cancel()
    return seen[0]


async def _nothing() -> None:
    pass
