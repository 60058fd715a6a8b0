"""Building an index while others write: part by part, each under the lock that every change takes.

What changes meanwhile is indexed by whoever changes it, and left as it is here.
"""

from veza.core.db import Database
from veza.rooms.search.entries_store import Entries
from veza.rooms.search.findings import Finding
from veza.rooms.search.postgres_store import PostgresIndex

# Words whose typos are written at a time: sorted, they fill the pages of a large table in their order.
WORDS = 50_000


async def build(database: Database, finding: Finding) -> int:
    """Build one kind's index; how many things it holds."""
    index = PostgresIndex(finding.kind)
    total = await _begin(database, finding, index)
    await index.prepare(database)
    await _fill(database, finding, index, total)
    await _add_typos(database, index)
    await index.finish(database)
    async with database.write() as tx:
        await index.complete(tx)
    return total


async def _begin(database: Database, finding: Finding, index: Entries) -> int:
    async with database.write() as tx:
        await index.empty(tx)
        return await finding.total(tx)


async def _fill(database: Database, finding: Finding, index: Entries, total: int) -> None:
    async with database.write() as tx:
        number = await index.number(tx, total)
    cursor, more = None, True
    while more:
        async with database.write() as tx:
            # From here on nobody else changes the index, so that what is read is not overtaken.
            await index.number(tx, 0)
            documents, cursor = await finding.read(tx, cursor)
            await index.count_words(tx, await index.fill(tx, documents, number))
        number -= len(documents)
        more = cursor is not None


async def _add_typos(database: Database, index: Entries) -> None:
    last, more = "", True
    while more:
        async with database.write() as tx:
            words = await index.words_after(tx, last, WORDS)
            await index.add_typos(tx, words)
        more, last = len(words) == WORDS, words[-1] if words else ""
