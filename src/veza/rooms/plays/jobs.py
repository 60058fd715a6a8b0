"""What is done with plays when nobody waits for it."""

from collections.abc import Sequence
from datetime import timedelta
from time import perf_counter

import structlog

from veza.core.db import Database
from veza.core.events import EventJob
from veza.core.jobs import Job, JobKind, NoPayload, enqueue, finish
from veza.core.worker import Task
from veza.rooms.plays import store, sums
from veza.rooms.plays.kinds import ADD_UP
from veza.rooms.plays.packing import pack_all
from veza.rooms.plays.recount import recount
from veza.rooms.tracks.remains import forgetting

log = structlog.get_logger()

FORGET_TRACK = JobKind("plays.forget_track", EventJob)
RECOUNT = JobKind("plays.recount", NoPayload, every=timedelta(hours=24))
PACK = JobKind("plays.pack", NoPayload, every=timedelta(hours=6))
# The same once more; a recurring kind cannot be queued.
PACK_MARKED = JobKind("plays.pack_marked", NoPayload)
# Longer than any transaction that began before what is heard much was marked.
_MARKED_FOR = timedelta(minutes=5)
# Of the writer's time at most a tenth, and seldom: plays share commits, and each piece takes two of its own.
# While they come by the thousand the sums fall behind, and catch up when fewer come.
_BATCH, _PAUSE, _SHARE = 200, timedelta(seconds=1), 10


def tasks(database: Database) -> Sequence[Task]:
    """What the worker is to know."""

    async def count_again(job: Job, told: NoPayload) -> None:
        del job, told
        found = await recount(database)
        tell = log.error if found.drifted else log.debug
        some = [str(track_id) for track_id in found.drifted[:20]]
        tell("plays.recounted", tracks=found.tracks, drift=len(found.drifted), drifted=some)

    async def add_up(job: Job, _told: NoPayload) -> None:
        async with database.write() as tx:
            # Struck off here: a play that comes later finds none waiting, and queues one.
            await finish(tx, job)
            began = perf_counter()
            if await sums.add_up(tx, _BATCH) == _BATCH:
                pause = max(_PAUSE, timedelta(seconds=perf_counter() - began) * (_SHARE - 1))
                await enqueue(tx, ADD_UP, NoPayload(), delay=pause, unique_key=ADD_UP.name)

    async def pack(job: Job, told: NoPayload) -> None:
        del job, told
        if await pack_all(database):
            async with database.write() as tx:
                await enqueue(tx, PACK_MARKED, NoPayload(), delay=_MARKED_FOR, unique_key=PACK_MARKED.name)

    async def pack_marked(job: Job, _told: NoPayload) -> None:
        more = await pack_all(database)
        async with database.write() as tx:
            await finish(tx, job)
            if more:
                await enqueue(tx, PACK_MARKED, NoPayload(), delay=_MARKED_FOR, unique_key=PACK_MARKED.name)

    return [
        forgetting(database, FORGET_TRACK, store.forget),
        Task(RECOUNT, count_again),
        Task(ADD_UP, add_up),
        Task(PACK, pack),
        Task(PACK_MARKED, pack_marked),
    ]
