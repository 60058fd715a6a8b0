"""Liking tracks, and taking it back: each as often as one will, to the same effect.

Whoever may hear a track may like it, its owner too. Likes go with the account, and out of the count with it.
"""

from uuid import UUID

from veza.access.actor import Actor, Member
from veza.core.db import Tx
from veza.core.pages import Page
from veza.rooms.accounts import service as accounts
from veza.rooms.likes import store
from veza.rooms.likes.events import TrackLiked, TrackUnliked
from veza.rooms.likes.schemas import LikeList
from veza.rooms.tracks import counts
from veza.rooms.tracks import service as tracks
from veza.rooms.tracks.schemas import Track

# So many are counted one by one as they are listed: 1 ms at most. Of more, all who are suspended are read.
FEW = 1_000


async def like(tx: Tx, actor: Member, track_id: UUID) -> None:
    """From now on ``actor`` likes the track.

    Raises :class:`veza.rooms.tracks.errors.TrackNotFound` and ``TrackNotReady``.
    """
    await accounts.stay_signed_in(tx, actor)
    track = await tracks.get_ready(tx, actor, track_id)
    if await store.add(tx, track.id, actor.id):
        await counts.add_likes(tx, track.id, 1)
        tx.emit(TrackLiked(track.id, track.user_id, actor.id))


async def unlike(tx: Tx, actor: Member, track_id: UUID) -> None:
    """``actor`` likes the track no longer. Raises :class:`veza.rooms.tracks.errors.TrackNotFound`."""
    await accounts.stay_signed_in(tx, actor)
    track = await tracks.get_visible(tx, actor, track_id)
    if await store.remove(tx, track.id, actor.id):
        await counts.add_likes(tx, track.id, -1)
        tx.emit(TrackUnliked(track.id, track.user_id, actor.id))


async def likes_it(tx: Tx, track_id: UUID, user_id: UUID) -> bool:
    """Whether a user likes a track now."""
    return await store.has(tx, track_id, user_id)


async def list_likes(tx: Tx, actor: Actor, track_id: UUID, page: Page) -> LikeList:
    """A page of those who like a track that ``actor`` may see, but for the suspended and the hidden."""
    total = await _count_listed(tx, actor, await tracks.get_visible(tx, actor, track_id))
    found = await store.page(tx, track_id, page, hidden=actor.hidden) if page.offset < total else []
    return LikeList(found, total, page.of(total))


async def _count_listed(tx: Tx, actor: Actor, track: Track) -> int:
    kept = track.like_count
    if kept <= FEW:
        return await store.count_listed(tx, track.id, kept, hidden=actor.hidden) if kept else 0
    unlisted = actor.hidden | await accounts.list_all_suspended(tx)
    return kept - await store.count_by(tx, track.id, unlisted)


async def remove_user_likes(tx: Tx, user_id: UUID) -> None:
    """Somebody's likes go with their account, which is held already."""
    liked = [like.track_id for like in await store.list_of(tx, user_id)]
    await counts.unlike_all(tx, liked, user_id)
    await store.remove_of(tx, user_id)
