"""What search keeps, and how it is changed: entries, the words in them, and what typos lead to these."""

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
import sqlalchemy as sa

from veza.core.db import Id, Statement, Time, Tx, any_of, metadata
from veza.rooms.search import state_store
from veza.rooms.search.places import FEW, HALF, number_of, place_of, popularity_of
from veza.rooms.search.state_store import State
from veza.rooms.search.typos import keys_of
from veza.rooms.search.words import is_mark

# To be raised when what is below, or in words.py and typos.py, makes other entries of the same things.
VERSION = 2
# And while everything is being written.
BUILDING = -1


class Kind(msgspec.Struct, frozen=True):
    """A kind of thing to find; ``owner`` is the table and column that say whose each is.

    ``popularity`` is the table and column that say how popular each is.
    """

    name: str
    owner: tuple[str, str]
    popularity: tuple[str, str] | None = None


class Document(msgspec.Struct, frozen=True):
    """What search is to know of a thing: its words and marks, and what it is sorted and filtered by."""

    id: UUID
    words: frozenset[str]
    name: str
    popularity: int
    duration: float
    created_at: datetime


class Entry(msgspec.Struct, frozen=True):
    """What search knows of a thing."""

    place: int
    words: str
    name: str
    duration: float
    created_at: datetime


class Word(msgspec.Struct, frozen=True):
    """A word, and in how many entries it is."""

    word: str
    entries: int


class Beginning(msgspec.Struct, frozen=True):
    """How many words begin alike, or are asked for, and in how many entries the commonest of them is."""

    words: int
    entries: int


class Entries(ABC):
    """What is known of one kind of things, in one database, and how that changes."""

    # How words and their counts, in parameters, become rows; and what these parameters are.
    _counted: str
    _counts: Mapping[str, sa.types.TypeEngine[Any]]
    # The same of words and their typos' keys, in the order of these: so they fill a large table's pages.
    _keyed: str
    _keys: Mapping[str, sa.types.TypeEngine[Any]]
    # A column of words, as text.
    _words: str

    def __init__(self, kind: Kind) -> None:
        self.kind = kind
        self.table = f"search_{kind.name}"
        entries = metadata.tables[self.table].c
        vocabulary, typos = (metadata.tables[f"{self.table}_{part}"] for part in ("words", "typos"))
        words, table = vocabulary.name, self.table
        self._find = self.statement(
            f"SELECT place, {self._words} AS words, name, duration, created_at FROM {table} WHERE id = :id",  # noqa: S608 - our own names
            {"id": Id()},
            [sa.column("place", sa.BigInteger), sa.column("words", sa.Text), sa.column("name", sa.Text),
             sa.column("duration", sa.Double), sa.column("created_at", Time)],
            Entry,
        )  # fmt: skip
        self._drop: Statement[None] = Statement(
            sa.delete(metadata.tables[table]).where(entries.place == sa.bindparam("at"))
        )
        self._add_words = self.statement(
            f"INSERT INTO {words} (word, entries) {self._counted} ON CONFLICT (word)"
            f" DO UPDATE SET entries = {words}.entries + excluded.entries RETURNING word, entries",
            self._counts,
            [sa.column("word", sa.Text), sa.column("entries", sa.BigInteger)],
            Word,
        )
        self._drop_words: Statement[None] = Statement(
            sa.delete(vocabulary).where(any_of(vocabulary.c.word, "gone"))
        )
        # One that is there already was added beside a build.
        self._add_typos: Statement[None] = self.statement(
            f"INSERT INTO {typos.name} (key, word) {self._keyed} ON CONFLICT DO NOTHING", self._keys
        )
        self._drop_typos: Statement[None] = Statement(
            sa.delete(typos).where(any_of(typos.c.key, "keys"), typos.c.word == sa.bindparam("gone"))
        )
        self._near = Statement(
            sa.select(typos.c.word).distinct().where(any_of(typos.c.key, "keys")), str, heavy=True
        )
        self._begins = Statement(
            sa.select(vocabulary.c.word)
            .where(vocabulary.c.word >= sa.bindparam("first"), vocabulary.c.word < sa.bindparam("end"))
            .order_by(vocabulary.c.word)
            .limit(sa.bindparam("most", type_=sa.BigInteger)),
            str,
        )
        commonest = (
            sa.select(vocabulary.c.entries)
            .where(vocabulary.c.word >= sa.bindparam("first"), vocabulary.c.word < sa.bindparam("end"))
            .order_by(vocabulary.c.word)
            .limit(sa.bindparam("most", type_=sa.BigInteger))
            .subquery()
        )
        most = sa.func.coalesce(sa.func.max(commonest.c.entries), 0).label("entries")
        self._commonest = Statement(sa.select(sa.func.count().label("words"), most), Beginning)
        highest = sa.func.coalesce(sa.func.max(vocabulary.c.entries), 0).label("entries")
        self._of_words = Statement(
            sa.select(sa.func.count().label("words"), highest).where(any_of(vocabulary.c.word, "words")),
            Beginning,
        )
        self._emptied: list[Statement[None]] = [
            Statement(sa.delete(metadata.tables[name])) for name in (table, words, typos.name)
        ]

    @abstractmethod
    def _params(self, counts: Mapping[str, int]) -> dict[str, Any]:
        """Words and their counts as parameters."""

    @abstractmethod
    def _typo_params(self, keys: Mapping[str, Collection[int]]) -> dict[str, Any]:
        """Words and their keys as parameters."""

    @staticmethod
    def statement(
        sql: str,
        params: Mapping[str, sa.types.TypeEngine[Any]],
        columns: Sequence[Any] = (),
        row: type[Any] | None = None,
        *,
        heavy: bool = False,
    ) -> Statement[Any]:
        """Our own SQL with its parameters, and what its rows are."""
        text = sa.text(sql).bindparams(*(sa.bindparam(name, type_=kind) for name, kind in params.items()))
        return Statement(text.columns(*columns) if columns else text, row, heavy=heavy)

    @staticmethod
    def columns() -> dict[str, sa.types.TypeEngine[Any]]:
        """The types of an entry's columns."""
        return {
            "place": sa.BigInteger(), "id": Id(), "words": sa.Text(), "name": sa.Text(),
            "duration": sa.Double(), "created_at": Time(),
        }  # fmt: skip

    # ── changes ──────────────────────────────────────────────────────────────────────────────────────

    @abstractmethod
    async def _write(self, tx: Tx, rows: Sequence[Mapping[str, Any]]) -> None:
        """Add entries, in the order of their places where there are many."""

    @abstractmethod
    async def _erase(self, tx: Tx, place: int) -> None:
        """Remove an entry."""

    async def put(self, tx: Tx, document: Document) -> None:
        """Know this of a thing, whatever was known before."""
        # Who writes an index waits for whoever else does, from here on to the end of the transaction: so
        # that two of them never wait for each other's words.
        state = await self.number(tx)
        before: Entry | None = await tx.first(self._find, id=document.id)
        words, place = document.words, place_of(document.popularity, state.numbered)
        old: frozenset[str] = frozenset()
        if before is not None:
            old = frozenset(before.words.split())
            place = before.place
            if not off(popularity_of(place), document.popularity):
                same = (before.name, before.duration, before.created_at)
                if words == old and same == (document.name, document.duration, document.created_at):
                    return
            else:
                place = place_of(document.popularity, number_of(place))
            await self._erase(tx, before.place)
        await self._write(tx, [row_of(document, place)])
        await self._count(tx, state, come=words - old, gone=old - words)

    async def remove(self, tx: Tx, thing_id: UUID) -> None:
        """Know nothing of a thing any more."""
        # It needs no number: but who builds the index beside us sees by it that something has changed.
        state = await self.number(tx)
        before: Entry | None = await tx.first(self._find, id=thing_id)
        if before is not None:
            await self._erase(tx, before.place)
            await self._count(tx, state, gone=frozenset(before.words.split()))

    async def number(self, tx: Tx, count: int = 1) -> State:
        """The last of so many new numbers; nobody else changes this index until ``tx`` ends."""
        return await state_store.number(tx, self.kind.name, count)

    async def _count(
        self, tx: Tx, state: State, *, come: Iterable[str] = (), gone: Iterable[str] = ()
    ) -> None:
        counts = dict.fromkeys(come, 1) | dict.fromkeys(gone, -1)
        found = await self.count_words(tx, Counter(counts))
        if state.version == BUILDING:
            return  # Who builds it counts at the end; what a word then comes to, and its typos, are theirs.
        added = [word for word, entries in found if entries == 1 and counts[word] == 1]
        await self.add_typos(tx, added)
        await self.lose_words(tx, [word for word, entries in found if entries <= 0])

    async def lose_words(self, tx: Tx, words: Sequence[str]) -> None:
        """Words that are in no entry any more."""
        for word in words:
            await tx.run(self._drop_typos, keys=sorted(keys_of(word)), gone=word)
        if words:
            await tx.run(self._drop_words, gone=words)

    async def count_words(self, tx: Tx, counts: Mapping[str, int]) -> list[tuple[str, int]]:
        """Say that words are in so many entries more; in how many they then are."""
        told = {word: counts[word] for word in sorted(counts) if not is_mark(word)}
        found = await tx.all(self._add_words, **self._params(told)) if told else []
        return [(one.word, one.entries) for one in found]

    async def add_typos(self, tx: Tx, words: Iterable[str]) -> None:
        """Let typos lead to these words."""
        keys = {word: found for word in words if (found := keys_of(word))}
        if keys:
            await tx.run(self._add_typos, **self._typo_params(keys))

    async def empty(self, tx: Tx) -> None:
        """Know nothing at all, so that everything can be written."""
        await self.number(tx, 0)
        await state_store.set_version(tx, self.kind.name, BUILDING)
        for statement in self._emptied:
            await tx.run(statement)

    async def is_complete(self, view: Tx) -> bool:
        """Whether everything was written by these very rules."""
        return (await state_store.read(view, self.kind.name)).version == VERSION

    async def complete(self, tx: Tx) -> None:
        """Say that everything is written."""
        await state_store.set_version(tx, self.kind.name, VERSION)


def row_of(document: Document, place: int) -> dict[str, Any]:
    """A document as a row."""
    return {
        "place": place,
        "id": document.id,
        "words": document.words,
        "name": document.name,
        "duration": document.duration,
        "created_at": document.created_at,
    }


def off(was: int, now: int) -> bool:
    """Whether popularity has changed enough for another place."""
    return abs(now - was) > max(FEW, was // HALF)
