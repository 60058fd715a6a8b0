"""All SQL about how often tracks are liked, heard and talked about."""

from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any
from uuid import UUID

import msgspec
import sqlalchemy as sa

from veza.core.db import Statement, Tx, any_of
from veza.rooms.tracks.tables import track_stats, tracks

T = tracks.c
S = track_stats.c


class Heard(msgspec.Struct, frozen=True):
    """What must be known of a track to count a play of it; ``duration`` in seconds."""

    id: UUID
    user_id: UUID
    is_public: bool
    status: str
    duration: float
    withheld: str | None
    closed: bool

    @property
    def listed(self) -> bool:
        """Whether strangers see it."""
        return self.is_public and self.status == "ready" and self.withheld is None and not self.closed


class Totals(msgspec.Struct):
    """What plays add up to, or add: milliseconds heard, and parts of the track in millionths.

    ``charted`` are the plays by others than the owner.
    """

    plays: int = 0
    listeners: int = 0
    heard_ms: int = 0
    parts: int = 0
    charted: int = 0


_NAMES = Totals.__struct_fields__
_heard = sa.select(*(T[name] for name in Heard.__struct_fields__)).where(any_of(T.id, "ids")).order_by(T.id)
# Shared with other plays, likes and comments; only a deletion has to wait, and is waited for.
_HOLD = Statement(_heard.with_for_update(read=True, key_share=True), Heard)
_TOTALS = Statement(
    sa.select(*(S[name] for name in _NAMES)).where(S.track_id == sa.bindparam("track_id")), Totals
)
_columns = ", ".join(_NAMES)
_ADD_TOTALS: Statement[None] = Statement(
    sa.text(
        f"INSERT INTO track_stats (track_id, {_columns}, shown) "  # noqa: S608 - our own names
        f"VALUES (:track_id, {', '.join(f':{name}' for name in _NAMES)}, 0) "
        "ON CONFLICT (track_id) DO UPDATE SET "
        + ", ".join(f"{name} = track_stats.{name} + excluded.{name}" for name in _NAMES)
    ).bindparams(
        sa.bindparam("track_id", type_=S.track_id.type),
        *(sa.bindparam(name, type_=sa.BigInteger) for name in _NAMES),
    )
)

# Written as the index has it, or SQLite would not see that it may be used.
_behind = sa.text("shown <> charted")
_BEHIND = Statement(
    sa.select(T.id)
    .select_from(track_stats.join(tracks, T.id == S.track_id))
    .where(_behind)
    .order_by(S.track_id)
    .limit(sa.bindparam("count"))
    .with_for_update(key_share=True, of=tracks, skip_locked=True),
    UUID,
)
_ANY_BEHIND = Statement(sa.select(S.track_id).where(_behind).limit(1), UUID)
_SHOW: Statement[None] = Statement(
    sa.update(tracks)
    .where(T.id == sa.bindparam("track"))
    .values(play_count=sa.select(S.charted).where(S.track_id == sa.bindparam("track")).scalar_subquery())
)
_SHOWN: Statement[None] = Statement(
    sa.update(track_stats)
    .where(S.track_id == sa.bindparam("track"))
    .values(shown=sa.select(T.play_count).where(T.id == sa.bindparam("track")).scalar_subquery())
)
_LOCK_MANY = Statement(
    sa.select(T.id)
    .where(sa.or_(any_of(T.id, "ids"), T.user_id == sa.bindparam("owner")))
    .order_by(T.id)
    .with_for_update(),
    UUID,
)


async def hold(tx: Tx, track_ids: Iterable[UUID]) -> dict[UUID, Heard]:
    """Those of these tracks that there are; none is deleted until ``tx`` is over."""
    return {track.id: track for track in await tx.all(_HOLD, ids=track_ids)}


async def find_totals(tx: Tx, track_id: UUID) -> Totals:
    """What the plays of a track add up to."""
    return await tx.first(_TOTALS, track_id=track_id) or Totals()


async def add_totals(tx: Tx, gained: Mapping[UUID, Totals]) -> None:
    """Add to the totals of tracks; in one order, so that two transactions never wait for each other."""
    rows = [{"track_id": track_id, **msgspec.structs.asdict(more)} for track_id, more in gained.items()]
    await tx.run_each(_ADD_TOTALS, sorted(rows, key=_order))


def _order(row: Mapping[str, Any]) -> int:
    number: int = row["track_id"].int
    return number


async def show_plays(tx: Tx, most: int) -> int:
    """Bring up to date what lists are sorted by, for at most so many tracks; for how many it was done."""
    behind = await tx.all(_BEHIND, count=most)
    for track_id in behind:
        await tx.run(_SHOW, track=track_id)
        # Not what it was, for it may have grown meanwhile.
        await tx.run(_SHOWN, track=track_id)
    return len(behind)


async def any_behind(tx: Tx) -> bool:
    """Whether there are tracks that were passed over, for somebody changes them just now."""
    return await tx.first(_ANY_BEHIND) is not None


async def lock_many(tx: Tx, track_ids: Iterable[UUID], owner: UUID) -> None:
    """Nobody else changes these tracks, or any of this owner, until ``tx`` is over."""
    await tx.all(_LOCK_MANY, ids=track_ids, owner=owner)


async def add(tx: Tx, track_id: UUID, column: str, change: int) -> bool:
    """Add to one of a track's counts; whether there is such a track."""
    return await tx.run(_add_statement(column), track=track_id, change=change) == 1


@cache
def _add_statement(column: str) -> Statement[None]:
    more: Any = T[column] + sa.bindparam("change", type_=sa.BigInteger)
    return Statement(sa.update(tracks).where(T.id == sa.bindparam("track")).values({column: more}))
