"""Search on PostgreSQL: a tsvector made of our own words, with a GIN index; no extension, no dictionary."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from veza.core.db import Database, Statement, Tx
from veza.rooms.search.entries_store import Kind
from veza.rooms.search.ladder import Match, Rung, Term
from veza.rooms.search.store import Index


class PostgresIndex(Index):
    """One kind of things, in PostgreSQL."""

    _counted = "SELECT unnest(:words), unnest(:counts)"
    _counts = {"words": postgresql.ARRAY(sa.Text()), "counts": postgresql.ARRAY(sa.BigInteger())}  # noqa: RUF012 - never changed
    _keyed = "SELECT k, w FROM unnest(:keys, :words) AS given (k, w) ORDER BY 1, 2"
    _keys = {"keys": postgresql.ARRAY(sa.BigInteger()), "words": postgresql.ARRAY(sa.Text())}  # noqa: RUF012 - never changed
    _join = "JOIN"
    _among = "= ANY (:hidden)"
    _words = "array_to_string(tsvector_to_array(words), ' ')"

    def __init__(self, kind: Kind) -> None:
        super().__init__(kind)
        self._insert: Statement[None] = self.statement(
            f"INSERT INTO {self.table} (place, id, words, name, duration, created_at)"  # noqa: S608 - our own names
            " VALUES (:place, :id, array_to_tsvector(:words), :name, :duration, :created_at)",
            self.columns() | {"words": postgresql.ARRAY(sa.Text())},
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
        wanted = [_rung(match.rung), *(_quoted(mark) for mark in match.filters.marks)]
        found = " & ".join(f"({part})" for part in wanted)
        return " & ".join([found, *(f"!({_rung(rung)})" for rung in match.less)])

    def _matches(self, *, ranged: bool, narrow: bool) -> tuple[str, str]:
        del narrow  # the planner knows
        found = f"SELECT place FROM {self.table} WHERE words @@ CAST(:expression AS tsquery)"  # noqa: S608 - our own names
        if ranged:
            found += " AND duration BETWEEN :shortest AND :longest AND created_at BETWEEN :since AND :until"
            found += " AND place < :border"
        return found, f"{self.table}.place"


def _rung(rung: Rung) -> str:
    return " & ".join(f"({_term(term)})" for term in rung)


def _term(term: Term) -> str:
    ways = [_quoted(word) for word in term.near]
    if term.strict:
        ways.append(f"{_quoted(term.word)}{':*' if term.prefix else ''}")
    return " | ".join(ways)


def _quoted(word: str) -> str:
    return f"'{word}'"
