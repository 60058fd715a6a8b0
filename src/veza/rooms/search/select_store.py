"""The statements by which an index is asked, each made when it is first needed."""

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any
from uuid import UUID

import msgspec
import sqlalchemy as sa

from veza.core.db import Id, ListOf, Statement, Time
from veza.rooms.search.entries_store import Entries, Kind
from veza.rooms.search.ladder import Filters

Types = Mapping[str, sa.types.TypeEngine[Any]]


class Placed(msgspec.Struct, frozen=True):
    """Where an entry is, and how popular its thing is now."""

    id: UUID
    place: int
    popularity: int


class Wanted(msgspec.Struct, frozen=True):
    """What a statement asks for: words; ranges; nothing of hidden users."""

    worded: bool = True
    ranged: bool = False
    hiding: bool = False


def wanted_of(expression: str, filters: Filters) -> Wanted:
    """What is asked for by these; an empty expression is matched by everything."""
    return Wanted(bool(expression), filters.ranged, bool(filters.hidden))


class Matches(msgspec.Struct, frozen=True):
    """What matches: what follows SELECT … FROM, what it names the place, and what parameters it has."""

    source: str
    place: str
    params: Types


class Near(msgspec.Struct, frozen=True):
    """How many things were looked at, and found to be in range."""

    looked: int
    found: int


class Told(msgspec.Struct, frozen=True):
    """Where an entry is, and its words, separated by spaces."""

    place: int
    words: str


# What statements take: all that ask for words, for a page, for ranges, for nothing of the hidden.
EXPRESSION: dict[str, sa.types.TypeEngine[Any]] = {"expression": sa.Text()}
PAGE: dict[str, sa.types.TypeEngine[Any]] = {"offset": sa.BigInteger(), "limit": sa.BigInteger()}
RANGE: dict[str, sa.types.TypeEngine[Any]] = {
    "shortest": sa.Double(), "longest": sa.Double(), "since": Time(), "until": Time(),
}  # fmt: skip
HIDDEN: dict[str, sa.types.TypeEngine[Any]] = {"hidden": ListOf(Id())}
_PASSES = {
    "created_at": "created_at BETWEEN :since AND :until",
    "duration": "duration BETWEEN :shortest AND :longest",
}
_OTHER = {"created_at": "duration", "duration": "created_at"}


class Selects(Entries):
    """What is asked about one kind of things, in one database's words."""

    # What joins tables in the order in which they are written.
    _join: str
    # How places, in a parameter, become rows; and what this parameter is.
    _given: str
    _places: Types
    # "Is one of the hidden".
    _among: str

    def __init__(self, kind: Kind) -> None:
        super().__init__(kind)
        self._statements: dict[tuple[Any, ...], Statement[Any]] = {}

    @abstractmethod
    def _matches(self, wanted: Wanted, *, descending: bool = False) -> Matches:
        """What is asked for, found in the order of places."""

    def _statement(self, what: str, *how: Any) -> Statement[Any]:
        key = (what, *how)
        if key not in self._statements:
            self._statements[key] = getattr(self, f"_make_{what}")(*how)
        return self._statements[key]

    @property
    def _popularity(self) -> tuple[str, str]:
        """How popular an entry ``e`` is at the moment, and the join that tells."""
        if not self.kind.popularity:
            return "0", ""
        table, column = self.kind.popularity
        return f"p.{column}", f" {self._join} {table} p ON p.id = e.id"

    def _seen(self, thing: str) -> str:
        """The condition that the owner of the thing with this id is none of the hidden.

        Asked of each match, not of all that the hidden have: only so many matches are looked at.
        """
        table, column = self.kind.owner
        return f"NOT EXISTS (SELECT 1 FROM {table} o WHERE o.id = {thing} AND o.{column} {self._among})"  # noqa: S608 - our own names

    @staticmethod
    def _params_of(wanted: Wanted) -> Types:
        """What parameters ask for that."""
        words, ranges = EXPRESSION if wanted.worded else {}, RANGE if wanted.ranged else {}
        return words | ranges | (HIDDEN if wanted.hiding else {})

    def _order(self, by: str, *, descending: bool) -> tuple[str, str]:
        """An order of entries ``e``, and the join that it takes."""
        way = "DESC" if descending else "ASC"
        popularity, joined = self._popularity if by == "popularity" else ("", "")
        column = {"popularity": popularity, "title": "e.name", "created_at": "e.created_at"}[by]
        # What is a mere number would be taken for the place of a column.
        first = f"{column} {way}, " if joined or by != "popularity" else ""
        return f"{first}e.id {way}", joined

    def _make_count(self, wanted: Wanted) -> Statement[int]:
        matches = self._matches(wanted)
        return self.statement(
            f"SELECT count(*) AS n FROM (SELECT 1 FROM {matches.source} LIMIT :most) f",  # noqa: S608 - our own names
            {**matches.params, "most": sa.BigInteger()},
            [sa.column("n", sa.BigInteger)],
            int,
            heavy=True,
        )

    def _make_best(self, wanted: Wanted, descending: bool) -> Statement[UUID]:  # noqa: FBT001 - part of a key
        matches = self._matches(wanted)
        order, joined = self._order("popularity", descending=descending)
        return self.statement(
            f"SELECT e.id AS id FROM (SELECT {matches.place} AS place FROM {matches.source}"  # noqa: S608 - our own names
            f" ORDER BY {matches.place} {'ASC' if descending else 'DESC'} LIMIT :size OFFSET :start) f"
            f" {self._join} {self.table} e ON e.place = f.place{joined}"
            f" ORDER BY {order} LIMIT :limit OFFSET :offset",
            {**matches.params, **PAGE, "size": sa.BigInteger(), "start": sa.BigInteger()},
            [sa.column("id", Id())],
            UUID,
            heavy=True,
        )

    def _make_near(self, column: str) -> Statement[Near]:
        return self.statement(
            f"SELECT count(*) AS looked, count(*) FILTER (WHERE {_PASSES[_OTHER[column]]}) AS found"  # noqa: S608 - our own names
            f" FROM (SELECT created_at, duration FROM {self._along(column)} WHERE {_PASSES[column]}"
            " LIMIT :most) n",
            RANGE | {"most": sa.BigInteger()},
            [sa.column("looked", sa.BigInteger), sa.column("found", sa.BigInteger)],
            Near,
            heavy=True,
        )

    def _make_told(self, column: str, hiding: bool) -> Statement[Told]:  # noqa: FBT001 - part of a key
        rules = [*_PASSES.values(), *([self._seen(f"{self.table}.id")] if hiding else [])]
        return self.statement(
            f"SELECT place, {self._words} AS words FROM {self._along(column)}"  # noqa: S608 - our own names
            f" WHERE {' AND '.join(rules)}",
            RANGE | (HIDDEN if hiding else {}),
            [sa.column("place", sa.BigInteger), sa.column("words", sa.Text)],
            Told,
            heavy=True,
        )

    def _along(self, column: str) -> str:
        """The entries, to be found by this column."""
        del column  # but where a database has to be told
        return self.table

    def _make_look(self, wanted: Wanted, descending: bool) -> Statement[int]:  # noqa: FBT001 - part of a key
        matches = self._matches(wanted, descending=not descending)
        return self.statement(
            f"SELECT {matches.place} AS place FROM {matches.source}"  # noqa: S608 - our own names
            f" ORDER BY {matches.place} {'ASC' if descending else 'DESC'} LIMIT :most",
            {**matches.params, "most": sa.BigInteger()},
            [sa.column("place", sa.BigInteger)],
            int,
            heavy=True,
        )

    def _make_ordered(self, by: str, descending: bool) -> Statement[UUID]:  # noqa: FBT001 - part of a key
        order, joined = self._order(by, descending=descending)
        return self.statement(
            f"SELECT e.id AS id FROM ({self._given}) f {self._join} {self.table} e ON e.place = f.place"  # noqa: S608 - our own names
            f"{joined} ORDER BY {order} LIMIT :limit OFFSET :offset",
            {**self._places, **PAGE},
            [sa.column("id", Id())],
            UUID,
            heavy=True,
        )

    def _make_sorted(self, wanted: Wanted, by: str, descending: bool) -> Statement[UUID]:  # noqa: FBT001 - part of a key
        matches = self._matches(wanted)
        order, joined = self._order(by, descending=descending)
        return self.statement(
            f"SELECT e.id AS id FROM (SELECT {matches.place} AS place FROM {matches.source}) f"  # noqa: S608 - our own names
            f" {self._join} {self.table} e ON e.place = f.place{joined}"
            f" ORDER BY {order} LIMIT :limit OFFSET :offset",
            {**matches.params, **PAGE},
            [sa.column("id", Id())],
            UUID,
            heavy=True,
        )

    def _make_misplaced(self) -> Statement[Placed]:
        popularity, joined = self._popularity
        return self.statement(
            f"SELECT e.id AS id, e.place AS place, {popularity} AS popularity FROM {self.table} e{joined}"  # noqa: S608 - our own names
            " WHERE e.id > :after ORDER BY e.id LIMIT :most",
            {"after": Id(), "most": sa.BigInteger()},
            [
                sa.column("id", Id()),
                sa.column("place", sa.BigInteger),
                sa.column("popularity", sa.BigInteger),
            ],
            Placed,
            heavy=True,
        )
