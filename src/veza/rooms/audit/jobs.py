"""What is done for the log when nobody waits for it."""

from collections.abc import Sequence
from datetime import timedelta

from veza.core.db import Database
from veza.core.jobs import Job, JobKind, NoPayload
from veza.core.worker import Task
from veza.rooms.audit.detectors import Detector
from veza.rooms.audit.retention import forget
from veza.rooms.audit.sealing import Sealer
from veza.rooms.audit.watching import watch

FORGET = JobKind("audit.forget", NoPayload, every=timedelta(hours=6))
WATCH = JobKind("audit.watch", NoPayload, every=timedelta(seconds=30))


def tasks(
    database: Database, sealer: Sealer, retention_days: int, detectors: Sequence[Detector]
) -> list[Task]:
    """The jobs of this room."""

    async def purge(job: Job, told: NoPayload) -> None:
        """Purge what is older than it is kept."""
        del job, told
        await forget(database, sealer, retention_days)

    async def look(job: Job, told: NoPayload) -> None:
        """Look at what was sealed since the last time for what looks like an attack."""
        del job, told
        await watch(database, detectors)

    return [Task(FORGET, purge), Task(WATCH, look)]
