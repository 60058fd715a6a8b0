"""Giving new places to what has become much more, or less, popular since it got its place."""

from collections.abc import Sequence
from uuid import UUID

from veza.core.db import Database
from veza.core.jobs import Job, JobKind, NoPayload
from veza.core.worker import Task
from veza.rooms.search.findings import FINDINGS, Finding, index_of
from veza.rooms.search.following import follow
from veza.rooms.search.places import EVERY

PLACE = JobKind("search.place", NoPayload, every=EVERY)

# Entries looked at in one query: more at a time would hold up the loop, and stay with the process as memory.
PART = 500


def tasks(database: Database) -> Sequence[Task]:
    """What the worker is to know."""

    async def place(job: Job, told: NoPayload) -> None:
        del job, told
        await place_anew(database)

    return [Task(PLACE, place)]


async def place_anew(database: Database) -> int:
    """Look at every popularity; how many things got a new place."""
    return sum([await _place(database, finding) for finding in FINDINGS if finding.kind.popularity])


async def _place(database: Database, finding: Finding) -> int:
    after: UUID | None = UUID(int=0)
    count = 0
    while after is not None:
        async with database.read() as view:
            moved, after = await index_of(finding, view).misplaced(view, after, PART)
        for thing_id in moved:
            async with database.write() as tx:
                await follow(tx, finding, thing_id)
        count += len(moved)
    return count
