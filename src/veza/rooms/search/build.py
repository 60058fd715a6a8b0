"""Building an index from all there is: at the first start, after its rules have changed, or on demand.

It is emptied and written anew. In a database of one process that is a single transaction (``alone.py``), and
in one that others use as well it is done part by part (``beside.py``). Whoever is killed meanwhile leaves it
as it was, or incomplete, and the next start begins again.
"""

from time import perf_counter

import structlog

from veza.core.db import Database
from veza.rooms.search import alone, beside
from veza.rooms.search.findings import FINDINGS, Finding, index_of

log = structlog.get_logger()

_TURN = "search.build"


async def complete(database: Database) -> None:
    """Build what is not complete; where another process does, wait until it is."""
    for finding in FINDINGS:
        if not await _is_complete(database, finding):
            async with database.turn(_TURN):
                if not await _is_complete(database, finding):
                    await build(database, finding)


async def rebuild(database: Database) -> int:
    """Build everything anew; how many things there are to find."""
    async with database.turn(_TURN):
        return sum([await build(database, finding) for finding in FINDINGS])


async def _is_complete(database: Database, finding: Finding) -> bool:
    async with database.read() as view:
        return await index_of(finding, view).is_complete(view)


async def build(database: Database, finding: Finding) -> int:
    """Build one kind's index; how many things it holds."""
    began = perf_counter()
    build_all = beside.build if database.shared else alone.build
    total = await build_all(database, finding)
    if total:
        seconds = round(perf_counter() - began, 1)
        log.info("search.built", kind=finding.kind.name, things=total, seconds=seconds)
    return total
