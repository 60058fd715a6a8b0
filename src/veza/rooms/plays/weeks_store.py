"""All SQL about weeks that are over: their sums, packed, and how far they are."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from uuid import UUID

import msgspec
import sqlalchemy as sa

from veza.core.db import Id, Json, Statement, Tx
from veza.rooms.plays.sums_store import Sum
from veza.rooms.plays.tables import play_quarters, play_scopes, play_weeks
from veza.rooms.tracks.tables import track_stats, tracks

S = play_scopes.c
W = play_weeks.c
Q = play_quarters.c


class Week(msgspec.Struct, frozen=True):
    """The sums of a week: ``quarters`` as :mod:`veza.rooms.plays.weeks` packs them."""

    week: int
    plays: int
    heard_ms: int
    parts: int
    facets: dict[str, dict[str, int]]
    ends: list[int]
    quarters: bytes
    sketch: bytes


_one: sa.BindParameter[UUID] = sa.bindparam("one", type_=Id)
_FACETS, _ENDS = Json(dict[str, dict[str, int]]), Json(list[int])
_THROUGH = Statement(sa.select(S.through).where(S.scope == _one), int)
_HOLD = Statement(sa.select(S.through).where(S.scope == _one).with_for_update(), int)
_NEXT = Statement(
    sa.select(Q.quarter)
    .where(Q.scope == _one, Q.quarter >= sa.bindparam("first"))
    .order_by(Q.quarter)
    .limit(1),
    int,
)
_WEEKS = Statement(
    sa.select(
        W.week,
        W.plays,
        W.heard_ms,
        W.parts,
        sa.type_coerce(W.facets, _FACETS).label("facets"),
        sa.type_coerce(W.ends, _ENDS).label("ends"),
        W.quarters,
        W.sketch,
    )
    .where(W.scope == _one, W.week >= sa.bindparam("first"), W.week <= sa.bindparam("last"))
    .order_by(W.week),
    Week,
    heavy=True,
)
_PLAYS = Statement(
    sa.select(sa.cast(sa.func.coalesce(sa.func.sum(W.plays), 0), sa.BigInteger)).where(
        W.scope == _one, W.week <= sa.bindparam("last")
    ),
    int,
    heavy=True,
)
_QUARTERS = Statement(
    sa.select(sa.cast(Q.quarter, sa.BigInteger).label("span"), Q.plays, Q.heard_ms, Q.parts).where(
        Q.scope == _one, Q.quarter >= sa.bindparam("first"), Q.quarter <= sa.bindparam("last")
    ),
    Sum,
    heavy=True,
)
_COUNT_FROM = Statement(
    sa.select(sa.cast(sa.func.coalesce(sa.func.sum(Q.plays), 0), sa.BigInteger)).where(
        Q.scope == _one, Q.quarter >= sa.bindparam("first")
    ),
    int,
    heavy=True,
)
_BEHIND = Statement(
    sa.select(S.scope)
    .where(S.scope > sa.bindparam("after"), S.through < sa.bindparam("week"))
    .order_by(S.scope)
    .limit(sa.bindparam("most")),
    UUID,
)
_of_artist = (
    sa.select(tracks.c.user_id.label("scope"))
    .select_from(track_stats.join(tracks, tracks.c.id == track_stats.c.track_id))
    .group_by(tracks.c.user_id)
    .having(sa.func.sum(track_stats.c.plays) >= sa.bindparam("least", type_=sa.BigInteger))
)
_of_track = sa.select(track_stats.c.track_id.label("scope")).where(
    track_stats.c.plays >= sa.bindparam("least", type_=sa.BigInteger)
)
_many = sa.union_all(_of_artist, _of_track).subquery()
_MUCH_HEARD = Statement(
    sa.select(_many.c.scope).where(_many.c.scope.not_in(sa.select(S.scope))), UUID, heavy=True
)
_MARK: Statement[None] = Statement(
    sa.text(
        "INSERT INTO play_scopes (scope, through) VALUES (:scope, 0) ON CONFLICT (scope) DO NOTHING"
    ).bindparams(sa.bindparam("scope", type_=S.scope.type))
)
_MOVE: Statement[None] = Statement(
    sa.update(play_scopes).where(S.scope == _one).values(through=sa.bindparam("to"))
)
_before = sa.bindparam("before", type_=sa.Integer)
# Written also where it stays as it is: so that whoever packs waits, and sees what is added.
_REOPEN: Statement[None] = Statement(
    sa.update(play_scopes)
    .where(S.scope == _one)
    .values(through=sa.case((S.through > _before, _before), else_=S.through))
)
_names = ", ".join(column.name for column in play_weeks.columns)
_KEEP: Statement[None] = Statement(
    sa.text(
        f"INSERT INTO play_weeks ({_names}) "  # noqa: S608 - our own names
        f"VALUES ({', '.join(f':{column.name}' for column in play_weeks.columns)}) "
        "ON CONFLICT (scope, week) DO UPDATE SET plays = excluded.plays, heard_ms = excluded.heard_ms, "
        "parts = excluded.parts, facets = excluded.facets, ends = excluded.ends, "
        "quarters = excluded.quarters, sketch = excluded.sketch"
    ).bindparams(*(sa.bindparam(column.name, type_=column.type) for column in play_weeks.columns))
)
_FORGET: Sequence[Statement[None]] = [
    Statement(sa.delete(table).where(table.c.scope == _one)) for table in (play_scopes, play_weeks)
]


async def through(tx: Tx, scope: UUID) -> int | None:
    """The last week up to which all that there were are packed; None where none is."""
    return await tx.first(_THROUGH, one=scope)


async def hold(tx: Tx, scope: UUID) -> int | None:
    """The same, until the transaction's end kept from who would add to weeks that are over."""
    return await tx.first(_HOLD, one=scope)


async def next_heard(tx: Tx, scope: UUID, first: int) -> int | None:
    """The next quarter of an hour, from this one on, in which anything was heard of a scope."""
    return await tx.first(_NEXT, one=scope, first=first)


async def weeks(tx: Tx, scope: UUID, first: int, last: int) -> list[Week]:
    """These weeks, those without plays left out."""
    return await tx.all(_WEEKS, one=scope, first=first, last=last)


async def plays(tx: Tx, scope: UUID, last: int) -> int:
    """How many plays there were up to a week's end."""
    return await tx.first(_PLAYS, one=scope, last=last) or 0


async def quarters(tx: Tx, scope: UUID, first: int, last: int) -> list[Sum]:
    """Each of these quarters of an hour; those without plays are left out."""
    return await tx.all(_QUARTERS, one=scope, first=first, last=last)


async def count_from(tx: Tx, scope: UUID, first: int) -> int:
    """The plays of this quarter of an hour and of all that follow."""
    return await tx.first(_COUNT_FROM, one=scope, first=first) or 0


async def list_behind(tx: Tx, week: int, after: UUID, most: int) -> list[UUID]:
    """The next scopes, by their ids, that are not packed up to this week."""
    return await tx.all(_BEHIND, week=week, after=after, most=most)


async def list_much_heard(tx: Tx, least: int) -> list[UUID]:
    """Tracks and artists of so many plays that are not marked yet."""
    return await tx.all(_MUCH_HEARD, least=least)


async def mark(tx: Tx, scopes: Iterable[UUID]) -> None:
    """Have the weeks of these packed from now on."""
    await tx.run_many(_MARK, ({"scope": scope} for scope in scopes))


async def move(tx: Tx, scope: UUID, week: int) -> None:
    """All up to this week are packed."""
    await tx.run(_MOVE, one=scope, to=week)


async def reopen(tx: Tx, weeks_: Iterable[tuple[UUID, int]]) -> None:
    """From these weeks on, what is packed holds no more."""
    await tx.run_each(_REOPEN, [{"one": scope, "before": week - 1} for scope, week in weeks_])


async def keep(tx: Tx, row: Mapping[str, Any]) -> None:
    """Put a week in the place of what it was."""
    await tx.run(_KEEP, **row)


async def forget(tx: Tx, scope: UUID) -> None:
    """Remove all weeks of a scope."""
    for statement in _FORGET:
        await tx.run(statement, one=scope)
