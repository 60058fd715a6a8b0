"""Writing a whole index on PostgreSQL, from nothing, while others may change it.

What is written by the hundred thousand is sent as lists, one statement a part. What is quicker made at once
than kept in order, row by row, is made last: all indexes but those by which an entry to be changed is found.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql
from sqlalchemy.schema import CreateIndex

from veza.core.db import Database, Id, ListOf, Statement, Tx, any_of, metadata
from veza.core.db.statement import POSTGRES
from veza.core.db.types import to_micros
from veza.rooms.search.entries_store import Document, Entries, Kind, Word

# What a server may take to sort what is indexed: for a minute, once.
_MEMORY = "SET LOCAL maintenance_work_mem = '256MB'"
_TEXTS, _NUMBERS = postgresql.ARRAY(sa.Text()), postgresql.ARRAY(sa.BigInteger())


class PostgresBuild:
    """One kind of things, in PostgreSQL."""

    def __init__(self, kind: Kind) -> None:
        self.table = table = f"search_{kind.name}"
        self._write: Statement[None] = Entries.statement(
            f"INSERT INTO {table} (place, id, words, name, duration, created_at)"  # noqa: S608 - our own names
            " SELECT p, i, array_to_tsvector(string_to_array(w, ' ')), n, d, c"
            " FROM unnest(:places, :ids, :words, :names, :durations, :moments) AS given (p, i, w, n, d, c)",
            {"places": _NUMBERS, "ids": ListOf(Id()), "words": _TEXTS, "names": _TEXTS,
             "durations": postgresql.ARRAY(sa.Double()), "moments": _NUMBERS},
        )  # fmt: skip
        entries, vocabulary = (metadata.tables[name].c for name in (table, f"{table}_words"))
        self._known: Statement[UUID] = Statement(sa.select(entries.id).where(any_of(entries.id, "ids")), UUID)
        self._write_typos: Statement[None] = Entries.statement(
            f"INSERT INTO {table}_typos (key, word) SELECT k, w FROM unnest(:keys, :words) AS given (k, w)",  # noqa: S608 - our own names
            {"keys": _NUMBERS, "words": _TEXTS},
        )
        self._words = Statement(sa.select(vocabulary.word, vocabulary.entries), Word)

    async def prepare(self, database: Database) -> None:
        """Go without the indexes: made at once they take a fifth of the time."""
        gone = "; ".join(f"DROP INDEX IF EXISTS {index.name}" for index in self._indexes())
        await database.script(f"{gone}; ALTER TABLE {self.table}_typos DROP CONSTRAINT IF EXISTS {self._key}")

    async def known(self, tx: Tx, documents: Sequence[Document]) -> set[UUID]:
        """Which of these have entries already."""
        return set(await tx.all(self._known, ids=[one.id for one in documents]))

    async def write(self, tx: Tx, placed: Sequence[tuple[int, Document]]) -> None:
        """Write entries with their places."""
        if placed:
            await tx.run(
                self._write,
                places=[place for place, _ in placed],
                ids=[one.id for _, one in placed],
                words=[" ".join(one.words) for _, one in placed],
                names=[one.name for _, one in placed],
                durations=[one.duration for _, one in placed],
                moments=[to_micros(one.created_at) for _, one in placed],
            )

    async def write_typos(self, tx: Tx, keys: Mapping[str, Collection[int]]) -> None:
        """Let typos lead to these words, which none does yet."""
        if keys:
            await tx.run(
                self._write_typos,
                keys=[key for found in keys.values() for key in found],
                words=[word for word, found in keys.items() for _ in found],
            )

    async def words(self, tx: Tx) -> list[Word]:
        """All words, and in how many entries each is."""
        return await tx.all(self._words)

    async def index_entries(self, database: Database) -> None:
        """Make the indexes of entries; each by itself, so that who waits for one does not wait for all."""
        for index in self._indexes():
            made = CreateIndex(index, if_not_exists=True).compile(dialect=POSTGRES)
            await database.script(f"{_MEMORY}; {made}")
        await database.script(f"ANALYZE {self.table}")

    async def index_words(self, database: Database) -> None:
        """Make the index of typos."""
        typos = f"{self.table}_typos"
        await database.script(
            f"{_MEMORY}; ALTER TABLE {typos} ADD CONSTRAINT {self._key} PRIMARY KEY (key, word);"
            f" ANALYZE {typos}; ANALYZE {self.table}_words"
        )

    @property
    def _key(self) -> str:
        return f"pk_{self.table}_typos"

    def _indexes(self) -> Sequence[sa.Index]:
        found: list[Any] = sorted(metadata.tables[self.table].indexes, key=lambda index: str(index.name))
        return found
