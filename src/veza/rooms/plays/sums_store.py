"""All SQL about the sums of plays: what is not yet in them, how they grow, and what they are in a period."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
import sqlalchemy as sa

from veza.core.db import Id, Statement, Tx, any_of
from veza.rooms.plays.periods import DAY_QUARTERS
from veza.rooms.plays.tables import (
    fans,
    fresh_plays,
    listeners,
    play_days,
    play_ends,
    play_facets,
    play_listeners,
    play_quarters,
)
from veza.rooms.tracks.tables import tracks

F = fresh_plays.c
Q = play_quarters.c
DAYS = play_days.c

STEPS = 20
_EVERY = ("plays", "heard_ms", "parts")


class Fresh(msgspec.Struct, frozen=True):
    """What was told of a play; of a track that is gone there is no listener any more, or no artist."""

    id: UUID
    at: datetime
    plays: int
    heard_ms: int
    part: int
    part_before: int | None
    device: str | None
    source: str | None
    country: str | None
    listener_id: int
    track_id: UUID | None
    user_id: UUID | None
    artist_id: UUID | None


class Sum(msgspec.Struct, frozen=True):
    """The plays of a span, milliseconds heard, and parts of the track in millionths."""

    span: int
    plays: int
    heard_ms: int
    parts: int


class Share(msgspec.Struct, frozen=True):
    """How many plays came from one device, source or country."""

    facet: str
    value: str
    plays: int


class End(msgspec.Struct, frozen=True):
    """How many plays came so far, in twentieths of the track."""

    step: int
    plays: int


_names = [name for name in Fresh.__struct_fields__ if name not in {"track_id", "user_id", "artist_id"}]
_fresh = (
    sa.select(
        *(F[name] for name in _names),
        listeners.c.track_id,
        listeners.c.user_id,
        tracks.c.user_id.label("artist_id"),
    )
    .select_from(
        fresh_plays.outerjoin(listeners, listeners.c.id == F.listener_id).outerjoin(
            tracks, tracks.c.id == listeners.c.track_id
        )
    )
    .order_by(F.id)
)
_LIST_FRESH = Statement(_fresh.limit(sa.bindparam("most")), Fresh)
# Heavy where much has not been added up yet.
_FRESH_OF = Statement(_fresh.where(F.track_id == sa.bindparam("track")), Fresh, heavy=True)
_ADD_FRESH: Statement[None] = Statement(sa.insert(fresh_plays))
_REMOVE_FRESH: Statement[None] = Statement(sa.delete(fresh_plays).where(F.id == sa.bindparam("fresh")))


def _adding(table: sa.Table, *sums: str) -> Statement[None]:
    """Adds to a row of sums, made where there is none."""
    names = [column.name for column in table.columns]
    key = [column.name for column in table.primary_key]
    more = ", ".join(f"{name} = {table.name}.{name} + excluded.{name}" for name in sums)
    return Statement(
        sa.text(
            f"INSERT INTO {table.name} ({', '.join(names)}) "  # noqa: S608 - our own names
            f"VALUES ({', '.join(f':{name}' for name in names)}) "
            f"ON CONFLICT ({', '.join(key)}) DO UPDATE SET {more}"
        ).bindparams(*(sa.bindparam(column.name, type_=column.type) for column in table.columns))
    )


_ADD_QUARTER = _adding(play_quarters, *_EVERY)
_ADD_FACET = _adding(play_facets, "plays")
_ADD_END = _adding(play_ends, "plays")
_ADD_FAN = _adding(fans, "plays", "heard_ms")
_SKETCH = Statement(
    sa.select(play_listeners.c.sketch).where(
        play_listeners.c.scope == sa.bindparam("one"), play_listeners.c.day == sa.bindparam("on_day")
    ),
    bytes,
)
_KEEP_SKETCH: Statement[None] = Statement(
    sa.text(
        "INSERT INTO play_listeners (scope, day, sketch) VALUES (:scope, :day, :sketch) "
        "ON CONFLICT (scope, day) DO UPDATE SET sketch = excluded.sketch"
    ).bindparams(
        sa.bindparam("scope", type_=Id),
        sa.bindparam("day", type_=sa.Integer),
        sa.bindparam("sketch", type_=sa.LargeBinary),
    )
)


def _total(column: sa.ColumnElement[int], name: str) -> sa.ColumnElement[int]:
    return sa.cast(sa.func.sum(column), sa.BigInteger).label(name)


def _between(column: sa.ColumnElement[int]) -> sa.ColumnElement[bool]:
    return sa.and_(column >= sa.bindparam("first"), column <= sa.bindparam("last"))


def _of(scope: sa.ColumnElement[UUID], span: sa.ColumnElement[int]) -> sa.ColumnElement[bool]:
    return sa.and_(scope == sa.bindparam("one"), _between(span))


_PER_DAY = sa.literal_column(str(DAY_QUARTERS), sa.Integer)
_LOCAL_DAYS = Statement(
    sa.select(
        sa.cast((Q.quarter + sa.bindparam("ahead", type_=sa.Integer)) // _PER_DAY, sa.BigInteger).label(
            "span"
        ),
        *(_total(Q[name], name) for name in _EVERY),
    )
    .where(_of(Q.scope, Q.quarter))
    .group_by(sa.literal_column("1")),
    Sum,
    heavy=True,
)
_DAYS = Statement(
    sa.select(sa.cast(DAYS.day, sa.BigInteger).label("span"), DAYS.plays, DAYS.heard_ms, DAYS.parts)
    .where(_of(DAYS.track_id, DAYS.day))
    .order_by(DAYS.day),
    Sum,
)
_FACETS = Statement(
    sa.select(play_facets.c.facet, play_facets.c.value, _total(play_facets.c.plays, "plays"))
    .where(play_facets.c.scope == sa.bindparam("one"), any_of(play_facets.c.day, "days"))
    .group_by(play_facets.c.facet, play_facets.c.value),
    Share,
    heavy=True,
)
_ENDS = Statement(
    sa.select(play_ends.c.step, _total(play_ends.c.plays, "plays"))
    .where(play_ends.c.scope == sa.bindparam("one"), any_of(play_ends.c.day, "days"))
    .group_by(play_ends.c.step),
    End,
    heavy=True,
)
_SKETCHES = Statement(
    sa.select(play_listeners.c.sketch).where(
        play_listeners.c.scope == sa.bindparam("one"), any_of(play_listeners.c.day, "days")
    ),
    bytes,
    heavy=True,
)
_FORGET: Sequence[Statement[None]] = [
    Statement(sa.delete(table).where(table.c.scope == sa.bindparam("one")))
    for table in (play_quarters, play_facets, play_ends, play_listeners)
]


async def add_fresh(tx: Tx, rows: Iterable[Mapping[str, Any]]) -> None:
    """Write down what is to be added to the sums."""
    await tx.run_many(_ADD_FRESH, rows)


async def list_fresh(tx: Tx, most: int) -> list[Fresh]:
    """The oldest that is not in the sums."""
    return await tx.all(_LIST_FRESH, most=most)


async def fresh_of(tx: Tx, track_id: UUID) -> list[Fresh]:
    """What is not yet in the sums of one track."""
    return await tx.all(_FRESH_OF, track=track_id)


async def remove_fresh(tx: Tx, ids: Iterable[UUID]) -> None:
    """These are in the sums now."""
    await tx.run_many(_REMOVE_FRESH, ({"fresh": one} for one in ids))


async def add_quarters(tx: Tx, rows: Sequence[Mapping[str, Any]]) -> None:
    """Add to quarters of an hour. Of all sums only the job that adds them writes: nobody waits."""
    await tx.run_many(_ADD_QUARTER, rows)


async def add_facets(tx: Tx, rows: Sequence[Mapping[str, Any]]) -> None:
    """Add to devices, sources and countries."""
    await tx.run_many(_ADD_FACET, rows)


async def add_ends(tx: Tx, rows: Sequence[Mapping[str, Any]]) -> None:
    """Add to how far plays came; a number below 0 takes away."""
    await tx.run_many(_ADD_END, rows)


async def add_fans(tx: Tx, rows: Sequence[Mapping[str, Any]]) -> None:
    """Add to what somebody hears of an artist."""
    await tx.run_many(_ADD_FAN, rows)


async def find_sketch(tx: Tx, scope: UUID, day: int) -> bytes | None:
    """The listeners of a day."""
    return await tx.first(_SKETCH, one=scope, on_day=day)


async def keep_sketches(tx: Tx, rows: Sequence[Mapping[str, Any]]) -> None:
    """The listeners of days, with those that were added."""
    await tx.run_many(_KEEP_SKETCH, rows)


async def track_days(tx: Tx, track_id: UUID, first: int, last: int) -> list[Sum]:
    """A track's days of UTC, to the last play; days without any are left out."""
    return await tx.all(_DAYS, one=track_id, first=first, last=last)


async def local_days(tx: Tx, scope: UUID, first: int, last: int, ahead: int) -> list[Sum]:
    """The days of these quarters of an hour, in a zone that is so many of them ahead of UTC."""
    return await tx.all(_LOCAL_DAYS, one=scope, first=first, last=last, ahead=ahead)


async def shares(tx: Tx, scope: UUID, days: Sequence[int]) -> list[Share]:
    """Plays of these days of UTC by device, source and country."""
    return await tx.all(_FACETS, one=scope, days=days)


async def ends(tx: Tx, scope: UUID, days: Sequence[int]) -> list[End]:
    """Plays of these days by how far they came."""
    return await tx.all(_ENDS, one=scope, days=days)


async def sketches(tx: Tx, scope: UUID, days: Sequence[int]) -> list[bytes]:
    """The listeners of each of these days."""
    return await tx.all(_SKETCHES, one=scope, days=days)


async def forget(tx: Tx, scope: UUID) -> None:
    """Remove all sums of a scope."""
    for statement in _FORGET:
        await tx.run(statement, one=scope)
