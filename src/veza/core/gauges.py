"""Figures that somebody has to go and look for, so that they are known when they are asked for."""

import asyncio
from datetime import datetime
from typing import Any

import msgspec
import sqlalchemy as sa
import structlog

from veza.core import clock
from veza.core.db import Database, Statement
from veza.core.events import event_queue
from veza.core.jobs import jobs
from veza.core.log import dropped_lines
from veza.core.metrics import watch

log = structlog.get_logger()

_SECONDS = 5.0


class _Lane(msgspec.Struct, frozen=True):
    lane: str
    waiting: int
    due: datetime


_LANES = Statement(
    sa.select(jobs.c.lane, sa.func.count().label("waiting"), sa.func.min(jobs.c.run_at).label("due"))
    .where(jobs.c.dead_at.is_(None))
    .group_by(jobs.c.lane),
    _Lane,
)


class _Queue(msgspec.Struct, frozen=True):
    kind: str
    waiting: int


_QUEUES = Statement(
    sa.select(event_queue.c.kind, sa.func.count().label("waiting")).group_by(event_queue.c.kind), _Queue
)


async def watch_jobs(database: Database) -> None:
    """Look every five seconds how many jobs each lane has and how late the next one is, until cancelled."""
    waiting: dict[str, float] = {}
    late: dict[str, float] = {}
    watch("veza_jobs", "Jobs that are to be done, by lane.", lambda: waiting, "lane")
    watch("veza_jobs_late_seconds", "How long the next job has been due, by lane.", lambda: late, "lane")
    queued: dict[str, float] = {}
    watch(
        "veza_events_queued", "Events that are to be heard together, by kind of job.", lambda: queued, "kind"
    )
    watch("veza_log_lines_dropped", "Log lines that were lost.", dropped_lines)
    while True:
        try:
            await _look(database, waiting, late)
            await _look_at_queues(database, queued)
        except Exception:
            log.exception("gauges.unknown")
        await asyncio.sleep(_SECONDS)


async def _look(database: Database, waiting: dict[str, float], late: dict[str, float]) -> None:
    async with database.read() as view:
        lanes: list[Any] = await view.all(_LANES)
    waiting.clear()
    late.clear()
    for lane in lanes:
        waiting[lane.lane] = lane.waiting
        late[lane.lane] = max((clock.now() - lane.due).total_seconds(), 0.0)


async def _look_at_queues(database: Database, queued: dict[str, float]) -> None:
    async with database.read() as view:
        found = await view.all(_QUEUES)
    queued.clear()
    queued.update({one.kind: one.waiting for one in found})
