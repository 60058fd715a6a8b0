"""Building an index from all there is: at the first start, after its rules have changed, or on demand.

It is emptied and written anew, part by part. Whoever is killed meanwhile leaves it incomplete, and the next
start begins again. What changes meanwhile is indexed by whoever changes it, and left as it is here.
"""

from collections import Counter
from time import perf_counter

import structlog

from veza.core.db import Database
from veza.rooms.search.findings import FINDINGS, Finding, index_of
from veza.rooms.search.store import Index

log = structlog.get_logger()

# Words whose typos are written at a time: sorted, they fill the pages of a large table in their order.
WORDS = 50_000


async def complete(database: Database) -> None:
    """Build what is not complete."""
    for finding in FINDINGS:
        async with database.read() as view:
            if await index_of(finding, view).is_complete(view):
                continue
        await build(database, finding)


async def rebuild(database: Database) -> int:
    """Build everything anew; how many things there are to find."""
    return sum([await build(database, finding) for finding in FINDINGS])


async def build(database: Database, finding: Finding) -> int:
    """Build one kind's index; how many things it holds."""
    began = perf_counter()
    index, total = await _begin(database, finding)
    await index.prepare(database)
    await _fill(database, finding, index, total)
    await _add_typos(database, index)
    await index.finish(database)
    async with database.write() as tx:
        await index.complete(tx)
    if total:
        seconds = round(perf_counter() - began, 1)
        log.info("search.built", kind=finding.kind.name, things=total, seconds=seconds)
    return total


async def _begin(database: Database, finding: Finding) -> tuple[Index, int]:
    async with database.write() as tx:
        index = index_of(finding, tx)
        await index.empty(tx)
        return index, await finding.total(tx)


async def _fill(database: Database, finding: Finding, index: Index, total: int) -> None:
    async with database.write() as tx:
        number = await index.number(tx, total)
    cursor, more = None, True
    while more:
        async with database.write() as tx:
            # From here on nobody else changes the index, so that what is read is not overtaken.
            await index.number(tx, 0)
            words: Counter[str] = Counter()
            for _ in range(index.parts):
                documents, cursor = await finding.read(tx, cursor)
                words.update(await index.fill(tx, documents, number))
                number -= len(documents)
                if cursor is None:
                    more = False
                    break
            await index.count_words(tx, words)


async def _add_typos(database: Database, index: Index) -> None:
    last, more = "", True
    while more:
        async with database.write() as tx:
            words = await index.words_after(tx, last, WORDS)
            await index.add_typos(tx, words)
        more, last = len(words) == WORDS, words[-1] if words else ""
