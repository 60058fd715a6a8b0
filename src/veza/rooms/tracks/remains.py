"""What other rooms keep about a track goes after it, in pieces: so nobody waits for a popular one's end."""

from collections.abc import Awaitable, Callable
from uuid import UUID

import msgspec

from veza.core.db import Database, Tx
from veza.core.events import EventJob
from veza.core.jobs import Job, JobKind
from veza.core.worker import Task

# A few milliseconds of the writer.
PIECE = 500

# Removes at most so many rows about a track; whether there may be more.
Forget = Callable[[Tx, UUID, int], Awaitable[bool]]


class _Gone(msgspec.Struct, frozen=True):
    track_id: UUID


def forgetting(database: Database, kind: JobKind[EventJob], forget: Forget) -> Task:
    """The task of a room that is told of a deleted track; to remove what is gone does no harm."""

    async def run(job: Job, told: EventJob) -> None:
        del job
        track_id = msgspec.convert(told.data, _Gone).track_id
        more = True
        while more:
            async with database.write() as tx:
                more = await forget(tx, track_id, PIECE)

    return Task(kind, run)
