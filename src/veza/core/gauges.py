"""Figures that somebody has to go and look for, so that they are known when they are asked for."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime

import msgspec
import sqlalchemy as sa
import structlog

from veza.core import clock
from veza.core.db import Database, Statement, Tx
from veza.core.events import event_queue, events
from veza.core.jobs import jobs
from veza.core.log import dropped_lines
from veza.core.metrics import watch

log = structlog.get_logger()

Look = Callable[[Tx], Awaitable[None]]
"""Goes and looks; what it found it hands to :func:`veza.core.metrics.watch` beforehand, by reference."""

_SECONDS = 5.0


class Gauges:
    """Looks every five seconds, one look after the other, until cancelled."""

    def __init__(self, database: Database, looks: Sequence[Look]) -> None:
        self._database = database
        self._looks = looks
        watch("veza_log_lines_dropped", "Log lines that were lost.", dropped_lines)

    async def run(self) -> None:
        """Look again and again; what cannot be found out now stays as it was."""
        while True:
            try:
                await self.look()
            except Exception:
                log.exception("gauges.unknown")
            await asyncio.sleep(_SECONDS)

    async def look(self) -> None:
        """Look once."""
        for look in self._looks:
            async with self._database.read() as view:
                await look(view)


class _Lane(msgspec.Struct, frozen=True):
    lane: str
    waiting: int
    due: datetime


class _Dead(msgspec.Struct, frozen=True):
    kind: str
    dead: int


class _Queue(msgspec.Struct, frozen=True):
    kind: str
    waiting: int
    since: datetime | None


_LANES = Statement(
    sa.select(jobs.c.lane, sa.func.count().label("waiting"), sa.func.min(jobs.c.run_at).label("due"))
    .where(jobs.c.dead_at.is_(None))
    .group_by(jobs.c.lane),
    _Lane,
)
# Beside the event loop, for these read every row: of a queue that nobody hears there may be very many.
_DEAD = Statement(
    sa.select(jobs.c.kind, sa.func.count().label("dead"))
    .where(jobs.c.dead_at.is_not(None))
    .group_by(jobs.c.kind),
    _Dead,
    heavy=True,
)
_QUEUES = Statement(
    sa.select(
        event_queue.c.kind,
        sa.func.count().label("waiting"),
        sa.func.min(events.c.created_at).label("since"),
    )
    .select_from(event_queue.outerjoin(events, events.c.id == event_queue.c.event_id))
    .group_by(event_queue.c.kind),
    _Queue,
    heavy=True,
)


def look_at_jobs() -> Look:
    """How many jobs each lane has, how late the next one is, and how many of each kind were given up."""
    waiting: dict[str, float] = {}
    late: dict[str, float] = {}
    dead: dict[str, float] = {}
    watch("veza_jobs", "Jobs that are to be done, by lane.", lambda: waiting, "lane")
    watch("veza_jobs_late_seconds", "How long the next job has been due, by lane.", lambda: late, "lane")
    watch("veza_jobs_dead", "Jobs that were given up, by kind.", lambda: dead, "kind")

    async def look(view: Tx) -> None:
        lanes = await view.all(_LANES)
        given_up = await view.all(_DEAD)
        now = clock.now()
        _set(waiting, {one.lane: one.waiting for one in lanes})
        _set(late, {one.lane: max((now - one.due).total_seconds(), 0.0) for one in lanes})
        _set(dead, {one.kind: one.dead for one in given_up})

    return look


def look_at_events() -> Look:
    """How many events wait to be heard together, and how long the first of them has."""
    queued: dict[str, float] = {}
    late: dict[str, float] = {}
    watch(
        "veza_events_queued", "Events that are to be heard together, by kind of job.", lambda: queued, "kind"
    )
    watch(
        "veza_events_late_seconds",
        "How long the first of them has waited, by kind of job.",
        lambda: late,
        "kind",
    )

    async def look(view: Tx) -> None:
        found = await view.all(_QUEUES)
        now = clock.now()
        _set(queued, {one.kind: one.waiting for one in found})
        _set(late, {one.kind: max((now - one.since).total_seconds(), 0.0) for one in found if one.since})

    return look


def _set(known: dict[str, float], found: dict[str, float]) -> None:
    known.clear()
    known.update(found)
