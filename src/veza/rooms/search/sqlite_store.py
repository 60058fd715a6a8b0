"""Search on SQLite: FTS5, its rows in the order of places.

The text of a thing is in its entry alone: the full-text table holds nothing but which word is in which row.
It splits at spaces only, since its words come split and folded. A query reads matches from the front of the
list and stops when it has enough; the beginnings of words, up to so many letters, are lists of their own.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from veza.core.db import Id, Json, Statement, Tx
from veza.rooms.search.entries_store import Kind
from veza.rooms.search.ladder import Filters, Match, Rung, Term
from veza.rooms.search.select_store import PAGE, Matches, Wanted, wanted_of
from veza.rooms.search.store import Index

# As the migration makes the table: beginnings of so many letters have lists.
LISTED_LETTERS = 4
# Of more matches only so many, the first ones, are looked at for durations and days: some 120 ms.
MOST_LOOKED = 500_000
# So many entries are walked along at most to find a page: some 70 ms, and 70 for what matches.
MOST_WALKED = 150_000
# So few are asked one by one whether they match: some 15 ms.
FEW_ROWS = 1_000
# How dense matches lie among all there is, is told by so many of them.
SAMPLE = 10_000
# A longer beginning is asked for as all the words that begin so, unless they are too many.
_MOST_WORDS = 256
# What stands sorted by what is in which column.
_SORTED = {"title": "name", "created_at": "created_at"}
_PASSES = "r.duration BETWEEN :shortest AND :longest AND r.created_at BETWEEN :since AND :until"


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
    _given = "SELECT value AS place FROM json_each(:places)"
    _places = {"places": Json()}  # noqa: RUF012 - never changed
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
        wanted = [_quoted(mark) for mark in match.filters.marks]
        if match.rung:
            wanted.insert(0, await self._rung(view, match.rung))
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

    async def saw_all(self, view: Tx, expression: str) -> bool:
        """Whether there are no more matches than are looked at."""
        return not expression or await self._nth(view, expression, MOST_LOOKED) is None

    async def sorted(
        self,
        view: Tx,
        expression: str,
        filters: Filters,
        *,
        total: int,
        by: str,
        descending: bool,
        offset: int,
        limit: int,
        first: Sequence[int] = (),
    ) -> list[UUID]:
        """A part of what matches and is in range, in this order.

        Where much of all there is does, the first are found by walking along all that stands sorted already.
        """
        end = offset + limit
        rows = await self._rows_to(view, expression, end, first)
        if rows <= MOST_WALKED:
            one_by_one = rows <= FEW_ROWS
            found = await view.all(
                self._statement("walk", wanted_of(expression, filters), by, descending, one_by_one),
                walked=2 * FEW_ROWS if one_by_one else MOST_WALKED, limit=limit, offset=offset,
                **self._values(expression, filters),
            )  # fmt: skip
            if len(found) == limit:
                return found
        elif first:
            rest = self._statement("rest", wanted_of(expression, filters))
            told = await view.all(rest, after=first[-1], **self._values(expression, filters))
            return await self.ordered(
                view, [*first, *told], by=by, descending=descending, offset=offset, limit=limit
            )
        return await super().sorted(
            view, expression, filters, total=total, by=by, descending=descending, offset=offset, limit=limit
        )

    async def _rows_to(self, view: Tx, expression: str, end: int, first: Sequence[int]) -> int:
        """About how many entries hold ``end`` that match, if all lie as dense as the first places."""
        size = len(first) or SAMPLE
        last = first[-1] if first else await self._nth(view, expression, SAMPLE)
        if last is None:
            return MOST_WALKED + 1
        most = min(MOST_WALKED * size // end + 1, MOST_LOOKED)
        before = await view.first(self._statement("before"), place=last, most=most) or 0
        return end * before // size if before < most else MOST_WALKED + 1

    async def _nth(self, view: Tx, expression: str, nth: int) -> int | None:
        """The place of so-many-and-first match."""
        return await view.first(self._statement("nth"), expression=expression, nth=nth)

    def _make_nth(self) -> Statement[int]:
        matches = self._matches(Wanted())
        return self.statement(
            f"SELECT {matches.place} AS place FROM {matches.source}"  # noqa: S608 - our own names
            f" ORDER BY {matches.place} LIMIT 1 OFFSET :nth",
            {**matches.params, "nth": sa.BigInteger()},
            [sa.column("place", sa.BigInteger)],
            int,
            heavy=True,
        )

    def _along(self, column: str) -> str:
        return f"{self.table} INDEXED BY ix_{self.table}_{column}"

    def _make_rest(self, wanted: Wanted) -> Statement[int]:
        matches = self._matches(wanted, after=True)
        return self.statement(
            f"SELECT {matches.place} AS place FROM {matches.source}",  # noqa: S608 - our own names
            {**matches.params, "after": sa.BigInteger()},
            [sa.column("place", sa.BigInteger)],
            int,
            heavy=True,
        )

    def _make_before(self) -> Statement[int]:
        return self.statement(
            f"SELECT count(*) AS n FROM (SELECT 1 FROM {self._along('place')}"  # noqa: S608 - our own names
            " WHERE place < :place LIMIT :most) b",
            {"place": sa.BigInteger(), "most": sa.BigInteger()},
            [sa.column("n", sa.BigInteger)],
            int,
            heavy=True,
        )

    def _make_walk(
        self,
        wanted: Wanted,
        by: str,
        descending: bool,  # noqa: FBT001 - part of a key
        one_by_one: bool,  # noqa: FBT001 - part of a key
    ) -> Statement[UUID]:
        fts, column, way = self.fts, _SORTED[by], "DESC" if descending else "ASC"
        rules = []
        if wanted.worded and one_by_one:
            rules.append(f"EXISTS (SELECT 1 FROM {fts} WHERE {fts} MATCH :expression AND rowid = w.place)")  # noqa: S608 - our own names
        elif wanted.worded:
            rules.append(f"w.place IN (SELECT rowid FROM {fts} WHERE {fts} MATCH :expression)")  # noqa: S608 - our own names
        joined = f" CROSS JOIN {self.table} r INDEXED BY ix_{self.table}_place ON r.place = w.place"
        if wanted.ranged:
            rules.append(_PASSES)
        if wanted.hiding:
            rules.append(self._seen("w.id"))
        days = " WHERE created_at BETWEEN :since AND :until" if wanted.ranged and by == "created_at" else ""
        return self.statement(
            f"SELECT w.id AS id FROM (SELECT place, id, {column} FROM {self.table}"  # noqa: S608 - our own names
            f" INDEXED BY ix_{self.table}_{column}{days} ORDER BY {column} {way}, id {way} LIMIT :walked) w"
            f"{joined if wanted.ranged else ''} WHERE {' AND '.join(rules)}"
            f" ORDER BY w.{column} {way}, w.id {way} LIMIT :limit OFFSET :offset",
            {**self._params_of(wanted), **PAGE, "walked": sa.BigInteger()},
            [sa.column("id", Id())],
            UUID,
            heavy=True,
        )

    def _values(self, expression: str, filters: Filters) -> dict[str, Any]:
        return super()._values(expression, filters) | {"looked": MOST_LOOKED}

    def _matches(self, wanted: Wanted, *, descending: bool = False, after: bool = False) -> Matches:
        fts, ranges = self.fts, f"{self.table} r INDEXED BY ix_{self.table}_place"
        found, params = f"{fts} WHERE {fts} MATCH :expression", dict(self._params_of(wanted))
        if not wanted.ranged:
            source, place = found, f"{fts}.rowid"
        elif not wanted.worded:
            beyond = " AND r.place > :after" if after else ""
            source, place = f"{ranges} WHERE {_PASSES}{beyond}", "r.place"
        else:
            way, beyond = "DESC" if descending else "ASC", " AND rowid > :after" if after else ""
            params["looked"] = sa.BigInteger()
            first = f"(SELECT rowid AS place FROM {found}{beyond} ORDER BY rowid {way} LIMIT :looked) m"  # noqa: S608 - our own names
            source = f"{first} CROSS JOIN {ranges} ON r.place = m.place WHERE {_PASSES}"
            place = "m.place"
        if wanted.hiding:
            thing = f"(SELECT id FROM {self.table} h WHERE h.place = {place})"  # noqa: S608 - our own names
            source += f" AND {self._seen(thing)}"
        return Matches(source, place, params)


def _quoted(word: str) -> str:
    return f'"{word}"'
