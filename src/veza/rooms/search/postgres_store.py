"""Search on PostgreSQL: a tsvector made of our own words, with a GIN index; no extension, no dictionary."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from veza.core.db import Id, Statement, Tx
from veza.rooms.search.entries_store import Kind, Word
from veza.rooms.search.ladder import Filters, Match, Rung, Term
from veza.rooms.search.select_store import PAGE, Matches, Types, Wanted, wanted_of
from veza.rooms.search.store import MOST_BEGINNING, WINDOW, Index, Standing, Weighed

# More than so many matches are not counted.
DENSE = 10_000
# So many matches are read and sorted in 2 ms.
FEW = 2_000
# So many entries are walked along at most: some 20 ms.
WALKED = 20_000
# Beginnings of no more words are asked for as these.
FEW_WORDS = 8
# So many of the commonest words of a beginning show how much there is, if they are in so many times as much.
SHOWING, SURELY = 16, 1.25


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

    async def weigh(self, view: Tx, rungs: Sequence[Rung], filters: Filters, most: int) -> Weighed:
        """Rung by rung: what is on it is found once, to be counted and for the first window of it."""
        total, parts, before = 0, list[Standing | None](), list[str]()
        for rung in rungs:
            if total > most:
                break
            text = await self._rung(view, rung)
            part: Standing | None = Standing(0, ())
            if text not in before:
                told = await self._told_by_words(view, rung, filters, most)
                if told is not None and told > most:
                    part, total = None, most + 1
                elif told != 0:
                    found = await self._gather(view, _asked(text, filters, before), filters, most + 1 - total)
                    total += found.size
                    part = found if total <= most else None
            parts.append(part)
            before.append(text)
        return Weighed(total, parts)

    async def _told_by_words(self, view: Tx, rung: Rung, filters: Filters, most: int) -> int | None:
        """Of many words that begin alike, too, where the commonest show that there is more than ``most``.

        All of a beginning is 50,000 things, say, and counting 10,000 of them 50 ms; of its commonest words 5.
        """
        (term, *others) = rung
        if others or not (term.strict and term.prefix) or term.near or filters.marks or filters.hidden:
            return await super()._told_by_words(view, rung, filters, most)
        end = term.word + "\U0010ffff"
        words = await view.all(
            self._statement("commonest"), first=term.word, end=end, looked=MOST_BEGINNING, most=SHOWING
        )
        first = words[0].entries if words else 0
        if len(words) <= 1 or first > most:
            return min(first, most + 1)
        if sum(one.entries for one in words) < SURELY * most:
            return None
        rest = " | ".join(_quoted(one.word) for one in words[1:])
        shown = await self.count(view, f"({rest}) & !({_quoted(words[0].word)})", filters, most + 1 - first)
        return most + 1 if first + shown > most else None

    async def _gather(self, view: Tx, expression: str, filters: Filters, most: int) -> Standing:
        """All that matches, up to ``most``."""
        statement = self._statement("gather", wanted_of(expression, filters))
        found = await view.first(statement, most=most, size=WINDOW, **self._values(expression, filters))
        return found or Standing(0, ())

    async def expression(self, view: Tx, match: Match) -> str:
        """The query, as a tsquery; every word is quoted, and so none is a command."""
        wanted = await self._rung(view, match.rung) if match.rung else ""
        return _asked(wanted, match.filters, [await self._rung(view, rung) for rung in match.less])

    async def _rung(self, view: Tx, rung: Rung) -> str:
        return " & ".join([f"({await self._term(view, term)})" for term in rung])

    async def _term(self, view: Tx, term: Term) -> str:
        ways = [_quoted(word) for word in term.near]
        if term.strict and term.prefix:
            # To the index a beginning is all that begins so, and each of it is read to its end: 40 ms, of a
            # frequent word. As words they are looked up in each other's lists: 5 ms.
            words = await self.begins(view, term.word, FEW_WORDS + 1)
            if len(words) > FEW_WORDS:
                ways.append(f"{_quoted(term.word)}:*")
            else:
                ways += map(_quoted, words or [term.word])
        elif term.strict:
            ways.append(_quoted(term.word))
        return " | ".join(ways)

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
        if total > FEW and await self._lie_dense(view, total, window["start"] + WINDOW):
            walk = self._statement("walk", wanted_of(expression, filters), descending)
            found = await view.all(walk, walked=WALKED, **window, **self._values(expression, filters))
            if found:
                return found
        return await super()._window(view, expression, filters, window, total=total, descending=descending)

    async def _lie_dense(self, view: Tx, total: int, end: int) -> bool:
        """Whether so many matches are likely to be met along the way; of more than are counted, they are."""
        if total > DENSE:
            return True
        size = await view.first(self._size) or 0
        return total * WALKED >= 2 * end * size

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

    def _make_commonest(self) -> Statement[Word]:
        return self.statement(
            f"SELECT word, entries FROM (SELECT word, entries FROM {self.table}_words"  # noqa: S608 - our own names
            " WHERE word >= :first AND word < :end ORDER BY word LIMIT :looked) w"
            " ORDER BY entries DESC LIMIT :most",
            {"first": sa.Text(), "end": sa.Text(), "looked": sa.BigInteger(), "most": sa.BigInteger()},
            [sa.column("word", sa.Text), sa.column("entries", sa.BigInteger)],
            Word,
        )

    def _make_gather(self, wanted: Wanted) -> Statement[Standing]:
        source = self._alone("place", self._rules(wanted))
        first = "(array_agg(place ORDER BY place))[1:CAST(:size AS integer)]"
        return self.statement(
            f"SELECT count(*) AS size, coalesce({first}, '{{}}') AS first"  # noqa: S608 - our own names
            f" FROM (SELECT place FROM {source} LIMIT :most) f",
            {**self._params_of(wanted), "most": sa.BigInteger(), "size": sa.Integer()},
            [sa.column("size", sa.BigInteger), sa.column("first", postgresql.ARRAY(sa.BigInteger))],
            Standing,
            heavy=True,
        )

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


def _asked(wanted: str, filters: Filters, less: Sequence[str]) -> str:
    """A query of what matches this, and has the marks, but matches none of the others."""
    parts = [*([wanted] if wanted else []), *(_quoted(mark) for mark in filters.marks)]
    found = " & ".join(f"({part})" for part in parts)
    return " & ".join([found, *(f"!({other})" for other in less)])


def _quoted(word: str) -> str:
    return f"'{word}'"
