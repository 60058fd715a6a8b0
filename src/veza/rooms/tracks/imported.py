"""A file that was imported becomes a track: ready with what its headers say, and processed later."""

import os
from collections.abc import Sequence
from pathlib import Path
from uuid import UUID

import msgspec

from veza.core import clock
from veza.core.db import Tx
from veza.core.jobs import enqueue
from veza.core.multipart import clean_filename
from veza.media import Headers, Sniffed, clean_text
from veza.rooms.accounts import quota
from veza.rooms.tracks import library_store, store
from veza.rooms.tracks.events import TrackProcessed, TrackUploaded
from veza.rooms.tracks.jobs import PROCESS_IMPORTED, ProcessTrack
from veza.rooms.tracks.schemas import MAX_GENRE, MAX_NAME, Audio, Track
from veza.rooms.tracks.store import NewTrack

# Whose headers are no help: there are none, and what is read as one is a frame of sound.
_WITHOUT_HEADERS = {"aac"}


class Owner(msgspec.Struct, frozen=True):
    """Whose library it is."""

    id: UUID
    username: str


class Imported(msgspec.Struct, frozen=True):
    """A file that is in the storage under the id of its track; sizes in bytes.

    ``picture`` is where the cover of its album is that lay beside it.
    """

    track_id: UUID
    path: Path
    mark: str
    size: int
    sha256: str
    sniffed: Sniffed
    headers: Headers
    picture: Path | None = None


async def add_imported(tx: Tx, owner: Owner, files: Sequence[Imported], *, public: bool) -> list[Imported]:
    """Make tracks of these files; those of them that are new.

    What somebody else has added meanwhile is not added again. The bytes count to the owner's quota, which
    does not limit what an operator does.
    """
    # The owner's row first: so two imports into one library take turns, and each sees what the other did.
    await quota.add(tx, owner.id, sum(file.size for file in files))
    there = await library_store.same_content(tx, owner.id, [file.sha256 for file in files])
    if known := sum(file.size for file in files if file.sha256 in there):
        await quota.release(tx, owner.id, known)
    new = [file for file in files if file.sha256 not in there]
    tracks = [_track_of(file, owner, public=public) for file in new]
    await store.add_many(
        tx, [NewTrack(track, file.sha256, _name_of(file)) for track, file in zip(tracks, new, strict=True)]
    )
    for track, file in zip(tracks, new, strict=True):
        await _follow(tx, track, file.picture)
    marks = {file.mark: there.get(file.sha256, file.track_id) for file in files}
    await library_store.remember(tx, owner.id, marks)
    return new


async def _follow(tx: Tx, track: Track, picture: Path | None) -> None:
    """What is to be done with a new track, and who is told."""
    ready = track.status == "ready"
    where = None if picture is None else str(picture)
    work = ProcessTrack(track.id, track.title, track.artist, imported=ready, picture=where)
    await enqueue(tx, PROCESS_IMPORTED, work)
    tx.emit(TrackUploaded(track.id, track.user_id))
    if ready:
        tx.emit(TrackProcessed(track.id, track.user_id, imported=True))


def _name_of(file: Imported) -> str:
    """What the file is called, as of an upload; a name may be any bytes, and a database takes only text."""
    return clean_filename(os.fsencode(file.path.name).decode("utf-8", "replace"))


def _track_of(file: Imported, owner: Owner, *, public: bool) -> Track:
    tags, form, now = file.headers.tags, file.sniffed.format.name, clock.now()
    duration = None if form in _WITHOUT_HEADERS else file.headers.duration
    artist = tags.artist or tags.album_artist or owner.username
    return Track(
        id=file.track_id,
        user_id=owner.id,
        title=(tags.title or clean_text(file.path.stem) or "Untitled")[:MAX_NAME],
        artist=artist[:MAX_NAME],
        album=tags.album[:MAX_NAME] if tags.album else None,
        genre=tags.genre[:MAX_GENRE].strip() if tags.genre else None,
        year=tags.year,
        duration=round(duration or 0.0, 3),
        format=form,
        file_size=file.size,
        audio=_audio_of(file, duration) if duration else Audio(),
        is_public=public,
        downloadable=True,
        status="ready" if duration else "processing",
        progress=100 if duration else 0,
        error=None,
        has_cover=False,
        like_count=0,
        play_count=0,
        comment_count=0,
        created_at=now,
        updated_at=now,
    )


def _audio_of(file: Imported, duration: float) -> Audio:
    form, headers = file.sniffed.format.name, file.headers
    # In this one format the depth tells which of two codecs it is, and players know only one of them.
    codec = ("alac" if headers.bit_depth else "aac") if form == "m4a" else ""
    return Audio(
        codec=codec,
        sample_rate=headers.sample_rate,
        channels=headers.channels,
        bit_depth=headers.bit_depth,
        bitrate=round((file.size - file.sniffed.audio_offset) * 8 / duration),
    )
