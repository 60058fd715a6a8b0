"""All SQL about what applications told, and how much there is of everything."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
import sqlalchemy as sa

from veza.core.db import Statement, Tx
from veza.rooms.accounts.tables import users
from veza.rooms.analytics.schemas import EventCount
from veza.rooms.analytics.tables import analytics_events
from veza.rooms.playlists.tables import playlist_counts
from veza.rooms.plays.tables import play_quarters
from veza.rooms.tracks.tables import tracks

E = analytics_events.c
_MOST_NAMES = 100


class Told(msgspec.Struct, frozen=True):
    """An event as its sender is given it."""

    id: UUID
    event_name: str
    payload: dict[str, Any]
    created_at: datetime


class Amounts(msgspec.Struct, frozen=True):
    """How many there are."""

    users: int
    tracks: int
    playlists: int
    plays: int


_ADD: Statement[None] = Statement(sa.insert(analytics_events))
_count = sa.func.count()
_COUNTS = Statement(
    sa.select(
        E.event_name,
        _count.label("count"),
        sa.func.count(E.user_id.distinct()).label("users"),
        sa.func.max(E.created_at).label("last_at"),
    )
    .where(E.created_at >= sa.bindparam("since"))
    .group_by(E.event_name)
    .order_by(sa.literal_column("2").desc(), E.event_name)
    .limit(_MOST_NAMES),
    EventCount,
    heavy=True,
)
_TOLD = Statement(
    sa.select(E.id, E.event_name, E.payload, E.created_at)
    .where(E.user_id == sa.bindparam("user"))
    .order_by(E.id),
    Told,
)
_old = sa.select(E.id).where(E.created_at < sa.bindparam("before")).limit(sa.bindparam("most"))
_PURGE: Statement[None] = Statement(sa.delete(analytics_events).where(E.id.in_(_old)))


def _scalar(element: sa.Select[Any], name: str) -> sa.ColumnElement[int]:
    return sa.cast(sa.func.coalesce(element.scalar_subquery(), 0), sa.BigInteger).label(name)


_AMOUNTS = Statement(
    sa.select(
        _scalar(sa.select(_count).select_from(users), "users"),
        _scalar(sa.select(_count).select_from(tracks), "tracks"),
        _scalar(sa.select(playlist_counts.c.total).where(playlist_counts.c.scope == ""), "playlists"),
        _scalar(
            sa.select(sa.func.sum(play_quarters.c.plays)).where(play_quarters.c.scope == sa.bindparam("all")),
            "plays",
        ),
    ),
    Amounts,
    heavy=True,
)


async def add(tx: Tx, rows: Iterable[Mapping[str, Any]]) -> None:
    """Write events down."""
    await tx.run_many(_ADD, rows)


async def counts(tx: Tx, since: datetime) -> list[EventCount]:
    """How often what was told since then; the hundred most frequent names."""
    return await tx.all(_COUNTS, since=since)


async def list_of(tx: Tx, user_id: UUID) -> list[Told]:
    """All that somebody's applications told."""
    return await tx.all(_TOLD, user=user_id)


async def purge(tx: Tx, before: datetime, most: int) -> int:
    """Remove so many that are older; how many there were."""
    return await tx.run(_PURGE, before=before, most=most)


async def amounts(tx: Tx, scope: UUID) -> Amounts:
    """How much there is of everything; plays of this scope."""
    found = await tx.first(_AMOUNTS, all=scope)
    assert found is not None
    return found
