"""Playlists of somebody who is suspended: there for nobody but those who moderate, until that is over."""

from uuid import UUID

from veza.access.actor import SYSTEM
from veza.access.policy import Action
from veza.core.db import Tx
from veza.rooms.playlists import service, store
from veza.rooms.playlists.events import PlaylistUpdated


async def close(tx: Tx, user_id: UUID, most: int, *, closed: bool) -> int:
    """Close, or open, so many playlists of somebody; how many that were."""
    found = await store.list_otherwise(tx, user_id, most, closed=closed)
    for playlist_id in await store.lock_many(tx, found):
        playlist = await service.hold(tx, SYSTEM, playlist_id, Action.EDIT_PLAYLIST)
        # Whoever was given it meanwhile is somebody else.
        if playlist.user_id == user_id:
            await store.change(tx, playlist, {"closed": closed})
            tx.emit(PlaylistUpdated(playlist.id, user_id, ("closed",)))
    return len(found)
