"""Search on SQLite: FTS5, its rows in the order of places.

The text of a thing is in its entry alone: the full-text table holds nothing but which word is in which row.
It splits at spaces only, since its words come split and folded. A query reads matches from the front of the
list and stops when it has enough; the beginnings of words, up to so many letters, are lists of their own.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Any
from uuid import UUID

import msgspec
import sqlalchemy as sa

from veza.core.db import Id, Json, Statement, Time, Tx
from veza.rooms.search.entries_store import Kind
from veza.rooms.search.ladder import Filters, Match, Rung, Term
from veza.rooms.search.store import HIDDEN, Index, given, in_range

# As the migration makes the table: beginnings of so many letters have lists.
LISTED_LETTERS = 4
# Of more matches only so many, the first ones, are looked at for durations and days: some 60 ms.
MOST_LOOKED = 100_000
# So few things are looked at one by one, whether they match: some 70 ms.
FEW_THINGS = 4_000
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
    _among = "IN (SELECT unhex(value) FROM json_each(:hidden))"
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

        # Whether the row of one entry matches: some 15 microseconds.
        self._has_words = (
            f"EXISTS (SELECT 1 FROM {self.fts} WHERE {self.fts} MATCH :expression AND rowid = r.place)"  # noqa: S608 - our own names
        )
        self._border = self.statement(
            f"SELECT rowid AS place FROM {self.fts} WHERE {self.fts} MATCH :expression"  # noqa: S608 - our own names
            " ORDER BY rowid LIMIT 1 OFFSET :looked",
            {"expression": sa.Text(), "looked": sa.BigInteger()},
            [sa.column("place", sa.BigInteger)],
            int,
            heavy=True,
        )
        columns = dict(kind.listed)
        self._days = self._make_days(columns["created_at"]) if "created_at" in columns else None
        self._walks = {
            (by, descending, hiding): self._make_walk(column, "DESC" if descending else "ASC", hiding=hiding)
            for by, column in kind.listed
            for descending in (True, False)
            for hiding in (True, False)
        }

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

    async def bounded(self, view: Tx, expression: str, filters: Filters) -> Filters:
        """Of few days all things are looked at, and else the first matches up to a border."""
        if not filters.ranged:
            return filters
        ends = in_range(filters)
        if filters.dated and self._days is not None:
            few = await view.first(self._days, since=ends["since"], until=ends["until"]) or 0
            if few <= FEW_THINGS:
                return msgspec.structs.replace(filters, narrow=True, border=None)
        border = await view.first(self._border, expression=expression, looked=MOST_LOOKED)
        return msgspec.structs.replace(filters, border=border)

    async def sorted(
        self,
        view: Tx,
        expression: str,
        filters: Filters,
        *,
        by: str,
        descending: bool,
        offset: int,
        limit: int,
    ) -> list[UUID]:
        """A part of what matches, in this order: of very many the first are found by walking along a list."""
        walk = self._walks.get((by, descending, filters.hiding))
        if walk is not None and not filters.ranged and offset + limit <= FEW_THINGS:
            many = await self.count(view, expression, filters, MOST_LOOKED + 1) > MOST_LOOKED
            if many:
                found = await view.all(
                    walk, expression=expression, walked=FEW_THINGS, limit=limit, offset=offset,
                    **given(filters),
                )  # fmt: skip
                if len(found) == limit:
                    return found
        return await super().sorted(
            view, expression, filters, by=by, descending=descending, offset=offset, limit=limit
        )

    def _make_walk(self, column: str, way: str, *, hiding: bool) -> Statement[UUID]:
        table, _ = self.kind.popularity or ("", "")
        seen = self._seen("r.place") if hiding else ""
        params: dict[str, sa.types.TypeEngine[Any]] = {"expression": sa.Text(), **(HIDDEN if hiding else {})}
        return self.statement(
            f"SELECT t.id AS id FROM (SELECT id, {column} AS it FROM {table} WHERE listed = 1"  # noqa: S608 - our own names
            f" ORDER BY {column} {way}, id {way} LIMIT :walked) t CROSS JOIN {self.table} r ON r.id = t.id"
            f" WHERE {self._has_words}{seen} ORDER BY t.it {way}, t.id {way} LIMIT :limit OFFSET :offset",
            params | dict.fromkeys(("walked", "limit", "offset"), sa.BigInteger()),
            [sa.column("id", Id())],
            UUID,
            heavy=True,
        )

    def _make_days(self, column: str) -> Statement[int]:
        table, _ = self.kind.popularity or ("", "")
        return self.statement(
            f"SELECT count(*) AS n FROM (SELECT 1 FROM {table} WHERE listed = 1"  # noqa: S608 - our own names
            f" AND {column} BETWEEN :since AND :until LIMIT {FEW_THINGS + 1}) few",
            {"since": Time(), "until": Time()},
            [sa.column("n", sa.BigInteger)],
            int,
            heavy=True,
        )

    def _matches(self, *, ranged: bool, narrow: bool) -> tuple[str, str]:
        fts, place = self.fts, f"{self.fts}.rowid"
        passes = "r.duration BETWEEN :shortest AND :longest AND r.created_at BETWEEN :since AND :until"
        if narrow:
            table, column = (self.kind.popularity or ("", ""))[0], dict(self.kind.listed)["created_at"]
            found = (
                f"SELECT r.place AS place FROM {table} t CROSS JOIN {self.table} r ON r.id = t.id"  # noqa: S608 - our own names
                f" WHERE t.listed = 1 AND t.{column} BETWEEN :since AND :until AND {passes}"
                f" AND {self._has_words} AND r.place < :border"
            )
            return found, "r.place"
        found = f"SELECT {place} AS place FROM {fts}"  # noqa: S608 - our own names
        if ranged:
            found += f" CROSS JOIN {self.table} r ON r.place = {place}"
        found += f" WHERE {fts} MATCH :expression"
        if ranged:
            found += f" AND {passes} AND {place} < :border"
        return found, place


def _quoted(word: str) -> str:
    return f'"{word}"'
