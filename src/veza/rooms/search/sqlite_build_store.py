"""Writing a whole index on SQLite, from nothing, in one transaction.

Parts go to the database as one text each, so that its thread needs nothing of Python while it writes. The
words are counted by reading the lists of the full-text table, once they are there.
"""

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from veza.core.db import Json, Statement, Tx
from veza.core.db.types import to_micros
from veza.rooms.search.entries_store import Document, Entries, Kind
from veza.rooms.search.places import place_of
from veza.rooms.search.words import FIRST_MARK, PAST_MARKS

# Bytes of lists held back before they are written: when an index is built, and else.
_MUCH, _LITTLE = 64 * 1024**2, 1024**2
# Lists are merged once at the end, and not when there are so many; and else, as FTS5 does it by itself.
_NEVER, _USUAL = 0, 4


class SqliteBuild:
    """One kind of things, in SQLite."""

    def __init__(self, kind: Kind) -> None:
        table = f"search_{kind.name}"
        fts = f"{table}_fts"
        text = Entries.statement
        self._setting: Statement[None] = text(
            f"INSERT INTO {fts} ({fts}, rank) VALUES (:name, :value)",  # noqa: S608 - our own names
            {"name": sa.Text(), "value": sa.BigInteger()},
        )
        self._write: Statement[None] = text(
            f"INSERT INTO {table} (place, id, words, name, duration, created_at)"  # noqa: S608 - our own names
            " SELECT value ->> 0, unhex(value ->> 1), value ->> 2, value ->> 3, value ->> 4, value ->> 5"
            " FROM json_each(:rows)",
            {"rows": Json()},
        )
        self._write_fts: Statement[None] = text(
            f"INSERT INTO {fts} (rowid, words) SELECT place, words FROM {table}"  # noqa: S608 - our own names
            " WHERE place BETWEEN :first AND :last ORDER BY place",
            {"first": sa.BigInteger(), "last": sa.BigInteger()},
        )
        self._optimize: Statement[None] = text(f"INSERT INTO {fts} ({fts}) VALUES ('optimize')", {})  # noqa: S608 - our own names
        self._lists: Statement[None] = text(
            f"CREATE VIRTUAL TABLE temp.{fts}_lists USING fts5vocab('main', '{fts}', 'row')", {}
        )
        self._count: Statement[None] = text(
            f"INSERT INTO {table}_words (word, entries) SELECT term, doc FROM temp.{fts}_lists"  # noqa: S608 - our own names
            " WHERE term < :first OR term >= :past ORDER BY term",
            {"first": sa.Text(), "past": sa.Text()},
        )
        self._words = text(
            f"SELECT word FROM {table}_words ORDER BY word", {}, [sa.column("word", sa.Text)], str  # noqa: S608 - our own names
        )  # fmt: skip

    async def begin(self, tx: Tx) -> None:
        """Hold back more of the lists before they are written, so that they are few and long."""
        await tx.run(self._setting, name="automerge", value=_NEVER)
        await tx.run(self._setting, name="hashsize", value=_MUCH)

    async def write(self, tx: Tx, documents: Sequence[Document], first: int) -> None:
        """Write entries, numbered downwards from ``first``; they and calls are in the order of finding."""
        rows: list[tuple[Any, ...]] = [
            (
                place_of(one.popularity, first - n), one.id.hex, " ".join(one.words), one.name, one.duration,
                to_micros(one.created_at),
            )
            for n, one in enumerate(documents)
        ]  # fmt: skip
        if rows:
            await tx.run(self._write, rows=rows)
            await tx.run(self._write_fts, first=rows[0][0], last=rows[-1][0])

    async def end(self, tx: Tx) -> list[str]:
        """Merge the lists to one of each word, count the words; these, in order."""
        await tx.run(self._optimize)
        await tx.run(self._setting, name="hashsize", value=_LITTLE)
        await tx.run(self._setting, name="automerge", value=_USUAL)
        await tx.run(self._lists)
        await tx.run(self._count, first=FIRST_MARK, past=PAST_MARKS)
        return await tx.all(self._words)
