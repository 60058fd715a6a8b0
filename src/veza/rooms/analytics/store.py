"""All SQL about what applications told."""

from collections.abc import AsyncIterator, Iterable, Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
import sqlalchemy as sa

from veza.core.db import Json, Statement, Tx
from veza.rooms.analytics.schemas import EventCount
from veza.rooms.analytics.tables import analytics_events

E = analytics_events.c
_MOST_NAMES = 100


class Told(msgspec.Struct, frozen=True):
    """An event as its sender is given it; its payload is JSON as it stands."""

    id: UUID
    event_name: str
    payload: msgspec.Raw
    created_at: datetime


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
# As they lie, which is as they came: to sort them SQLite would have all of them in memory.
_TOLD = Statement(
    sa.select(
        E.id, E.event_name, sa.type_coerce(E.payload, Json(msgspec.Raw)).label("payload"), E.created_at
    ).where(E.user_id == sa.bindparam("user")),
    Told,
)
_old = sa.select(E.id).where(E.created_at < sa.bindparam("before")).limit(sa.bindparam("most"))
_PURGE: Statement[None] = Statement(sa.delete(analytics_events).where(E.id.in_(_old)))


async def add(tx: Tx, rows: Iterable[Mapping[str, Any]]) -> None:
    """Write events down."""
    await tx.run_many(_ADD, rows)


async def counts(tx: Tx, since: datetime) -> list[EventCount]:
    """How often what was told since then; the hundred most frequent names."""
    return await tx.all(_COUNTS, since=since)


def pieces_of(view: Tx, user_id: UUID) -> AsyncIterator[list[Told]]:
    """All that somebody's applications told."""
    return view.pieces(_TOLD, user=user_id)


async def purge(tx: Tx, before: datetime, most: int) -> int:
    """Remove so many that are older; how many there were."""
    return await tx.run(_PURGE, before=before, most=most)
