"""All SQL about plays, listeners and days."""

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
import sqlalchemy as sa

from veza.core.db import Statement, Tx
from veza.core.db.types import to_micros
from veza.rooms.plays import sums_store, weeks_store
from veza.rooms.plays.tables import listeners, play_days, plays

# A second play of the same track by the same listener counts when it comes later than this.
_WINDOW_MICROS = 30_000_000
_DAY_MICROS = 86_400_000_000

L = listeners.c
P = plays.c
D = play_days.c


class Counted(msgspec.Struct, frozen=True):
    """A listener whose play counts, how many they have with it, and which one it is."""

    id: int
    plays: int
    last_play: UUID


class LastPlay(msgspec.Struct, frozen=True):
    """The play that a repeat adds to, and its part; None as long as it is not written."""

    id: int
    last_play: UUID
    last_at: datetime
    last_ms: int
    part: int | None


class Listened(msgspec.Struct, frozen=True):
    """A play as its listener is given it; ``heard_ms`` in milliseconds."""

    track_id: UUID
    id: UUID
    at: datetime
    heard_ms: int
    device: str | None


class Day(msgspec.Struct):
    """What a day adds: milliseconds heard, and parts of the track in millionths."""

    plays: int = 0
    heard_ms: int = 0
    parts: int = 0


def day_of(moment: datetime) -> int:
    """The number of a moment's day in UTC, since 1970."""
    return to_micros(moment) // _DAY_MICROS


def _text(sql: str, **types: Any) -> sa.TextClause:
    return sa.text(sql).bindparams(*(sa.bindparam(name, type_=kind) for name, kind in types.items()))


# One statement finds, counts and locks. A row that is not returned is a repeat: locked all the same. Whatever
# seems to lie ahead was written before the clock was set back, and stands in nobody's way.
_COUNT = Statement(
    _text(
        "INSERT INTO listeners (track_id, user_id, plays, last_play, last_at, last_ms) "  # noqa: S608 - numbers
        "VALUES (:track_id, :user_id, 1, :play_id, :at, :heard_ms) "
        "ON CONFLICT (track_id, user_id) DO UPDATE SET plays = listeners.plays + 1, "
        "last_play = excluded.last_play, last_at = excluded.last_at, last_ms = excluded.last_ms "
        f"WHERE listeners.last_at <= excluded.last_at - {_WINDOW_MICROS} "
        f"OR listeners.last_at > excluded.last_at + {_WINDOW_MICROS} RETURNING id, plays, last_play",
        track_id=L.track_id.type, user_id=L.user_id.type, play_id=L.last_play.type, at=L.last_at.type,
        heard_ms=L.last_ms.type,
    ).columns(L.id, L.plays, L.last_play),
    Counted,
)  # fmt: skip
_LAST = Statement(
    sa.select(L.id, L.last_play, L.last_at, L.last_ms, P.part)
    .select_from(listeners.outerjoin(plays, sa.and_(P.listener_id == L.id, P.id == L.last_play)))
    .where(L.track_id == sa.bindparam("track_id"), L.user_id == sa.bindparam("user_id")),
    LastPlay,
)
_LENGTHEN_LAST: Statement[None] = Statement(
    sa.update(listeners).where(L.id == sa.bindparam("listener")).values(last_ms=sa.bindparam("ms"))
)
_ADD: Statement[None] = Statement(sa.insert(plays))
_LENGTHEN: Statement[None] = Statement(
    sa.update(plays)
    .where(P.listener_id == sa.bindparam("listener"), P.id == sa.bindparam("play"))
    .values(heard_ms=sa.bindparam("ms"), part=sa.bindparam("new_part"))
)
_ADD_DAY: Statement[None] = Statement(
    _text(
        "INSERT INTO play_days (track_id, day, plays, heard_ms, parts) "
        "VALUES (:track_id, :day, :plays, :heard_ms, :parts) ON CONFLICT (track_id, day) DO UPDATE SET "
        "plays = play_days.plays + excluded.plays, heard_ms = play_days.heard_ms + excluded.heard_ms, "
        "parts = play_days.parts + excluded.parts",
        track_id=D.track_id.type, day=D.day.type, plays=D.plays.type, heard_ms=D.heard_ms.type,
        parts=D.parts.type,
    )
)  # fmt: skip
_LISTENED = Statement(
    sa.select(L.track_id, P.id, P.at, P.heard_ms, P.device)
    .select_from(listeners.join(plays, P.listener_id == L.id))
    .where(L.user_id == sa.bindparam("user_id"))
    .order_by(P.id),
    Listened,
)
_of_track = sa.select(L.id).where(L.track_id == sa.bindparam("track_id")).limit(sa.bindparam("count"))
_FORGET_LISTENERS: Statement[None] = Statement(sa.delete(listeners).where(L.id.in_(_of_track)))
_FORGET_DAYS: Statement[None] = Statement(sa.delete(play_days).where(D.track_id == sa.bindparam("track_id")))


async def count(tx: Tx, plays_: Iterable[tuple[UUID, UUID, UUID, int]], at: datetime) -> dict[UUID, Counted]:
    """Count plays, each a track, a user, its id and milliseconds; by their ids those that repeat none."""
    counted = await tx.all_each(
        _COUNT,
        (
            {
                "track_id": track_id, "user_id": user_id, "play_id": play_id, "at": at,
                "heard_ms": heard_ms,
            }
            for track_id, user_id, play_id, heard_ms in plays_
        ),
    )  # fmt: skip
    return {one.last_play: one for one in counted}


async def last(tx: Tx, track_id: UUID, user_id: UUID) -> LastPlay | None:
    """The last play that was counted for a listener."""
    return await tx.first(_LAST, track_id=track_id, user_id=user_id)


async def lengthen(tx: Tx, play: LastPlay, heard_ms: int, part: int) -> None:
    """A repeat heard more of it than the first."""
    await tx.run(_LENGTHEN_LAST, listener=play.id, ms=heard_ms)
    await tx.run(_LENGTHEN, listener=play.id, play=play.last_play, ms=heard_ms, new_part=part)


async def add(tx: Tx, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write plays down."""
    await tx.run_many(_ADD, rows)


async def add_days(tx: Tx, gained: Mapping[tuple[UUID, int], Day]) -> None:
    """Add to the days of tracks; in one order, so that two transactions never wait for each other."""
    await tx.run_each(
        _ADD_DAY,
        [
            {"track_id": track_id, "day": day, **msgspec.structs.asdict(more)}
            for (track_id, day), more in sorted(gained.items(), key=lambda one: (one[0][0].int, one[0][1]))
        ],
    )


def pieces_of(view: Tx, user_id: UUID) -> AsyncIterator[list[Listened]]:
    """Every play of a user."""
    return view.pieces(_LISTENED, user_id=user_id)


async def forget(tx: Tx, track_id: UUID, most: int) -> bool:
    """Remove so many listeners of a track with their plays, at last its days; whether there may be more."""
    if await tx.run(_FORGET_LISTENERS, track_id=track_id, count=most) >= most:
        return True
    await tx.run(_FORGET_DAYS, track_id=track_id)
    await sums_store.forget(tx, track_id)
    await weeks_store.forget(tx, track_id)
    return False
