"""All SQL about the tracks of which followers were told."""

from datetime import datetime
from uuid import UUID

import msgspec
import sqlalchemy as sa

from veza.core import clock
from veza.core.db import Statement, Tx
from veza.rooms.notifications.kinds import FanOut
from veza.rooms.notifications.tables import notified_releases

R = notified_releases.c


class Release(msgspec.Struct, frozen=True):
    """A track of which followers are told; what is left to do where it was broken off."""

    track_id: UUID
    user_id: UUID
    paused: FanOut | None


_ADD: Statement[None] = Statement(
    sa.text(
        "INSERT INTO notified_releases (track_id, user_id, created_at) VALUES (:track, :user, :at) "
        "ON CONFLICT (track_id) DO NOTHING"
    ).bindparams(
        sa.bindparam("track", type_=R.track_id.type),
        sa.bindparam("user", type_=R.user_id.type),
        sa.bindparam("at", type_=R.created_at.type),
    )
)
_SINCE = Statement(
    sa.select(sa.func.count()).where(R.user_id == sa.bindparam("user"), R.created_at > sa.bindparam("since")),
    int,
)
_one = R.track_id == sa.bindparam("track")
_HOLD = Statement(sa.select(R.track_id, R.user_id, R.paused).where(_one).with_for_update(), Release)
_PAUSE: Statement[None] = Statement(
    sa.update(notified_releases).where(_one).values(paused=sa.bindparam("rest", type_=R.paused.type))
)
_REMOVE: Statement[None] = Statement(sa.delete(notified_releases).where(_one))


async def add(tx: Tx, track_id: UUID, user_id: UUID) -> bool:
    """Write down that followers are told of a track; whether they were not before."""
    return await tx.run(_ADD, track=track_id, user=user_id, at=clock.now()) == 1


async def count_since(tx: Tx, user_id: UUID, since: datetime) -> int:
    """Of how many tracks of a user followers were told since then."""
    return await tx.first(_SINCE, user=user_id, since=since) or 0


async def hold(tx: Tx, track_id: UUID) -> Release | None:
    """What is known of a track's followers being told, which nobody else changes until ``tx`` is over."""
    return await tx.first(_HOLD, track=track_id)


async def pause(tx: Tx, track_id: UUID, rest: FanOut | None) -> None:
    """Keep what is left to do until the track is shown again, or forget it."""
    await tx.run(_PAUSE, track=track_id, rest=rest)


async def remove(tx: Tx, track_id: UUID) -> bool:
    """Forget a track that is gone; whether followers were told of it."""
    return await tx.run(_REMOVE, track=track_id) == 1
