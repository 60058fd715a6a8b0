"""Work that outlives the request: one table of jobs with leases.

A job is queued in the transaction of the change that causes it. To claim one is to move its ``run_at`` into
the future, by the length of a lease, and to count an attempt: a worker that dies needs no clean-up, its jobs
come due again. The pair of id and attempt fences a worker that was thought dead. A job that keeps failing is
kept as dead, and its kind is told.
"""

from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Any, Generic, TypeVar
from uuid import UUID

import msgspec
import sqlalchemy as sa

from veza.core import clock
from veza.core.db import Database, Id, Statement, Time, Tx, any_of, metadata
from veza.core.ids import new_id
from veza.core.job_envelope import enveloped
from veza.core.tracing import here

P = TypeVar("P", bound=msgspec.Struct)

CHANNEL = "veza_jobs"


class JobKind(Generic[P]):
    """A kind of work: its name, what it is told, and how patiently it is tried.

    ``lane`` groups kinds that share workers; ``lease`` is how long a worker may be silent; ``every`` makes
    it recurring: one row, due again so long after each success. What follows from events ``together`` is
    done for many of them at a time (:mod:`veza.core.hearing`), and by jobs only where that fails. For one
    that ``outlasts``, a try that ends with :class:`veza.core.errors.Unavailable`,
    :class:`veza.core.errors.InsufficientStorage` or what the kernel refuses for want of room or descriptors
    does not count for a day, and the next is some seconds later: storage, database, scanner or
    decoder could not be reached, or the disk is full, which is not its fault. Any other error counts, as
    does the death of the worker or of a child that it started.
    """

    def __init__(
        self,
        name: str,
        payload: type[P],
        *,
        lane: str = "default",
        lease: timedelta = timedelta(seconds=60),
        attempts: int = 10,
        every: timedelta | None = None,
        together: bool = False,
        outlasts: bool = False,
    ) -> None:
        self.name = name
        self.payload = payload
        self.lane = lane
        self.lease = lease
        self.attempts = attempts
        self.every = every
        self.together = together
        self.outlasts = outlasts


class NoPayload(msgspec.Struct, frozen=True):
    """For a kind of job that needs to be told nothing."""


class Job(msgspec.Struct, frozen=True):
    """One claimed job; ``attempt`` counts from 1, ``away_since`` is when it was first put off."""

    id: UUID
    kind: str
    payload: str
    attempt: int
    created_at: datetime
    away_since: datetime | None = None


Handler = Callable[[Job, Any], Awaitable[None]]
DeadHandler = Callable[[Tx, Any], Awaitable[None]]


class LeaseLost(Exception):
    """The job was given to another worker, or is no more."""


jobs = sa.Table(
    "jobs",
    metadata,
    sa.Column("id", Id, primary_key=True),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("lane", sa.Text, nullable=False),
    sa.Column("payload", sa.Text, nullable=False),
    sa.Column("run_at", Time, nullable=False),
    sa.Column("attempt", sa.Integer, nullable=False),
    sa.Column("unique_key", sa.Text),
    # Why the last try that came to an end failed.
    sa.Column("error", sa.Text),
    sa.Column("created_at", Time, nullable=False),
    sa.Column("dead_at", Time),
    # When a part that it needs was first found away. A job can be older than the day that it outlasts.
    sa.Column("away_since", Time),
    sa.UniqueConstraint("unique_key"),
    sa.Index("ix_jobs_lane_run_at", "lane", "run_at", sqlite_where=sa.text("dead_at IS NULL"),
             postgresql_where=sa.text("dead_at IS NULL")),
)  # fmt: skip

_insert: Statement[None] = Statement(sa.insert(jobs))


def _insert_once() -> sa.Executable:
    # The same words in both dialects' INSERT … ON CONFLICT; sa has no common form of it.
    columns = ", ".join(column.name for column in jobs.columns)
    values = ", ".join(f":{column.name}" for column in jobs.columns)
    return sa.text(
        f"INSERT INTO jobs ({columns}) VALUES ({values}) ON CONFLICT (unique_key) DO NOTHING"  # noqa: S608 - our own names
    ).bindparams(*(sa.bindparam(column.name, type_=column.type) for column in jobs.columns))


_insert_unique: Statement[None] = Statement(_insert_once())

# Kinds that this program does not know are left to one that does.
_alive = sa.and_(jobs.c.dead_at.is_(None), jobs.c.lane == sa.bindparam("lane"), any_of(jobs.c.kind, "kinds"))
# A common table expression is evaluated once; a subquery with LIMIT might be more often, and claim too many.
_due = (
    sa.select(jobs.c.id)
    .where(_alive, jobs.c.run_at <= sa.bindparam("now"))
    .order_by(jobs.c.run_at)
    .limit(sa.bindparam("count"))
    .with_for_update(skip_locked=True)
    .cte("due")
)
# One that was put off is due again within minutes. Where it had no turn for an hour after that, for all the
# others, nobody knows whether the part was away all the time: what is found away then is another outage.
_AN_HOUR = sa.literal_column("3600000000", sa.BigInteger)  # microseconds, as a moment is kept
_lay_due = jobs.c.run_at + _AN_HOUR < sa.bindparam("now", type_=Time)
CLAIM = Statement(
    sa.update(jobs)
    .where(jobs.c.id.in_(sa.select(_due.c.id)))
    .values(
        run_at=sa.bindparam("until"),
        attempt=jobs.c.attempt + 1,
        away_since=sa.case((_lay_due, None), else_=jobs.c.away_since),
    )
    .returning(jobs.c.id, jobs.c.kind, jobs.c.payload, jobs.c.attempt, jobs.c.created_at, jobs.c.away_since),
    Job,
)
_mine = sa.and_(jobs.c.id == sa.bindparam("job_id"), jobs.c.attempt == sa.bindparam("lease"))
_FINISH: Statement[None] = Statement(sa.delete(jobs).where(_mine))
# Of a try that goes on; why the one before it failed stays, so that nothing looks well between two failures.
LEASE: Statement[None] = Statement(sa.update(jobs).where(_mine).values(run_at=sa.bindparam("until")))
MOVE: Statement[None] = Statement(
    sa.update(jobs).where(_mine).values(run_at=sa.bindparam("until"), error=sa.bindparam("problem"))
)
RESTART: Statement[None] = Statement(
    sa.update(jobs).where(_mine).values(run_at=sa.bindparam("until"), error=None, attempt=0)
)
# With what its last try had the next be told: there is none, and whoever hears of its end is to know that.
BURY = Statement(
    sa.update(jobs)
    .where(_mine, jobs.c.dead_at.is_(None))  # once, also where the first time was committed and not heard of
    .values(dead_at=sa.bindparam("now"), error=sa.bindparam("problem"), unique_key=None)
    .returning(jobs.c.payload),
    str,
)
_AMEND: Statement[None] = Statement(sa.update(jobs).where(_mine).values(payload=sa.bindparam("new_payload")))
# Else what is just being committed as somebody's would be looked for as it was before.
HOLD_CLAIMED = Statement(
    sa.select(jobs.c.id).where(jobs.c.id == sa.bindparam("job_id")).with_for_update(key_share=True), UUID
)
GIVE_BACK: Statement[None] = Statement(
    sa.update(jobs).where(_mine).values(run_at=sa.bindparam("now"), attempt=jobs.c.attempt - 1)
)
PUT_OFF: Statement[None] = Statement(
    sa.update(jobs)
    .where(_mine)
    .values(
        run_at=sa.bindparam("until"),
        attempt=jobs.c.attempt - 1,
        error=sa.bindparam("problem"),
        away_since=sa.func.coalesce(jobs.c.away_since, sa.bindparam("now", type_=Time)),
    )
)
NEXT = Statement(
    sa.select(jobs.c.run_at).where(_alive).order_by(jobs.c.run_at).limit(1),
    datetime,
)
# What was queued by a version that had the kind in another lane.
TO_LANE: Statement[None] = Statement(
    sa.update(jobs)
    .where(any_of(jobs.c.kind, "kinds"), jobs.c.lane != sa.bindparam("into"))
    .values(lane=sa.bindparam("into"))
)
RELEASE_ALL: Statement[None] = Statement(
    sa.update(jobs).where(jobs.c.dead_at.is_(None), jobs.c.attempt > 0).values(run_at=sa.bindparam("now"))
)
IN_LANE = Statement(
    sa.select(sa.func.count())
    .select_from(jobs)
    .where(jobs.c.dead_at.is_(None), jobs.c.lane == sa.bindparam("lane")),
    int,
)


_ANY = Statement(sa.select(jobs.c.id).limit(1), UUID)


async def check_queue(database: Database) -> None:
    """Answer, or raise."""
    async with database.read() as view:
        await view.first(_ANY)


def recurring_key(kind: JobKind[Any]) -> str:
    """By which the one row of a recurring kind is known."""
    return f"every:{kind.name}"


async def enqueue(
    tx: Tx, kind: JobKind[P], payload: P, *, delay: timedelta = timedelta(), unique_key: str | None = None
) -> None:
    """Queue a job in ``tx``; with a ``unique_key`` only where none with that key is waiting or running.

    Raises ValueError for one of a recurring kind but for the row that it has: it would recur as well.
    """
    if kind.every is not None and unique_key != recurring_key(kind):
        said = f"{kind.name} recurs by itself: what is to be done once is of a kind of its own"
        raise ValueError(said)
    at = clock.now()
    queued = await tx.run(
        _insert if unique_key is None else _insert_unique,
        id=new_id(),
        kind=kind.name,
        lane=kind.lane,
        payload=enveloped(msgspec.json.encode(payload), here()).decode(),
        run_at=at + delay,
        attempt=0,
        unique_key=unique_key,
        error=None,
        created_at=at,
        dead_at=None,
        away_since=None,
    )
    # Where one waits already there is nothing new to look for: else each of many plays had all workers look.
    if queued:
        tx.notify(CHANNEL)


async def waiting(tx: Tx, lane: str) -> int:
    """How many jobs of a lane are to be done."""
    return await tx.first(IN_LANE, lane=lane) or 0


async def amend(tx: Tx, job: Job, payload: msgspec.Struct) -> None:
    """Have the next try of a job be told this, or whoever is told of its end where this was the last.

    Unless another worker has taken it over.
    """
    told = enveloped(msgspec.json.encode(payload), here()).decode()
    await tx.run(_AMEND, job_id=job.id, lease=job.attempt, new_payload=told)


async def finish(tx: Tx, job: Job) -> None:
    """Strike the job off in the transaction of its effect, so that both happen once.

    Raises :class:`LeaseLost` when another worker has taken it over.
    """
    if not await tx.run(_FINISH, job_id=job.id, lease=job.attempt):
        raise LeaseLost
