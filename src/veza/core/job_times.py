"""When jobs are due after the clock was set back: no later than they would have been.

A job is due at a moment of the wall clock, since that is what processes and restarts have in common. Set back
by an hour, it would have jobs wait for an hour that were wanted at once (threat X8).
"""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from veza.core import clock
from veza.core.db import Statement, Time, Tx
from veza.core.jobs import JobKind, jobs, recurring_key

# Smaller steps back, as of a clock that is kept right all the time, are waited out.
LEAST = timedelta(seconds=5)
# Seconds until what was being written by the clock as it was is written.
SETTLED = 10.0

_now, _latest = (sa.bindparam(name, type_=Time) for name in ("now", "latest"))
_late = sa.and_(jobs.c.dead_at.is_(None), jobs.c.kind == sa.bindparam("name"), jobs.c.run_at > _latest)
_QUEUED_LATER: Statement[None] = Statement(
    sa.update(jobs)
    .where(jobs.c.dead_at.is_(None), jobs.c.created_at > _now)
    .values(run_at=jobs.c.run_at - jobs.c.created_at + _now, created_at=_now)
)
_begun = sa.or_(jobs.c.attempt > 0, jobs.c.away_since.is_not(None))
_BEGUN: Statement[None] = Statement(sa.update(jobs).where(_late, _begun).values(run_at=_latest))
_RECURRING: Statement[None] = Statement(
    sa.update(jobs)
    .where(_late, jobs.c.attempt == 0, jobs.c.unique_key == sa.bindparam("key"))
    .values(run_at=_latest)
)


class ClockWatch:
    """Tells when the wall clock has been set back, by the clock that never is."""

    def __init__(self) -> None:
        self._ahead = _ahead()
        self._again_at: float | None = None

    def went_back(self) -> bool:
        """Whether that has happened and was not :meth:`noted` yet: what follows from it may fail at first.

        And to whoever asks :data:`SETTLED` seconds later once more, for what was being written then.
        """
        ahead = _ahead()
        if self._ahead - ahead > LEAST.total_seconds():
            return True
        self._ahead = ahead
        return self._again_at is not None and clock.monotonic() >= self._again_at

    def noted(self) -> None:
        """What follows from it is done."""
        ahead = _ahead()
        is_new = self._ahead - ahead > LEAST.total_seconds()
        self._again_at = clock.monotonic() + SETTLED if is_new else None
        self._ahead = ahead


def _ahead() -> float:
    return clock.now().timestamp() - clock.monotonic()


async def set_right(tx: Tx, kinds: Iterable[JobKind[Any]], longest_retry: timedelta, now: datetime) -> None:
    """Have no job of these kinds wait longer than it would have from ``now`` on; may be repeated.

    What was queued at a later time than now keeps its delay. What was begun waits no longer than for its
    lease or for another try, and what recurs no longer than from one time to the next.
    """
    await tx.run(_QUEUED_LATER, now=now)
    for kind in kinds:
        await tx.run(_BEGUN, name=kind.name, latest=now + max(kind.lease, longest_retry))
        if kind.every is not None:
            await tx.run(_RECURRING, name=kind.name, key=recurring_key(kind), latest=now + kind.every)
