"""What is done with follows when nobody waits for it."""

from collections.abc import Sequence
from uuid import UUID

import msgspec

from veza.core.db import Database
from veza.core.events import EventJob
from veza.core.jobs import Job, JobKind
from veza.core.worker import Task
from veza.rooms.following import service

FORGET_USER = JobKind("following.forget_user", EventJob)
# A few milliseconds of the writer.
PIECE = 500


class _Gone(msgspec.Struct, frozen=True):
    user_id: UUID


def tasks(database: Database) -> Sequence[Task]:
    """What the worker is to know."""

    async def forget_user(_job: Job, told: EventJob) -> None:
        user_id = msgspec.convert(told.data, _Gone).user_id
        more = True
        while more:
            async with database.write() as tx:
                more = await service.forget(tx, user_id, PIECE)

    return [Task(FORGET_USER, forget_user)]
