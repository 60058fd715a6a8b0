"""What is done for the log when nobody waits for it."""

from datetime import timedelta

from veza.core.db import Database
from veza.core.jobs import Job, JobKind, NoPayload
from veza.core.worker import Task
from veza.rooms.audit.retention import forget

FORGET = JobKind("audit.forget", NoPayload, every=timedelta(hours=6))


def tasks(database: Database, retention_days: int) -> list[Task]:
    """The jobs of this room."""

    async def run(job: Job, told: NoPayload) -> None:
        """Purge what is older than it is kept."""
        del job, told
        await forget(database, retention_days)

    return [Task(FORGET, run)]
