"""Following playlists, and taking it back: each as often as one will, to the same effect."""

from uuid import UUID

from veza.access.actor import Member
from veza.access.policy import Action, may
from veza.core.db import Tx
from veza.core.errors import Forbidden
from veza.rooms.accounts import service as accounts
from veza.rooms.following import blocks
from veza.rooms.playlists import parting, people_store, service, store
from veza.rooms.playlists.errors import OwnPlaylist, PlaylistNotFound
from veza.rooms.playlists.events import PlaylistFollowed, PlaylistUnfollowed


async def follow(tx: Tx, actor: Member, playlist_id: UUID) -> None:
    """From now on ``actor`` follows the playlist.

    Raises PlaylistNotFound, OwnPlaylist, PlaylistChanged; :class:`Forbidden` for who moderates, sees it, and
    was blocked by its owner, or has blocked them.
    """
    playlist, _ = await parting.hold(tx, actor, playlist_id, Action.SEE_PLAYLIST)
    if playlist.user_id == actor.id:
        raise OwnPlaylist
    if await blocks.stands_between(tx, actor.id, playlist.user_id):
        raise Forbidden if may(actor, Action.SEE_HIDDEN) else PlaylistNotFound
    if await people_store.follow(tx, playlist_id, actor.id):
        await store.add_followers(tx, [playlist_id], 1)
        tx.emit(PlaylistFollowed(playlist_id, playlist.user_id, actor.id))


async def follows(tx: Tx, playlist_id: UUID, user_id: UUID) -> bool:
    """Whether a user follows a playlist now."""
    return await people_store.follows(tx, playlist_id, user_id)


async def unfollow(tx: Tx, actor: Member, playlist_id: UUID) -> None:
    """``actor`` follows the playlist no longer, also where they do not see it any more.

    Raises :class:`PlaylistNotFound`.
    """
    await accounts.stay_signed_in(tx, actor)
    await store.lock(tx, playlist_id)
    owner = await store.owner_of(tx, playlist_id)
    if owner is None:
        raise PlaylistNotFound
    if not await people_store.unfollow(tx, playlist_id, actor.id):
        await service.get_visible(tx, actor, playlist_id)
        return
    await store.add_followers(tx, [playlist_id], -1)
    tx.emit(PlaylistUnfollowed(playlist_id, owner, actor.id))
