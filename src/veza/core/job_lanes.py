"""Which lanes jobs are in that another version queued, which had their kinds elsewhere.

A worker looks for a kind in its lane alone. What a process of the version before queued, or still queues
while the new ones come, would lie where nobody looks for it any more.
"""

import asyncio
from collections.abc import Sequence

import structlog

from veza.core.db import Database
from veza.core.jobs import CHANNEL, TO_LANE
from veza.core.worker import Task

log = structlog.get_logger()

LANES_SECONDS = 300.0


async def settle_lanes(database: Database, tasks: Sequence[Task]) -> None:
    """What other versions queued goes to the lanes where it is done by now."""
    async with database.write() as tx:
        for lane in sorted({task.kind.lane for task in tasks}):
            kinds = [task.kind.name for task in tasks if task.kind.lane == lane]
            if await tx.run(TO_LANE, kinds=kinds, into=lane):
                tx.notify(CHANNEL)


async def keep_lanes(database: Database, tasks: Sequence[Task]) -> None:
    """Do that at the start of a process, and again while another may queue beside it; until cancelled."""
    while True:
        try:
            await settle_lanes(database, tasks)
        except Exception:
            log.exception("jobs.lanes_not_settled")
        else:
            if not database.shared:
                return
        await asyncio.sleep(LANES_SECONDS)
