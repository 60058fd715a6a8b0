"""Search on SQLite: FTS5, its rows in the order of places.

The text of a thing is in its entry alone: the full-text table holds nothing but which word is in which row.
It splits at spaces only, since its words come split and folded. A query reads matches from the front of the
list and stops when it has enough; the beginnings of words, up to so many letters, are lists of their own.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from veza.core.db import Json, Statement, Tx
from veza.rooms.search.entries_store import Kind
from veza.rooms.search.ladder import Match, Rung, Term
from veza.rooms.search.store import Index

# As the migration makes the table: beginnings of so many letters have lists.
LISTED_LETTERS = 4
# A longer beginning is asked for as all the words that begin so, unless they are too many.
_MOST_WORDS = 256


class SqliteIndex(Index):
    """One kind of things, in SQLite."""

    _counted = "SELECT key, value FROM json_each(:counts) WHERE true"
    _counts = {"counts": Json()}  # noqa: RUF012 - never changed
    _keyed = (
        "SELECT k.value, w.key FROM json_each(:keys) w CROSS JOIN json_each(w.value) k WHERE true"
        " ORDER BY 1, 2"
    )
    _keys = {"keys": Json()}  # noqa: RUF012 - never changed
    _join = "CROSS JOIN"
    _words = "words"

    def __init__(self, kind: Kind) -> None:
        super().__init__(kind)
        self.fts = f"{self.table}_fts"
        self._insert: Statement[None] = self.statement(
            f"INSERT INTO {self.table} (place, id, words, name, duration, created_at)"  # noqa: S608 - our own names
            " VALUES (:place, :id, :words, :name, :duration, :created_at)",
            self.columns(),
        )
        self._insert_fts: Statement[None] = self.statement(
            f"INSERT INTO {self.fts} (rowid, words) VALUES (:place, :words)",  # noqa: S608 - our own names
            {"place": sa.BigInteger(), "words": sa.Text()},
        )
        self._drop_fts: Statement[None] = self.statement(
            f"DELETE FROM {self.fts} WHERE rowid = :at",  # noqa: S608 - our own names
            {"at": sa.BigInteger()},
        )
        self._emptied.append(
            self.statement(f"INSERT INTO {self.fts} ({self.fts}) VALUES ('delete-all')", {})  # noqa: S608 - our own names
        )

    def _params(self, counts: Mapping[str, int]) -> dict[str, Any]:
        return {"counts": counts}

    def _typo_params(self, keys: Mapping[str, Collection[int]]) -> dict[str, Any]:
        return {"keys": keys}

    async def _write(self, tx: Tx, rows: Sequence[Mapping[str, Any]]) -> None:
        told = [{**row, "words": " ".join(row["words"])} for row in rows]
        await tx.run_many(self._insert, told)
        await tx.run_many(self._insert_fts, told)

    async def _erase(self, tx: Tx, place: int) -> None:
        await tx.run(self._drop_fts, at=place)
        await tx.run(self._drop, at=place)

    async def expression(self, view: Tx, match: Match) -> str:
        """The query, in FTS5's words; every word is quoted, and so none is a command."""
        wanted = [await self._rung(view, match.rung), *(_quoted(mark) for mark in match.filters.marks)]
        found = " AND ".join(f"({part})" for part in wanted)
        for rung in match.less:
            found = f"({found}) NOT ({await self._rung(view, rung)})"
        return found

    async def _rung(self, view: Tx, rung: Rung) -> str:
        return " AND ".join([f"({await self._term(view, term)})" for term in rung])

    async def _term(self, view: Tx, term: Term) -> str:
        ways = [_quoted(word) for word in term.near]
        if term.strict:
            ways.append(_quoted(term.word))
        if term.strict and term.prefix:
            if len(term.word) <= LISTED_LETTERS:
                ways[-1] += " *"
            else:
                words = await self.begins(view, term.word, _MOST_WORDS + 1)
                if len(words) > _MOST_WORDS:
                    ways[-1] += " *"
                else:
                    ways += [_quoted(word) for word in words if word != term.word]
        return " OR ".join(ways)

    def _matches(self, *, ranged: bool) -> tuple[str, str]:
        fts, place = self.fts, f"{self.fts}.rowid"
        found = f"SELECT {place} AS place FROM {fts}"  # noqa: S608 - our own names
        if ranged:
            found += f" CROSS JOIN {self.table} r ON r.place = {place}"
        found += f" WHERE {fts} MATCH :expression"
        if ranged:
            found += (
                " AND r.duration BETWEEN :shortest AND :longest AND r.created_at BETWEEN :since AND :until"
            )
        return found, place


def _quoted(word: str) -> str:
    return f'"{word}"'
