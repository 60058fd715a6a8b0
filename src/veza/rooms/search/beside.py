"""Building an index while others write: part by part, each under the lock that every change takes.

What changes meanwhile is indexed by whoever changes it, and left as it is here. The words of a part are made
while the database writes the one before; if anybody has changed anything since it was read, it is read again,
under the lock. Until the index is complete, others note of words only in how many entries more, or less, they
are; words that were lost, and what typos lead to, are seen to here at the end.
"""

import asyncio
from collections import Counter
from collections.abc import Iterable, Sequence

import msgspec

from veza.core.db import Database, Tx
from veza.rooms.search import state_store
from veza.rooms.search.alone import nothing_to_collect
from veza.rooms.search.entries_store import Document
from veza.rooms.search.findings import Finding
from veza.rooms.search.places import place_of
from veza.rooms.search.postgres_build_store import PostgresBuild
from veza.rooms.search.postgres_store import PostgresIndex
from veza.rooms.search.source_store import Cursor
from veza.rooms.search.typos import keys_of
from veza.rooms.search.words import is_mark

# Things that are written at a time, and for which others wait: a quarter of a second.
TOGETHER = 10_000
# Words that are counted at a time, and whose typos are written.
WORDS = 30_000


class Part(msgspec.Struct, frozen=True):
    """Things that follow each other, from ``start``; where to go on; and how far the index was before."""

    documents: Sequence[Document]
    start: Cursor | None
    more: Cursor | None
    numbered: int


async def build(database: Database, finding: Finding) -> int:
    """Build one kind's index; how many things it holds. Of all processes one does so at a time."""
    with nothing_to_collect():
        return await Building(database, finding).run()


class Building:
    """One index that is being built."""

    def __init__(self, database: Database, finding: Finding) -> None:
        self.database = database
        self.finding = finding
        self.index = PostgresIndex(finding.kind)
        self.store = PostgresBuild(finding.kind)
        # In how many entries words are that were written here.
        self.counts = Counter[str]()
        # How many numbers were given when this began; the next one to give, and the last.
        self._begun = self._next = self._last = 0

    async def run(self) -> int:
        """All of it; how many things there were."""
        total = await self.begin()
        await self.fill()
        async with asyncio.TaskGroup() as group:
            group.create_task(self.store.index_entries(self.database))
            group.create_task(self._write_words())
        await self.end()
        return total

    async def begin(self) -> int:
        """Empty it, and take numbers for all there is: how much that is."""
        async with self.database.write() as tx:
            await self.index.empty(tx)
            total = await self.finding.total(tx)
            self._last = self._begun = (await self.index.number(tx, total)).numbered
            self._next = self._last - total + 1
        await self.store.prepare(self.database)
        return total

    async def fill(self) -> None:
        """Write entries of all there is."""
        part: Part | None = await self._read_beside(None)
        while part is not None:
            writing = asyncio.create_task(self._write(part))
            try:
                await asyncio.sleep(0)  # so that it begins
                ahead = await self._read_beside(part.more) if part.more else None
            finally:
                written = await writing
            if written is not part:
                ahead = await self._read_beside(written.more) if written.more else None
            part = ahead

    async def _read_beside(self, start: Cursor | None) -> Part:
        async with self.database.read() as view:
            state = await state_store.read(view, self.finding.kind.name)
            return await self._read(view, start, state.numbered)

    async def _read(self, view: Tx, start: Cursor | None, numbered: int) -> Part:
        found, more = await self.finding.read(view, start)
        documents = [*found]
        while more is not None and len(documents) < TOGETHER:
            found, more = await self.finding.read(view, more)
            documents += found
        return Part(documents, start, more, numbered)

    async def _write(self, part: Part) -> Part:
        """Write this part, or what has become of it; that is what is returned."""
        async with self.database.write() as tx:
            # From here on nobody else changes the index, so that what is read is not overtaken.
            state = await self.index.number(tx, 0)
            if state.numbered != part.numbered:
                part = await self._read(tx, part.start, state.numbered)
            new = part.documents
            if state.numbered != self._begun:
                # What changed beside a build is there already.
                known = await self.store.known(tx, new)
                new = [one for one in new if one.id not in known]
            if len(new) > self._last - self._next + 1:
                self._last = (await self.index.number(tx, len(new))).numbered
                self._next = self._last - len(new) + 1
            placed = [(place_of(one.popularity, self._next + n), one) for n, one in enumerate(new)]
            await self.store.write(tx, placed)
        self._next += len(new)
        self.counts.update(word for one in new for word in one.words)
        return part

    async def _write_words(self) -> None:
        words = sorted(word for word in self.counts if not is_mark(word))
        for start in range(0, len(words), WORDS):
            part = words[start : start + WORDS]
            async with self.database.write() as tx:
                await self.index.number(tx, 0)
                await self.index.count_words(tx, {word: self.counts[word] for word in part})
                await self.store.write_typos(tx, _keys(part))
        await self.store.index_words(self.database)

    async def end(self) -> None:
        """See to the words that others brought or took away, and say that all is written."""
        async with self.database.write() as tx:
            if (await self.index.number(tx, 0)).numbered != self._begun:
                words = await self.store.words(tx)
                await self.index.add_typos(tx, [one.word for one in words if one.word not in self.counts])
                await self.index.lose_words(tx, [one.word for one in words if one.entries <= 0])
            await self.index.complete(tx)


def _keys(words: Iterable[str]) -> dict[str, set[int]]:
    return {word: found for word in words if (found := keys_of(word))}
