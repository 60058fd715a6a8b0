"""Building an index where nobody else writes: in one transaction, its words made while others are written.

Python makes the words on the event loop, which nobody else needs yet, and the database writes in a thread:
so both cores of a small machine are at work.
"""

import asyncio
import gc
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import TypeVar

from veza.core.db import Database, Tx
from veza.rooms.search.entries_store import Document
from veza.rooms.search.findings import Finding, index_of
from veza.rooms.search.source_store import Cursor
from veza.rooms.search.sqlite_build_store import SqliteBuild

PartT = TypeVar("PartT")

# Things that are written at a time: Python and the database's thread wait for each other at each.
TOGETHER = 20_000
# Words whose typos are written at a time: sorted, they fill the pages of a large table in their order.
WORDS = 50_000


async def build(database: Database, finding: Finding) -> int:
    """Build one kind's index; how many things it holds."""
    writer = SqliteBuild(finding.kind)
    with nothing_to_collect():
        return await _build(database, finding, writer)


async def _build(database: Database, finding: Finding, writer: SqliteBuild) -> int:
    async with database.read() as view, database.bulk() as tx:
        index = index_of(finding, tx)
        await index.empty(tx)
        await writer.begin(tx)
        total = await finding.total(view)
        last = (await index.number(tx, total)).numbered
        await _write_while_more_is_made(
            _numbered(finding, view, last), lambda part: writer.write(tx, part[1], part[0])
        )
        words = await writer.end(tx)
        await _write_while_more_is_made(_parts(words), lambda part: index.add_typos(tx, part))
        await index.complete(tx)
    return total


@contextmanager
def nothing_to_collect() -> Iterator[None]:
    """Without the search for cycles: there are none, and among so many objects it takes long."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


async def _numbered(finding: Finding, view: Tx, last: int) -> AsyncIterator[tuple[int, Sequence[Document]]]:
    cursor: Cursor | None = None
    together: list[Document] = []
    while True:
        documents, cursor = await finding.read(view, cursor)
        together += documents
        if cursor is None or len(together) >= TOGETHER:
            yield last, together
            last -= len(together)
            together = []
        if cursor is None:
            return


async def _parts(words: Sequence[str]) -> AsyncIterator[Sequence[str]]:
    for start in range(0, len(words), WORDS):
        yield words[start : start + WORDS]


async def _write_while_more_is_made(
    parts: AsyncIterator[PartT], write: Callable[[PartT], Awaitable[None]]
) -> None:
    writing: asyncio.Future[None] | None = None
    try:
        async for part in parts:
            if writing is not None:
                await writing
            writing = asyncio.ensure_future(write(part))
            await asyncio.sleep(0)  # so that it begins
        if writing is not None:
            await writing
    finally:
        if writing is not None and not writing.done():
            writing.cancel()
            with suppress(asyncio.CancelledError):
                await writing
