"""Figures that somebody has to go and look for, so that they are known when they are asked for."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from functools import partial

import msgspec
import sqlalchemy as sa
import structlog

from veza.core import clock
from veza.core.db import Database, Statement, Tx
from veza.core.events import event_queue, events
from veza.core.jobs import jobs
from veza.core.metrics import watch

log = structlog.get_logger()

Value = float | Mapping[str, float]

_SECONDS = 5.0


class Figure(msgspec.Struct, frozen=True):
    """What a figure is called and tells; with ``label`` it is one for each of that label's values."""

    name: str
    text: str
    label: str = ""


class Look(msgspec.Struct, frozen=True):
    """Goes and finds the values of some figures, in their order: all of them, or it raises."""

    name: str
    figures: Sequence[Figure]
    find: Callable[[Tx], Awaitable[Sequence[Value]]]


class Gauges:
    """Looks every five seconds, one look after the other, until cancelled.

    What cannot be found out is not shown until it is known again: an old figure would pass for a new
    one, and what is no number would spoil each sum that it is a part of. ``veza_figures_known`` says what is
    missing, for an alert about what is not there is silent.
    """

    def __init__(self, database: Database, looks: Sequence[Look]) -> None:
        self._database = database
        self._looks = looks
        self._found: dict[str, Sequence[Value]] = {}
        self._known: dict[str, float] = {}
        for look in looks:
            for place, figure in enumerate(look.figures):
                watch(figure.name, figure.text, partial(self._value, look.name, place), figure.label)
        watch(
            "veza_figures_known",
            "Whether figures that are looked for could be found out (1) or not (0), by look.",
            lambda: self._known,
            "look",
        )

    async def run(self) -> None:
        """Look again and again."""
        while True:
            await self.look()
            await asyncio.sleep(_SECONDS)

    async def look(self) -> None:
        """Look once, each look for itself: that one fails hides nothing of the others."""
        for look in self._looks:
            await self._look(look)

    async def _look(self, look: Look) -> None:
        before = self._known.get(look.name)
        try:
            async with self._database.read() as view:
                found = await look.find(view)
        except Exception:
            self._found.pop(look.name, None)
            self._known[look.name] = 0.0
            # Once: what is away for an hour would be 720 lines of the log.
            if before != 0.0:
                log.exception("gauges.unknown", look=look.name)
            return
        self._found[look.name], self._known[look.name] = found, 1.0
        if before == 0.0:
            log.info("gauges.known_again", look=look.name)

    def _value(self, name: str, place: int) -> Value | None:
        found = self._found.get(name)
        return None if found is None else found[place]


class _Lane(msgspec.Struct, frozen=True):
    lane: str
    waiting: int
    due: datetime


class _Failing(msgspec.Struct, frozen=True):
    kind: str
    failing: int
    dead: int


class _Queue(msgspec.Struct, frozen=True):
    kind: str
    waiting: int
    since: datetime | None


# Beside the event loop, for these read every row: of a queue that nobody works on there may be very many.
_LANES = Statement(
    sa.select(jobs.c.lane, sa.func.count().label("waiting"), sa.func.min(jobs.c.run_at).label("due"))
    .where(jobs.c.dead_at.is_(None))
    .group_by(jobs.c.lane),
    _Lane,
    heavy=True,
)
_dead = jobs.c.dead_at.is_not(None)
_failing = sa.and_(jobs.c.dead_at.is_(None), jobs.c.error.is_not(None))
_FAILING = Statement(
    sa.select(
        jobs.c.kind,
        sa.func.count(sa.case((_failing, 1))).label("failing"),
        sa.func.count(sa.case((_dead, 1))).label("dead"),
    )
    .where(sa.or_(_failing, _dead))
    .group_by(jobs.c.kind),
    _Failing,
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
    """How many jobs each lane has and how late the next is; how many of each kind fail or were given up.

    What failed waits for another try, and is not late until then, however often that was so.
    """
    return Look(
        "jobs",
        [
            Figure("veza_jobs", "Jobs that are to be done, by lane.", "lane"),
            Figure("veza_jobs_late_seconds", "How long the next job has been due, by lane.", "lane"),
            Figure("veza_jobs_failing", "Jobs that failed and are tried again, by kind.", "kind"),
            Figure("veza_jobs_dead", "Jobs that were given up, by kind.", "kind"),
        ],
        _find_jobs,
    )


async def _find_jobs(view: Tx) -> Sequence[Value]:
    lanes = await view.all(_LANES)
    failing = await view.all(_FAILING)
    now = clock.now()
    return [
        {one.lane: one.waiting for one in lanes},
        {one.lane: max((now - one.due).total_seconds(), 0.0) for one in lanes},
        {one.kind: one.failing for one in failing if one.failing},
        {one.kind: one.dead for one in failing if one.dead},
    ]


def look_at_events() -> Look:
    """How many events wait to be heard together, and how long the first of them has."""
    return Look(
        "events",
        [
            Figure("veza_events_queued", "Events that are to be heard together, by kind of job.", "kind"),
            Figure(
                "veza_events_late_seconds", "How long the first of them has waited, by kind of job.", "kind"
            ),
        ],
        _find_events,
    )


async def _find_events(view: Tx) -> Sequence[Value]:
    found = await view.all(_QUEUES)
    now = clock.now()
    return [
        {one.kind: one.waiting for one in found},
        {one.kind: max((now - one.since).total_seconds(), 0.0) for one in found if one.since},
    ]
