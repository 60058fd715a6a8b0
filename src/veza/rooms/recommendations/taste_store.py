"""SQL about what one member has: what recommendations to them begin with, and what they need not be told."""

from collections.abc import Sequence
from uuid import UUID

import msgspec
import sqlalchemy as sa

from veza.core.db import Statement, Tx, any_of
from veza.rooms.likes.tables import likes
from veza.rooms.plays.tables import listeners

L = listeners.c
K = likes.c
_user = sa.bindparam("user", type_=K.user_id.type)
_most = sa.bindparam("most", type_=sa.BigInteger)


class Heard(msgspec.Struct, frozen=True):
    """A track that somebody heard, and how often."""

    track_id: UUID
    plays: int


_HEARD = Statement(
    sa.select(L.track_id, L.plays).where(L.user_id == _user).order_by(L.id.desc()).limit(_most), Heard
)
_LIKED = Statement(
    sa.select(K.track_id).where(K.user_id == _user).order_by(K.created_at.desc()).limit(_most), UUID
)
_HEARD_AMONG = Statement(sa.select(L.track_id).where(any_of(L.track_id, "ids"), L.user_id == _user), UUID)
_LIKED_AMONG = Statement(sa.select(K.track_id).where(any_of(K.track_id, "ids"), K.user_id == _user), UUID)


async def heard(tx: Tx, user_id: UUID, most: int) -> list[Heard]:
    """The tracks that somebody has met last."""
    return await tx.all(_HEARD, user=user_id, most=most)


async def liked(tx: Tx, user_id: UUID, most: int) -> list[UUID]:
    """The tracks that somebody likes, the latest first."""
    return await tx.all(_LIKED, user=user_id, most=most)


async def known_among(tx: Tx, user_id: UUID, track_ids: Sequence[UUID]) -> set[UUID]:
    """Which of these tracks somebody has heard or likes."""
    if not track_ids:
        return set()
    heard_ = await tx.all(_HEARD_AMONG, ids=track_ids, user=user_id)
    return {*heard_, *await tx.all(_LIKED_AMONG, ids=track_ids, user=user_id)}
