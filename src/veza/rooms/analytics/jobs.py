"""What applications told is kept for ninety days."""

from collections.abc import Sequence
from datetime import timedelta

from veza.core import clock
from veza.core.db import Database
from veza.core.jobs import Job, JobKind, NoPayload
from veza.core.worker import Task
from veza.rooms.analytics import store

PURGE = JobKind("analytics.purge", NoPayload, every=timedelta(hours=6))
KEPT_FOR = timedelta(days=90)
_PIECE = 1_000


def tasks(database: Database) -> Sequence[Task]:
    """What the worker is to know."""

    async def purge(_job: Job, _told: NoPayload) -> None:
        before, more = clock.now() - KEPT_FOR, True
        while more:
            async with database.write() as tx:
                more = await store.purge(tx, before, _PIECE) == _PIECE

    return [Task(PURGE, purge)]
