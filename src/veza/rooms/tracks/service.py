"""What may be done with tracks, and what follows from it."""

from collections.abc import Callable, Sequence
from pathlib import PurePath
from uuid import UUID

import msgspec

from veza.access.actor import GUEST, Actor, Member
from veza.access.policy import Action, may, require
from veza.access.roles import Permission
from veza.core import clock
from veza.core.db import Tx
from veza.core.errors import Detail, InvalidRequest, VezaError
from veza.core.jobs import enqueue
from veza.core.pages import Page
from veza.core.text import BadValue, is_blank
from veza.core.text import clean_text as check_text
from veza.media import FORMATS, Sniffed, clean_text
from veza.rooms.accounts import quota
from veza.rooms.accounts import service as accounts
from veza.rooms.accounts.errors import UserNotFound
from veza.rooms.tracks import files_store, sales, store
from veza.rooms.tracks.errors import (
    DownloadNotAllowed,
    PurchaseRequired,
    RenditionNotFound,
    TrackNotFound,
    TrackNotReady,
)
from veza.rooms.tracks.events import TrackDeleted, TrackPublished, TrackUpdated, TrackUploaded
from veza.rooms.tracks.jobs import PROCESS, REMOVE_FILES, ProcessTrack, RemoveFiles, original_key
from veza.rooms.tracks.schemas import (
    MAX_GENRE,
    MAX_NAME,
    Audio,
    BatchResult,
    SortBy,
    SortOrder,
    Track,
    TrackChanges,
    TrackList,
    TrackStatus,
    TrackSummary,
    UploadForm,
    distinct,
)
from veza.rooms.tracks.store import RenditionFile, TrackFilter

# What callers ask for by ?quality=, and the rendition that is meant.
QUALITIES = {"high": "aac_160", "low": "aac_96", "opus": "opus_128", "lossless": "flac"}
# Formats whose originals browsers play as they are.
PLAYED = {"mp3", "wav", "flac", "ogg", "m4a", "aac"}


# What a track may be without.
_MAY_LACK = {"album", "genre"}

# A transaction of its own, told of as the request that asks for it.
Begin = Callable[[], Tx]


class Upload(msgspec.Struct, frozen=True):
    """A file that has arrived, has been looked at, and is in the storage under the id of its track."""

    track_id: UUID
    filename: str
    size: int
    sniffed: Sniffed


async def add_track(tx: Tx, actor: Member, upload: Upload, form: UploadForm, allowance: int | None) -> Track:
    """An uploaded file becomes a track, to be processed.

    ``allowance`` is all the bytes the actor may store; None where those of the file are reserved already. Its
    tags fill what the form leaves open; until they are read the title is the file's name and the artist its
    owner. Raises :class:`veza.rooms.accounts.errors.QuotaExceeded`, :class:`veza.core.errors.InvalidToken`.
    """
    if allowance is not None:
        await quota.reserve(tx, actor.id, upload.size, allowance)
    # A file comes for minutes; nobody publishes anything who was suspended meanwhile.
    await accounts.stay_signed_in(tx, actor)
    now = clock.now()
    stem = (clean_text(PurePath(upload.filename).stem) or "Untitled")[:MAX_NAME]
    track = Track(
        id=upload.track_id,
        user_id=actor.id,
        title=form.title or stem,
        artist=form.artist or actor.username,
        album=_shown(form.album),
        genre=_shown(form.genre),
        year=form.year,
        duration=0.0,
        format=upload.sniffed.format.name,
        file_size=upload.size,
        audio=Audio(),
        is_public=form.is_public,
        downloadable=True,
        status="processing",
        progress=0,
        error=None,
        has_cover=False,
        like_count=0,
        play_count=0,
        comment_count=0,
        created_at=now,
        updated_at=now,
        tags=distinct(form.tags),
    )
    await store.add(tx, track, filename=upload.filename)
    await enqueue(
        tx,
        PROCESS,
        ProcessTrack(track.id, track.title, track.artist, form.title is not None, form.artist is not None),
    )
    tx.emit(TrackUploaded(track.id, actor.id))
    return track


async def get_visible(tx: Tx, actor: Actor, track_id: UUID) -> Track:
    """The track, if ``actor`` may see it: ready and public, or theirs; and no block stands between them.

    Raises :class:`TrackNotFound`.
    """
    return _seen_by(actor, await store.find_seen(tx, track_id, actor.id, everything=sees_all(actor)))


async def get_own(tx: Tx, actor: Actor, track_id: UUID) -> Track:
    """The track, if ``actor`` may change it. Raises TrackNotFound, :class:`veza.core.errors.Forbidden`."""
    track = await get_visible(tx, actor, track_id)
    require(actor, Action.EDIT_TRACK, track)
    return track


async def get_status(tx: Tx, actor: Actor, track_id: UUID) -> TrackStatus:
    """How far a track is. Raises :class:`TrackNotFound`."""
    track = await get_visible(tx, actor, track_id)
    playable = False
    if track.status == "ready":  # but without renditions, as long as an imported one waits for them
        playable = await files_store.has_cut(tx, track_id)
    elif track.status == "processing":
        playable = await files_store.has_early(tx, track_id)
    return TrackStatus(track.status, track.progress, track.error, playable)


async def get_ready(tx: Tx, actor: Actor, track_id: UUID) -> Track:
    """The track, if ``actor`` may hear it now. Raises :class:`TrackNotFound` and :class:`TrackNotReady`."""
    track = await get_visible(tx, actor, track_id)
    if track.status != "ready":
        raise TrackNotReady
    return track


async def keep(tx: Tx, actor: Actor, track_id: UUID) -> Track:
    """A track that ``actor`` may see, and that stays as it is until ``tx`` is over.

    Raises :class:`TrackNotFound`.
    """
    return _seen_by(actor, await store.keep(tx, track_id))


def sees_all(actor: Actor) -> bool:
    """Whether ``actor`` sees every track, whosever it is."""
    return actor.holds(Permission.MODERATE_TRACKS)


async def hold(tx: Tx, actor: Actor, track_id: UUID, action: Action = Action.EDIT_TRACK) -> Track:
    """A track that ``actor`` may see and may do this with; nobody else changes it until ``tx`` is over.

    Raises :class:`TrackNotFound`, :class:`veza.core.errors.Forbidden`.
    """
    track = _seen_by(actor, await store.lock(tx, track_id))
    require(actor, action, track)
    return track


async def hold_to_delete(tx: Tx, actor: Actor, track_id: UUID) -> Track:
    """As :func:`hold`, and before the track its owner, to whom its bytes are to be given back."""
    track = await get_visible(tx, actor, track_id)
    require(actor, Action.DELETE_TRACK, track)
    try:
        await quota.hold(tx, track.user_id)
    except UserNotFound:  # gone meanwhile, and all their tracks with them
        raise TrackNotFound from None
    return await hold(tx, actor, track_id, Action.DELETE_TRACK)


def _seen_by(actor: Actor, track: Track | None) -> Track:
    if track is None or track.user_id in actor.hidden:
        raise TrackNotFound
    if not (track.listed or may(actor, Action.EDIT_TRACK, track)):
        raise TrackNotFound
    return track


async def list_tracks(
    tx: Tx,
    actor: Actor,
    page: Page,
    *,
    user_id: UUID | None = None,
    genre: str | None = None,
    form: str | None = None,
    sort_by: SortBy = "created_at",
    sort_order: SortOrder = "desc",
) -> TrackList:
    """A page of the tracks that everybody sees, but for those of users hidden from ``actor``.

    Somebody who asks for their own gets all of them.

    Raises :class:`veza.core.errors.InvalidRequest` for what can be no genre, and for an unknown format.
    """
    wanted = TrackFilter(
        user_id=user_id,
        genre_key=genre_key(genre) if genre else None,
        format=format_name(form) if form else None,
        sort=sort_by,
        descending=sort_order == "desc",
        own=user_id is not None and user_id == actor.id,
        hidden=actor.hidden if user_id is None or user_id in actor.hidden else frozenset(),
    )
    total = await store.total(tx, wanted)
    found = await store.page(tx, wanted, page) if page.offset < total else []
    return TrackList(found, page.of(total))


async def list_by_ids(tx: Tx, ids: Sequence[UUID], actor: Actor = GUEST) -> list[TrackSummary]:
    """Of these tracks the ones that everybody sees and that are not hidden from ``actor``, in this order."""
    seen = (track for track in await store.list_listed(tx, ids) if track.user_id not in actor.hidden)
    found = {track.id: track for track in seen}
    return [found[track_id] for track_id in ids if track_id in found]


async def list_titles(tx: Tx, actor: Actor, ids: Sequence[UUID]) -> dict[UUID, str]:
    """The titles of those of these tracks that ``actor`` sees."""
    found = await store.list_titles(tx, ids)
    return {
        one.id: one.title
        for one in found
        if one.user_id not in actor.hidden and (one.listed or may(actor, Action.EDIT_TRACK, one))
    }


def genre_key(genre: str) -> str:
    """What a genre is compared by; empty for one without a letter, which no track has.

    Raises :class:`veza.core.errors.InvalidRequest` for what can be none.
    """
    try:
        return store.fold_genre(check_text(genre, max_chars=MAX_GENRE)) or ""
    except BadValue as bad:
        raise InvalidRequest(details=[Detail("genre", bad.message, bad.code)]) from None


def format_name(form: str) -> str:
    """The name of a format. Raises :class:`veza.core.errors.InvalidRequest` for an unknown one."""
    name = form.lower()
    if name not in FORMATS:
        raise InvalidRequest(details=[Detail("format", f"Must be one of: {', '.join(FORMATS)}.", "INVALID")])
    return name


def _shown(text: str | None) -> str | None:
    """None for what shows nothing, so that there is one way of having none."""
    return None if text is None or is_blank(text) else text


async def update_track(tx: Tx, track: Track, changes: TrackChanges) -> Track:
    """Change what is said about a track that :func:`hold` gave.

    Raises :class:`TrackNotReady` for publishing too early.
    """
    given = {
        name: _shown(value) if name in _MAY_LACK else value
        for name, value in msgspec.structs.asdict(changes).items()
        if value is not msgspec.UNSET
    }
    if given.get("is_public") and track.status != "ready":
        raise TrackNotReady
    if not given:
        return track
    if "tags" in given:
        given["tags"] = distinct(changes.tags or ())
    changed = await store.change(tx, track, given)
    tx.emit(TrackUpdated(track.id, track.user_id))
    if changed.listed and not track.listed:
        tx.emit(TrackPublished(track.id, track.user_id))
    return changed


async def delete_track(tx: Tx, track: Track) -> None:
    """Delete a track that :func:`hold_to_delete` gave, for good; its files follow once that is certain."""
    if track.status != "failed":  # a failed one has given its bytes back already
        await quota.release(tx, track.user_id, track.file_size)
    await store.delete(tx, track)
    await enqueue(tx, REMOVE_FILES, RemoveFiles(track.id))
    tx.emit(TrackDeleted(track.id, track.user_id))


async def may_download(tx: Tx, actor: Actor, track: Track) -> bool:
    """Whether ``actor``, who sees the track, may have it as it was uploaded or without loss.

    What is for sale is its owner's and its buyers' alone.
    """
    if not track.for_sale and (track.downloadable or may(actor, Action.EDIT_TRACK, track)):
        return True
    return actor.is_system or actor.id == track.user_id or await sales.is_buyer(tx, actor, track)


async def require_download(tx: Tx, actor: Actor, track: Track) -> None:
    """Raise :class:`PurchaseRequired` or :class:`DownloadNotAllowed` unless ``actor`` may."""
    if not await may_download(tx, actor, track):
        raise PurchaseRequired if track.for_sale else DownloadNotAllowed


async def delete_tracks(begin: Begin, actor: Actor, track_ids: Sequence[UUID]) -> BatchResult:
    """Delete tracks, each in a transaction of its own: whole or not at all, whatever becomes of the others.

    What is named twice is deleted once.
    """
    deleted: list[UUID] = []
    failed: dict[UUID, str] = {}
    for track_id in dict.fromkeys(track_ids):
        try:
            async with begin() as tx:
                await delete_track(tx, await hold_to_delete(tx, actor, track_id))
        except VezaError as error:
            failed[track_id] = error.code
        else:
            deleted.append(track_id)
    return BatchResult(deleted, failed)


async def find_download(tx: Tx, actor: Actor, track_id: UUID) -> tuple[Track, str, str]:
    """A track whose original ``actor`` may have, the key of its bytes, and the name to save it under."""
    track = await get_visible(tx, actor, track_id)
    await require_download(tx, actor, track)
    if track.status == "failed":
        raise TrackNotReady("The file of this track could not be used and was not kept.")
    return track, original_key(track.id), f"{track.artist} - {track.title}.{track.format}"


async def find_stream(tx: Tx, actor: Actor, track_id: UUID, quality: str) -> tuple[Track, RenditionFile]:
    """A track that ``actor`` may hear, and the rendition of this quality; while there is none, the original.

    Without loss it is heard by whoever may download it; what is for sale only by whoever has signed in.
    Raises TrackNotFound, DownloadNotAllowed, TrackNotReady, RenditionNotFound, Unauthenticated.
    """
    if quality == "original":
        track, key, _ = await find_download(tx, actor, track_id)
        return track, RenditionFile(quality, key, FORMATS[track.format].mime, track.file_size)
    track = await get_visible(tx, actor, track_id)
    sales.require_hearing(actor, track)
    if quality == "lossless":
        await require_download(tx, actor, track)
    if track.status != "ready":
        raise TrackNotReady.at(track.status)
    found = await store.rendition(tx, track_id, QUALITIES[quality])
    if found is None and await store.rendition_keys(tx, track_id):
        raise RenditionNotFound
    return track, found or await _playable_original(tx, actor, track)


async def _playable_original(tx: Tx, actor: Actor, track: Track) -> RenditionFile:
    """The bytes of a track that was imported and waits for its renditions, where players can play them."""
    playable = track.format in PLAYED and track.audio.codec != "alac"
    if not playable or not await may_download(tx, actor, track):
        raise TrackNotReady.at(track.status)
    return RenditionFile("original", original_key(track.id), FORMATS[track.format].mime, track.file_size)


async def remove_user_tracks(tx: Tx, user_id: UUID) -> None:
    """Somebody's tracks go with their account."""
    for track in await store.delete_of(tx, user_id):
        await enqueue(tx, REMOVE_FILES, RemoveFiles(track.id))
        tx.emit(TrackDeleted(track.id, user_id))


async def count_all(tx: Tx) -> int:
    """How many tracks there are, listed or not."""
    return await store.count_all(tx)
