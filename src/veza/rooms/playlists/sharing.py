"""Links that show a playlist to whoever has them, without a login, until they expire or are revoked.

The token of a link is shown once; kept is its digest. It opens a playlist and none of its tracks: of these
everybody sees what they would see elsewhere. Whoever is signed in and has blocked its owner, or was blocked
by them, is shown nothing. A playlist that turns private takes its links back.
"""

from datetime import timedelta
from uuid import UUID

from veza.access.actor import Actor, Member
from veza.access.policy import Action, require
from veza.access.secrets import digest, new_secret
from veza.core import clock
from veza.core.db import Tx
from veza.core.pages import Page
from veza.rooms.accounts import service as accounts
from veza.rooms.playlists import links_store, service, store
from veza.rooms.playlists.errors import ShareLinkNotFound, TooManyShareLinks
from veza.rooms.playlists.events import PlaylistShared, PlaylistUnshared
from veza.rooms.playlists.schemas import NewLink, Playlist, PlaylistDetail, ShareLink, TrackPage

GOOD_FOR = timedelta(days=30)
MAX_LINKS = 100


async def share(tx: Tx, actor: Member, playlist_id: UUID, expires_in: int | None, base_url: str) -> NewLink:
    """A new link to a playlist, beside those there are; ``expires_in`` is in seconds.

    Raises PlaylistNotFound, Forbidden, TooManyShareLinks.
    """
    await accounts.stay_signed_in(tx, actor)
    playlist = await service.hold(tx, actor, playlist_id, Action.SHARE_PLAYLIST)
    if len(await links_store.list_links(tx, playlist_id)) >= MAX_LINKS:
        raise TooManyShareLinks
    token = new_secret()
    expires_at = clock.now() + (GOOD_FOR if expires_in is None else timedelta(seconds=expires_in))
    link = await links_store.add(tx, playlist_id, digest(token), actor.id, expires_at)
    tx.emit(PlaylistShared(playlist_id, playlist.user_id, link.id))
    return NewLink(link.id, token, f"{base_url}/playlists/shared/{token}", expires_at)


async def list_links(tx: Tx, actor: Member, playlist_id: UUID) -> list[ShareLink]:
    """The links to a playlist that are good. Raises PlaylistNotFound, Forbidden."""
    playlist = await service.get_visible(tx, actor, playlist_id)
    require(actor, Action.SHARE_PLAYLIST, playlist)
    return await links_store.list_links(tx, playlist_id)


async def revoke(tx: Tx, actor: Member, playlist_id: UUID, link_id: UUID) -> None:
    """Make a link show nothing from now on. Raises PlaylistNotFound, Forbidden, ShareLinkNotFound."""
    playlist = await service.hold(tx, actor, playlist_id, Action.SHARE_PLAYLIST)
    if not await links_store.remove(tx, playlist_id, link_id):
        raise ShareLinkNotFound
    tx.emit(PlaylistUnshared(playlist_id, playlist.user_id, link_id))


async def get_shared(tx: Tx, viewer: Actor, token: str) -> PlaylistDetail:
    """The playlist that a link shows, with its first tracks. Raises :class:`ShareLinkNotFound`."""
    return await service.with_tracks(tx, viewer, await _find(tx, viewer, token))


async def list_shared_tracks(tx: Tx, viewer: Actor, token: str, page: Page) -> TrackPage:
    """A page of the tracks of the playlist that a link shows. Raises :class:`ShareLinkNotFound`."""
    return await service.page_of(tx, viewer, await _find(tx, viewer, token), page)


async def _find(tx: Tx, viewer: Actor, token: str) -> Playlist:
    playlist_id = await links_store.find(tx, digest(token))
    found = None
    if playlist_id is not None:
        found = await store.find(tx, playlist_id, service.sight_of(viewer))
    if found is None or found.closed or found.user_id in viewer.hidden:
        raise ShareLinkNotFound
    return found
