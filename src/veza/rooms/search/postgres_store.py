"""Search on PostgreSQL: a tsvector made of our own words, with a GIN index; no extension, no dictionary."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from veza.core.db import Database, Id, Statement, Tx
from veza.rooms.search.entries_store import Kind
from veza.rooms.search.ladder import Filters, Match, Rung, Term
from veza.rooms.search.select_store import PAGE, Matches, Types, Wanted, wanted_of
from veza.rooms.search.store import WINDOW, Index

# More than so many matches are not counted.
DENSE = 10_000
# So many matches are read and sorted in 2 ms.
FEW = 2_000
# So many entries are walked along at most: some 20 ms.
WALKED = 20_000


class PostgresIndex(Index):
    """One kind of things, in PostgreSQL."""

    _counted = "SELECT unnest(:words), unnest(:counts)"
    _counts = {"words": postgresql.ARRAY(sa.Text()), "counts": postgresql.ARRAY(sa.BigInteger())}  # noqa: RUF012 - never changed
    _keyed = "SELECT k, w FROM unnest(:keys, :words) AS given (k, w) ORDER BY 1, 2"
    _keys = {"keys": postgresql.ARRAY(sa.BigInteger()), "words": postgresql.ARRAY(sa.Text())}  # noqa: RUF012 - never changed
    _join = "JOIN"
    _given = "SELECT unnest(:places) AS place"
    _places = {"places": postgresql.ARRAY(sa.BigInteger())}  # noqa: RUF012 - never changed
    _among = "= ANY (:hidden)"
    _words = "array_to_string(tsvector_to_array(words), ' ')"

    def __init__(self, kind: Kind) -> None:
        super().__init__(kind)
        self._insert: Statement[None] = self.statement(
            f"INSERT INTO {self.table} (place, id, words, name, duration, created_at)"  # noqa: S608 - our own names
            " VALUES (:place, :id, array_to_tsvector(:words), :name, :duration, :created_at)",
            self.columns() | {"words": postgresql.ARRAY(sa.Text())},
        )

        # As the server believes it, which is near enough.
        self._size = self.statement(
            f"SELECT CAST(reltuples AS bigint) AS n FROM pg_class WHERE oid = '{self.table}'::regclass",  # noqa: S608 - our own names
            {},
            [sa.column("n", sa.BigInteger)],
            int,
        )

    def _params(self, counts: Mapping[str, int]) -> dict[str, Any]:
        return {"words": list(counts), "counts": list(counts.values())}

    def _typo_params(self, keys: Mapping[str, Collection[int]]) -> dict[str, Any]:
        pairs = [(key, word) for word, found in keys.items() for key in found]
        return {"keys": [key for key, _ in pairs], "words": [word for _, word in pairs]}

    async def _write(self, tx: Tx, rows: Sequence[Mapping[str, Any]]) -> None:
        told = [{**row, "words": list(row["words"])} for row in rows]
        # Who waits in an executemany in vain loses the connection; here nobody waits, see `put`.
        await tx.run_many(self._insert, told)

    async def _erase(self, tx: Tx, place: int) -> None:
        await tx.run(self._drop, at=place)

    async def prepare(self, database: Database) -> None:
        """Go without the index: made at once it takes a fifth of the time."""
        await database.script(f"DROP INDEX IF EXISTS ix_{self.table}_words")

    async def finish(self, database: Database) -> None:
        """Make the index."""
        await database.script(
            f"CREATE INDEX IF NOT EXISTS ix_{self.table}_words ON {self.table} USING gin (words)"
            f" WITH (fastupdate = off); ANALYZE {self.table}"
        )

    async def expression(self, view: Tx, match: Match) -> str:
        """The query, as a tsquery; every word is quoted, and so none is a command."""
        del view  # asks nothing: the index knows the beginnings of words
        wanted = [
            *([_rung(match.rung)] if match.rung else []),
            *(_quoted(mark) for mark in match.filters.marks),
        ]
        found = " & ".join(f"({part})" for part in wanted)
        return " & ".join([found, *(f"!({_rung(rung)})" for rung in match.less)])

    async def _window(
        self,
        view: Tx,
        expression: str,
        filters: Filters,
        window: Mapping[str, int],
        *,
        total: int,
        descending: bool,
    ) -> list[UUID]:
        """Found by walking along all there is where matches lie dense, and else among all that match."""
        if total > FEW and await self._lie_dense(view, expression, filters, total, window["start"] + WINDOW):
            walk = self._statement("walk", wanted_of(expression, filters), descending)
            found = await view.all(walk, walked=WALKED, **window, **self._values(expression, filters))
            if found:
                return found
        return await super()._window(view, expression, filters, window, total=total, descending=descending)

    async def _lie_dense(self, view: Tx, expression: str, filters: Filters, total: int, end: int) -> bool:
        """Whether so many matches are likely to be met along the way; of more than are counted, it may be."""
        if total <= DENSE:
            size = await view.first(self._size) or 0
            if total * WALKED < 2 * end * size:
                return False
        return await self.count(view, expression, filters, FEW + 1) > FEW

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
        """A part of what matches and is in range, in this order; the first of very much as it is planned."""
        how: dict[str, Any] = {"by": by, "descending": descending, "offset": offset, "limit": limit}
        if total <= DENSE or offset + limit > FEW:
            return await super().sorted(view, expression, filters, total=total, **how, first=first)
        planned = self._statement("planned", wanted_of(expression, filters), by, descending)
        return await view.all(planned, offset=offset, limit=limit, **self._values(expression, filters))

    def _matches(self, wanted: Wanted, *, descending: bool = False) -> Matches:
        del descending  # all that matches is found by its words, and ordered then
        return Matches(self._alone("place", self._rules(wanted)), "e.place", self._params_of(wanted))

    def _alone(self, columns: str, rules: str) -> str:
        """Planned by itself: with a LIMIT in sight, a few rare matches are looked for in all there is."""
        rows = f"SELECT {columns} FROM {self.table} e WHERE {rules}"  # noqa: S608 - our own names
        return f"(WITH m AS MATERIALIZED ({rows}) SELECT * FROM m) e"  # noqa: S608 - our own names

    def _rules(self, wanted: Wanted) -> str:
        """What holds of an entry ``e`` that is asked for."""
        rules = ["words @@ CAST(:expression AS tsquery)"] if wanted.worded else []
        if wanted.ranged:
            rules += ["duration BETWEEN :shortest AND :longest", "created_at BETWEEN :since AND :until"]
        if wanted.hiding:
            rules.append(self._seen("e.id"))
        return " AND ".join(rules)

    def _make_walk(self, wanted: Wanted, descending: bool) -> Statement[UUID]:  # noqa: FBT001 - part of a key
        way = "ASC" if descending else "DESC"
        order, joined = self._order("popularity", descending=descending)
        rules = self._rules(wanted)
        return self.statement(
            # A window that is not full is none: its order would be that of a part.
            f"SELECT e.id AS id FROM (WITH w AS MATERIALIZED (SELECT id FROM (SELECT place, id, words"  # noqa: S608 - our own names
            f" FROM {self.table} ORDER BY place {way} LIMIT :walked) e WHERE {rules} ORDER BY place {way}"
            " LIMIT :size OFFSET :start) SELECT id FROM w WHERE (SELECT count(*) FROM w) = :size) e"
            f"{joined} ORDER BY {order} LIMIT :limit OFFSET :offset",
            {
                **self._params_of(wanted),
                **PAGE,
                **dict.fromkeys(("walked", "size", "start"), sa.BigInteger()),
            },
            [sa.column("id", Id())],
            UUID,
            heavy=True,
        )

    def _make_sorted(self, wanted: Wanted, by: str, descending: bool) -> Statement[UUID]:  # noqa: FBT001 - part of a key
        source = self._alone("id, name, created_at", self._rules(wanted))
        return self._ordering(source, self._params_of(wanted), by, descending=descending)

    def _make_planned(self, wanted: Wanted, by: str, descending: bool) -> Statement[UUID]:  # noqa: FBT001 - part of a key
        source = f"{self.table} e WHERE {self._rules(wanted)}"
        return self._ordering(source, self._params_of(wanted), by, descending=descending)

    def _ordering(self, source: str, params: Types, by: str, *, descending: bool) -> Statement[UUID]:
        order, _ = self._order(by, descending=descending)
        return self.statement(
            f"SELECT e.id AS id FROM {source} ORDER BY {order} LIMIT :limit OFFSET :offset",  # noqa: S608 - our own names
            {**params, **PAGE},
            [sa.column("id", Id())],
            UUID,
            heavy=True,
        )


def _rung(rung: Rung) -> str:
    return " & ".join(f"({_term(term)})" for term in rung)


def _term(term: Term) -> str:
    ways = [_quoted(word) for word in term.near]
    if term.strict:
        ways.append(f"{_quoted(term.word)}{':*' if term.prefix else ''}")
    return " | ".join(ways)


def _quoted(word: str) -> str:
    return f"'{word}'"
