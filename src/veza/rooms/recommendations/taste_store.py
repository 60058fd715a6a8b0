"""SQL about what one member has: what recommendations to them begin with, and what they need not be told."""

from collections.abc import Sequence
from uuid import UUID

import msgspec
import sqlalchemy as sa

from veza.core.db import Id, Statement, Tx, any_of
from veza.rooms.following.tables import follows
from veza.rooms.likes.tables import likes
from veza.rooms.playlists.tables import playlist_collaborators, playlist_follows, playlists
from veza.rooms.plays.tables import listeners
from veza.rooms.tracks.tables import tracks

# Of so many whom somebody has followed last, so many tracks each.
FOLLOWED, OF_EACH = 10, 3

L = listeners.c
K = likes.c
T = tracks.c
F = follows.c
P = playlists.c
W = playlist_follows.c
C = playlist_collaborators.c
_user = sa.bindparam("user", type_=Id)
_most = sa.bindparam("most", type_=sa.BigInteger)


class Heard(msgspec.Struct, frozen=True):
    """A track that somebody heard, and how often."""

    track_id: UUID
    plays: int


_HEARD = Statement(
    sa.select(L.track_id, L.plays).where(L.user_id == _user).order_by(L.id.desc()).limit(_most), Heard
)
_LIKED = Statement(
    sa.select(K.track_id)
    .where(K.user_id == _user)
    .order_by(K.created_at.desc(), K.track_id.desc())
    .limit(_most),
    UUID,
)
_PLAYLISTS_FOLLOWED = Statement(
    sa.select(W.playlist_id)
    .where(W.user_id == _user)
    .order_by(W.created_at.desc(), W.playlist_id.desc())
    .limit(_most),
    UUID,
)
_OWN_PLAYLISTS = Statement(
    sa.select(P.id)
    .where(P.user_id == _user, P.is_public)
    .order_by(P.created_at.desc(), P.id.desc())
    .limit(_most),
    UUID,
)
_USERS_FOLLOWED = Statement(
    sa.select(F.followed_id)
    .where(F.follower_id == _user)
    .order_by(F.created_at.desc(), F.followed_id.desc())
    .limit(_most),
    UUID,
)


class Popular(msgspec.Struct, frozen=True):
    """A track, and how often it was heard."""

    id: UUID
    play_count: int


def _most_popular_of(name: str) -> sa.Select[tuple[UUID, int]]:
    of_one = (
        sa.select(T.id, T.play_count)
        .where(T.listed, T.user_id == sa.bindparam(name, type_=Id))
        .order_by(T.play_count.desc(), T.id.desc())
        .limit(OF_EACH)
    )
    return sa.select(*of_one.subquery().c)


_OF_USERS = Statement(sa.union_all(*(_most_popular_of(f"user{place}") for place in range(FOLLOWED))), Popular)
_HEARD_AMONG = Statement(sa.select(L.track_id).where(any_of(L.track_id, "ids"), L.user_id == _user), UUID)
_LIKED_AMONG = Statement(sa.select(K.track_id).where(any_of(K.track_id, "ids"), K.user_id == _user), UUID)
_FOLLOWED_AMONG = Statement(
    sa.select(W.playlist_id).where(any_of(W.playlist_id, "ids"), W.user_id == _user), UUID
)
_WORKED_ON_AMONG = Statement(
    sa.select(C.playlist_id).where(any_of(C.playlist_id, "ids"), C.user_id == _user), UUID
)
_NOBODY = UUID(int=0)


async def heard(tx: Tx, user_id: UUID, most: int) -> list[Heard]:
    """The tracks that somebody has met last."""
    return await tx.all(_HEARD, user=user_id, most=most)


async def liked(tx: Tx, user_id: UUID, most: int) -> list[UUID]:
    """The tracks that somebody likes, the latest first."""
    return await tx.all(_LIKED, user=user_id, most=most)


async def playlists_followed(tx: Tx, user_id: UUID, most: int) -> list[UUID]:
    """The playlists that somebody follows, the latest first."""
    return await tx.all(_PLAYLISTS_FOLLOWED, user=user_id, most=most)


async def own_playlists(tx: Tx, user_id: UUID, most: int) -> list[UUID]:
    """Somebody's public playlists, the latest first."""
    return await tx.all(_OWN_PLAYLISTS, user=user_id, most=most)


async def of_followed(tx: Tx, user_id: UUID) -> list[UUID]:
    """The most popular tracks of each whom somebody has followed last, the most popular first."""
    users = await tx.all(_USERS_FOLLOWED, user=user_id, most=FOLLOWED)
    if not users:
        return []
    places = [*users, *[_NOBODY] * (FOLLOWED - len(users))]
    found = await tx.all(_OF_USERS, **{f"user{place}": user for place, user in enumerate(places)})
    return [track.id for track in sorted(found, key=lambda track: (-track.play_count, track.id))]


async def known_tracks(tx: Tx, user_id: UUID, track_ids: Sequence[UUID]) -> set[UUID]:
    """Which of these tracks somebody has heard or likes."""
    if not track_ids:
        return set()
    heard_ = await tx.all(_HEARD_AMONG, ids=track_ids, user=user_id)
    return {*heard_, *await tx.all(_LIKED_AMONG, ids=track_ids, user=user_id)}


async def known_playlists(tx: Tx, user_id: UUID, playlist_ids: Sequence[UUID]) -> set[UUID]:
    """Which of these playlists somebody follows or works on."""
    if not playlist_ids:
        return set()
    followed = await tx.all(_FOLLOWED_AMONG, ids=playlist_ids, user=user_id)
    return {*followed, *await tx.all(_WORKED_ON_AMONG, ids=playlist_ids, user=user_id)}
