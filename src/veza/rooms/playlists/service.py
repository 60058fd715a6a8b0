"""Playlists: making, showing, listing, changing and deleting them.

Whoever sees a playlist sees those of its tracks that they would see elsewhere; numbers and sums are of these,
so that nothing tells of what is hidden. Those who moderate see all.
"""

from collections.abc import Sequence
from contextlib import suppress
from uuid import UUID

import msgspec

from veza.access.actor import Actor, Member
from veza.access.policy import Action, may, require
from veza.core import clock
from veza.core.db import Tx
from veza.core.ids import new_id
from veza.core.pages import Page
from veza.rooms.accounts import service as accounts
from veza.rooms.playlists import entries_store, links_store, store
from veza.rooms.playlists.errors import PlaylistNotFound
from veza.rooms.playlists.events import PlaylistCreated, PlaylistDeleted, PlaylistUnshared, PlaylistUpdated
from veza.rooms.playlists.schemas import (
    Playlist,
    PlaylistChanges,
    PlaylistDetail,
    PlaylistDraft,
    PlaylistList,
    PlaylistSummary,
    TrackPage,
)
from veza.rooms.playlists.store import Sight, Wanted
from veza.rooms.tracks import service as tracks

# Tracks that a playlist by itself comes with; all of them are in the pages of its tracks.
FIRST = Page(limit=100)


def sight_of(actor: Actor) -> Sight:
    """Which tracks ``actor`` sees, and whose none."""
    return Sight(actor.id, tracks.sees_all(actor), actor.hidden)


async def create(tx: Tx, actor: Member, draft: PlaylistDraft) -> Playlist:
    """A new playlist, with nothing in it."""
    await accounts.stay_signed_in(tx, actor)
    now = clock.now()
    playlist = Playlist(
        id=new_id(),
        user_id=actor.id,
        username=actor.username,
        title=draft.title,
        description=draft.description,
        is_public=draft.is_public,
        closed=False,
        track_count=0,
        total_duration=0.0,
        follower_count=0,
        created_at=now,
        updated_at=now,
        version=0,
        permission="owner",
        is_following=False,
    )
    await store.add(tx, playlist)
    tx.emit(PlaylistCreated(playlist.id, actor.id))
    return playlist


async def get_visible(tx: Tx, actor: Actor, playlist_id: UUID) -> Playlist:
    """The playlist, if ``actor`` may see it: public, theirs, or shared with them to work on.

    And if no block stands between them and its owner, who is not suspended. Raises :class:`PlaylistNotFound`.
    """
    playlist = await store.find(tx, playlist_id, sight_of(actor))
    if playlist is None or playlist.user_id in actor.hidden:
        raise PlaylistNotFound
    if not may(actor, Action.SEE_CLOSED_PLAYLIST if playlist.closed else Action.SEE_PLAYLIST, playlist):
        raise PlaylistNotFound
    return playlist


async def get_detail(tx: Tx, actor: Actor, playlist_id: UUID) -> PlaylistDetail:
    """The playlist with its first hundred tracks. Raises :class:`PlaylistNotFound`."""
    return await with_tracks(tx, actor, await get_visible(tx, actor, playlist_id))


async def with_tracks(tx: Tx, actor: Actor, playlist: Playlist) -> PlaylistDetail:
    """A playlist and the first hundred of its tracks that ``actor`` sees."""
    first = await entries_store.page(tx, playlist.id, sight_of(actor), FIRST) if playlist.track_count else []
    return PlaylistDetail(**msgspec.structs.asdict(playlist), tracks=first)


async def list_tracks(tx: Tx, actor: Actor, playlist_id: UUID, page: Page) -> TrackPage:
    """A page of a playlist's tracks. Raises :class:`PlaylistNotFound`."""
    return await page_of(tx, actor, await get_visible(tx, actor, playlist_id), page)


async def page_of(tx: Tx, actor: Actor, playlist: Playlist, page: Page) -> TrackPage:
    """A page of the tracks of a playlist that ``actor`` sees."""
    total = playlist.track_count
    found = await entries_store.page(tx, playlist.id, sight_of(actor), page) if page.offset < total else []
    return TrackPage(found, page.of(total))


async def list_playlists(
    tx: Tx, actor: Actor, page: Page, user_id: UUID | None = None, *, is_public: bool | None = None
) -> PlaylistList:
    """A page of the playlists that are public, or that ``actor`` owns or works on; of one user, if named.

    ``is_public`` leaves out the others; those of users hidden from ``actor`` are left out.
    """
    if user_id in actor.hidden:
        return PlaylistList([], page.of(0))
    sight, wanted = sight_of(actor), Wanted(user_id, is_public)
    total = await store.total(tx, sight, wanted)
    found = await store.page(tx, sight, wanted, page) if page.offset < total else []
    return PlaylistList(found, page.of(total))


async def count_public(tx: Tx) -> int:
    """How many there are that everybody sees."""
    return await store.count_public(tx)


async def list_by_ids(tx: Tx, actor: Actor, ids: Sequence[UUID]) -> list[PlaylistSummary]:
    """Of these playlists the public ones, as ``actor`` sees them, in the order of ``ids``.

    Those of users hidden from them are left out.
    """
    found = {one.id: one for one in await store.list_public(tx, ids, sight_of(actor))}
    return [found[playlist_id] for playlist_id in ids if playlist_id in found]


async def list_titles(tx: Tx, actor: Actor, ids: Sequence[UUID]) -> dict[UUID, str]:
    """The titles of those of these playlists that ``actor`` sees."""
    found: dict[UUID, str] = {}
    for playlist_id in ids:
        with suppress(PlaylistNotFound):
            found[playlist_id] = (await get_visible(tx, actor, playlist_id)).title
    return found


async def hold(tx: Tx, actor: Actor, playlist_id: UUID, action: Action) -> Playlist:
    """A playlist that ``actor`` may see and may do this with; nobody else changes it until ``tx`` is over.

    What they may is asked while it is held: whoever was a collaborator a moment ago is none.
    Raises :class:`PlaylistNotFound`, :class:`veza.core.errors.Forbidden`.
    """
    if not await store.lock(tx, playlist_id):
        raise PlaylistNotFound
    playlist = await get_visible(tx, actor, playlist_id)
    require(actor, action, playlist)
    return playlist


async def update(tx: Tx, actor: Member, playlist: Playlist, changes: PlaylistChanges) -> Playlist:
    """Change what is said about a playlist that :func:`hold` gave; turned private, its links are revoked."""
    given = {
        name: value for name, value in msgspec.structs.asdict(changes).items() if value is not msgspec.UNSET
    }
    changed = {name: value for name, value in given.items() if value != getattr(playlist, name)}
    if not changed:
        return playlist
    await store.change(tx, playlist, changed)
    if changed.get("is_public") is False and await links_store.remove_all(tx, playlist.id):
        tx.emit(PlaylistUnshared(playlist.id, playlist.user_id, None))
    tx.emit(PlaylistUpdated(playlist.id, playlist.user_id, tuple(sorted(changed))))
    return await get_visible(tx, actor, playlist.id)


async def delete(tx: Tx, playlist: PlaylistSummary) -> None:
    """Delete a playlist that is held, for good; what was in it and who followed it is removed afterwards."""
    await store.delete(tx, playlist)
    tx.emit(PlaylistDeleted(playlist.id, playlist.user_id))
