"""Adding, removing and moving the tracks of a playlist: each waits for the one before, and sees what it did.

Positions are what the one who asks sees: what is hidden from them stays where it is.
"""

from uuid import UUID

from veza.access.actor import Member
from veza.access.policy import Action, require
from veza.core.db import Tx
from veza.core.errors import Detail, ValidationFailed
from veza.rooms.accounts import service as accounts
from veza.rooms.playlists import entries_store as entries
from veza.rooms.playlists import service, store
from veza.rooms.playlists.entries_store import GAP, Entry
from veza.rooms.playlists.errors import (
    PlaylistChanged,
    PlaylistFull,
    ReorderMismatch,
    TrackAlreadyInPlaylist,
    TrackNotInPlaylist,
)
from veza.rooms.playlists.events import PlaylistUpdated
from veza.rooms.playlists.schemas import MAX_TRACKS, Addition, Move, Order, Playlist
from veza.rooms.playlists.store import Sums
from veza.rooms.tracks import service as tracks
from veza.rooms.tracks.errors import TrackNotReady

# Half of what a column holds: no place is ever farther from 0.
_FARTHEST = 1 << 62


async def add(tx: Tx, actor: Member, playlist_id: UUID, wanted: Addition) -> int:
    """Add a track that ``actor`` sees, at the end or where they say; its position.

    Raises PlaylistNotFound, Forbidden, :class:`veza.rooms.tracks.errors.TrackNotFound`, ``TrackNotReady`` for
    one that failed, TrackAlreadyInPlaylist, PlaylistFull, ValidationFailed.
    """
    await accounts.stay_signed_in(tx, actor)
    # Tracks before playlists; and who may not fill this one is told so, whatever the track is.
    before = await service.get_visible(tx, actor, playlist_id)
    require(actor, Action.FILL_PLAYLIST, before)
    track = await tracks.keep(tx, actor, wanted.track_id)
    if track.status == "failed":
        raise TrackNotReady("This track could not be processed.")
    playlist = await service.hold(tx, actor, playlist_id, Action.FILL_PLAYLIST)
    if await entries.find(tx, playlist_id, track.id) is not None:
        raise TrackAlreadyInPlaylist
    if await store.size(tx, playlist_id) >= MAX_TRACKS:
        raise PlaylistFull
    last = playlist.track_count + 1
    position = wanted.position or last
    place = await _place(tx, actor, playlist_id, track.id, position, last)
    entry = Entry(track.id, place, track.listed, track.user_id, round(track.duration * 1000))
    await entries.add(tx, playlist_id, entry, actor.id)
    await _changed(tx, playlist, entry.sums)
    return position


async def remove(tx: Tx, actor: Member, playlist_id: UUID, track_id: UUID) -> None:
    """Take a track out. Raises PlaylistNotFound, Forbidden, :class:`TrackNotInPlaylist`."""
    await accounts.stay_signed_in(tx, actor)
    playlist = await service.hold(tx, actor, playlist_id, Action.FILL_PLAYLIST)
    entry = await _get(tx, actor, playlist_id, track_id)
    await entries.remove(tx, playlist_id, track_id)
    await _changed(tx, playlist, Sums() - entry.sums)


async def move(tx: Tx, actor: Member, playlist_id: UUID, track_id: UUID, wanted: Move) -> None:
    """Give a track another position; those between make room.

    Raises PlaylistNotFound, Forbidden, TrackNotInPlaylist, PlaylistChanged, ValidationFailed.
    """
    await accounts.stay_signed_in(tx, actor)
    playlist = await service.hold(tx, actor, playlist_id, Action.FILL_PLAYLIST)
    _check_version(playlist, wanted.version)
    await _get(tx, actor, playlist_id, track_id)
    place = await _place(tx, actor, playlist_id, track_id, wanted.position, playlist.track_count)
    await entries.move(tx, playlist_id, track_id, place)
    await _changed(tx, playlist)


async def reorder(tx: Tx, actor: Member, playlist_id: UUID, wanted: Order) -> None:
    """Bring all tracks that ``actor`` sees into this order; what is hidden from them keeps its place.

    Raises PlaylistNotFound, Forbidden, PlaylistChanged, :class:`ReorderMismatch`.
    """
    await accounts.stay_signed_in(tx, actor)
    playlist = await service.hold(tx, actor, playlist_id, Action.FILL_PLAYLIST)
    _check_version(playlist, wanted.version)
    slots = await entries.list_slots(tx, playlist_id, service.sight_of(actor))
    seen = [slot.track_id for slot in slots if slot.seen]
    if len(wanted.track_ids) != len(seen) or set(wanted.track_ids) != set(seen):
        raise ReorderMismatch
    if wanted.track_ids == seen:
        return
    following = iter(wanted.track_ids)
    new = [next(following) if slot.seen else slot.track_id for slot in slots]
    await entries.order(tx, playlist_id, new)
    await _changed(tx, playlist)


def _check_version(playlist: Playlist, version: int | None) -> None:
    if version is not None and version != playlist.version:
        raise PlaylistChanged


async def _get(tx: Tx, actor: Member, playlist_id: UUID, track_id: UUID) -> Entry:
    entry = await entries.find(tx, playlist_id, track_id)
    if entry is None or not entry.seen_by(service.sight_of(actor)):
        raise TrackNotInPlaylist
    return entry


async def _changed(tx: Tx, playlist: Playlist, more: Sums = Sums()) -> None:  # noqa: B008 - frozen
    await store.add_sums(tx, [playlist.id], more)
    tx.emit(PlaylistUpdated(playlist.id, playlist.user_id, ("tracks",)))


async def _place(tx: Tx, actor: Member, playlist_id: UUID, track_id: UUID, position: int, last: int) -> int:
    """The place where a track, wherever it is, has this position. Raises ValidationFailed after ``last``."""
    if position > last:
        said = f"There are positions 1 to {last}."
        raise ValidationFailed(details=[Detail("position", said, "INVALID")])
    place = await _find_place(tx, actor, playlist_id, track_id, position, at_end=position == last)
    if place is None:  # no room: everybody gets new places, with room between
        slots = await entries.list_slots(tx, playlist_id, service.sight_of(actor))
        await entries.order(tx, playlist_id, [slot.track_id for slot in slots])
        place = await _find_place(tx, actor, playlist_id, track_id, position, at_end=position == last)
    return _there(place)


async def _find_place(
    tx: Tx, actor: Member, playlist_id: UUID, track_id: UUID, position: int, *, at_end: bool
) -> int | None:
    """A place where there is room; None where there is none."""
    following = None
    if not at_end:
        sight = service.sight_of(actor)
        following = await entries.place_at(tx, playlist_id, sight, track_id, position)
    if following is None:
        last = await entries.last_place(tx, playlist_id, track_id)
        place = 0 if last is None else last + GAP
    else:
        previous = await entries.place_before(tx, playlist_id, track_id, following)
        place = following - GAP if previous is None else (previous + following) // 2
        if place == previous:
            return None
    return place if abs(place) < _FARTHEST else None


def _there(place: int | None) -> int:
    if place is None:
        raise RuntimeError("a playlist whose places are new has room everywhere")
    return place
