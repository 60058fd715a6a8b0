"""What an index is asked: what matches, how much of it, and in which order."""

from abc import abstractmethod
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import msgspec
import sqlalchemy as sa

from veza.core.db import Id, ListOf, Statement, Time, Tx
from veza.rooms.search.entries_store import Entries, Kind, off
from veza.rooms.search.ladder import Filters, Match
from veza.rooms.search.places import popularity_of
from veza.rooms.search.typos import keys_asked

# Matches are read so many at a time, and those put in the true order of the moment.
WINDOW = 250
# Words that are near to one asked for; of more, those that are nearest.
MOST_NEAR = 200


class Placed(msgspec.Struct, frozen=True):
    """Where an entry is, and how popular its thing is now."""

    id: UUID
    place: int
    popularity: int


class Index(Entries):
    """All that is known of one kind of things, in one database, and how it is asked."""

    # What joins tables in the order in which they are written; and "is one of the hidden".
    _join: str
    _among: str

    def __init__(self, kind: Kind) -> None:
        super().__init__(kind)
        self._statements: dict[tuple[Any, ...], Statement[Any]] = {}

    async def near(self, view: Tx, word: str) -> list[str]:
        """The words that have a first letters' rest in common with this one; most are near to it."""
        keys = sorted(keys_asked(word))
        return await view.all(self._near, keys=keys) if keys else []

    async def begins(self, view: Tx, start: str, most: int) -> list[str]:
        """Up to so many words that begin like this."""
        return await view.all(self._begins, first=start, end=start + "\U0010ffff", most=most)

    @abstractmethod
    async def expression(self, view: Tx, match: Match) -> str:
        """What is looked for, in the words of the database."""

    async def bounded(self, view: Tx, expression: str, filters: Filters) -> Filters:
        """The filters, with how to look for what passes them in bounded time."""
        del view, expression
        return filters

    @abstractmethod
    def _matches(self, *, ranged: bool, narrow: bool) -> tuple[str, str]:
        """The query for places that match ``:expression``, and what it names the place."""

    def _seen(self, place: str) -> str:
        """The condition that the owner of what is at a place is none of the hidden.

        Asked of each match, not of all that the hidden have: only so many matches are looked at.
        """
        table, column = self.kind.owner
        return (
            f" AND NOT EXISTS (SELECT 1 FROM {self.table} h {self._join} {table} o ON o.id = h.id"  # noqa: S608 - our own names
            f" WHERE h.place = {place} AND o.{column} {self._among})"
        )

    async def count(self, view: Tx, expression: str, filters: Filters, most: int) -> int:
        """How many entries match, up to ``most``."""
        statement = self._statement("count", filters)
        return await view.first(statement, expression=expression, most=most, **given(filters)) or 0

    async def best(self, view: Tx, expression: str, filters: Filters, offset: int, limit: int) -> list[UUID]:
        """A part of what matches, the popular first, then the new."""
        found: list[UUID] = []
        statement = self._statement("best", filters)
        while limit > 0:
            window = offset // WINDOW * WINDOW
            part = await view.all(
                statement, expression=expression, size=WINDOW, start=window, offset=offset - window,
                limit=min(limit, window + WINDOW - offset), **given(filters),
            )  # fmt: skip
            found += part
            limit -= len(part)
            offset += len(part)
            if offset % WINDOW or not part:
                break
        return found

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
        """A part of what matches, in this order; all of it is looked at."""
        statement = self._statement("sorted", filters, by, descending)
        return await view.all(statement, expression=expression, offset=offset, limit=limit, **given(filters))

    async def misplaced(self, view: Tx, after: UUID, most: int) -> tuple[list[UUID], UUID | None]:
        """Of the next ``most`` entries those that became more or less popular; where to go on, or None."""
        looked = await view.all(self._statement("misplaced", Filters()), after=after, most=most)
        moved = [one.id for one in looked if off(popularity_of(one.place), one.popularity)]
        return moved, looked[-1].id if len(looked) == most else None

    def _statement(self, what: str, filters: Filters, *how: Any) -> Statement[Any]:
        key = (what, filters.ranged, filters.narrow, filters.hiding, *how)
        if key not in self._statements:
            self._statements[key] = self._make(what, *how, filters=filters)
        return self._statements[key]

    def _make(self, what: str, *how: Any, filters: Filters) -> Statement[Any]:
        matches, place = self._matches(ranged=filters.ranged, narrow=filters.narrow)
        params: dict[str, sa.types.TypeEngine[Any]] = {"expression": sa.Text()}
        if filters.ranged:
            params |= RANGE
        if filters.hiding:
            matches += self._seen(place)
            params |= HIDDEN
        page: dict[str, sa.types.TypeEngine[Any]] = {"offset": sa.BigInteger(), "limit": sa.BigInteger()}
        entries, popularity, joined = self.table, "0", ""
        if self.kind.popularity:
            table, column = self.kind.popularity
            popularity, joined = f"p.{column}", f" {self._join} {table} p ON p.id = e.id"
        ids = [sa.column("id", Id())]
        match what:
            case "count":
                sql = f"SELECT count(*) AS n FROM ({matches} LIMIT :most) f"  # noqa: S608 - our own names
                return self.statement(
                    sql, params | {"most": sa.BigInteger()}, [sa.column("n", sa.BigInteger)], int, heavy=True
                )
            case "best":
                sql = (
                    f"SELECT e.id AS id FROM ({matches} ORDER BY {place} LIMIT :size OFFSET :start) f"  # noqa: S608 - our own names
                    f" {self._join} {entries} e ON e.place = f.place{joined}"
                    f" ORDER BY {f'{popularity} DESC, ' if joined else ''}e.id DESC"
                    " LIMIT :limit OFFSET :offset"
                )
                window: dict[str, sa.types.TypeEngine[Any]] = {
                    "size": sa.BigInteger(),
                    "start": sa.BigInteger(),
                }
                return self.statement(sql, params | page | window, ids, UUID, heavy=True)
            case "sorted":
                by, descending = how
                way = "DESC" if descending else "ASC"
                column = {"popularity": popularity, "title": "e.name", "created_at": "e.created_at"}[by]
                sql = (
                    f"SELECT e.id AS id FROM ({matches}) f {self._join} {entries} e ON e.place = f.place"  # noqa: S608 - our own names
                    f"{joined if by == 'popularity' else ''}"
                    f" ORDER BY {column} {way}, e.id {way} LIMIT :limit OFFSET :offset"
                )
                return self.statement(sql, params | page, ids, UUID, heavy=True)
            case _:
                sql = (
                    f"SELECT e.id AS id, e.place AS place, {popularity} AS popularity"  # noqa: S608 - our own names
                    f" FROM {entries} e{joined}"
                    " WHERE e.id > :after ORDER BY e.id LIMIT :most"
                )
                columns = [*ids, sa.column("place", sa.BigInteger), sa.column("popularity", sa.BigInteger)]
                return self.statement(
                    sql, {"after": Id(), "most": sa.BigInteger()}, columns, Placed, heavy=True
                )


# What ranged statements take.
RANGE: Mapping[str, sa.types.TypeEngine[Any]] = {
    "shortest": sa.Double(), "longest": sa.Double(), "since": Time(), "until": Time(),
    "border": sa.BigInteger(),
}  # fmt: skip
HIDDEN: Mapping[str, sa.types.TypeEngine[Any]] = {"hidden": ListOf(Id())}
_EARLIEST, _LATEST = datetime(1, 1, 2, tzinfo=UTC), datetime(9999, 12, 30, tzinfo=UTC)


def in_range(filters: Filters) -> dict[str, Any]:
    """What ranged statements are given; nothing for others."""
    if not filters.ranged:
        return {}
    return {
        "shortest": 0.0 if filters.shortest is None else filters.shortest,
        "longest": 1e300 if filters.longest is None else filters.longest,
        "since": filters.since or _EARLIEST,
        "until": filters.until or _LATEST,
        "border": (1 << 63) - 1 if filters.border is None else filters.border,
    }


def given(filters: Filters) -> dict[str, Any]:
    """What statements with these filters are given."""
    return in_range(filters) | ({"hidden": filters.hidden} if filters.hiding else {})
