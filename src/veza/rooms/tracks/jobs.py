"""Processing a track, and removing the files of one that is gone."""

import asyncio
import hashlib
import shutil
from collections.abc import Sequence
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from uuid import UUID

import msgspec
import structlog

from veza.core import clock
from veza.core.db import Database, Tx
from veza.core.errors import VezaError
from veza.core.ids import new_id
from veza.core.installation import may_sweep
from veza.core.jobs import Job, JobKind, LeaseLost, NoPayload, enqueue, finish
from veza.core.storage import Storage
from veza.core.worker import Task
from veza.media import COVER_SIZES, MediaLimits, Processed, process
from veza.rooms.accounts import quota
from veza.rooms.accounts.errors import UserNotFound
from veza.rooms.tracks import files_store, sales_store, store
from veza.rooms.tracks.early import Publisher
from veza.rooms.tracks.events import TrackFailed, TrackProcessed, TrackPublished, TrackUpdated
from veza.rooms.tracks.folder import read_picture
from veza.rooms.tracks.progress import OnProgress
from veza.rooms.tracks.schemas import MAX_GENRE, MAX_NAME, Audio, Track

log = structlog.get_logger()

ORPHAN_AGE = timedelta(hours=24)
# Whoever was told where an early piece is has read it by then.
EARLY_LINGERS = timedelta(minutes=1)


class ProcessTrack(msgspec.Struct, frozen=True):
    """Which track; and its title and artist at the upload, which tags may replace if nobody else did.

    One that was ``imported`` is ready already: its tags were read before. ``picture`` is where the cover
    of its album lay then, on the operator's machine.
    """

    track_id: UUID
    title: str
    artist: str
    title_given: bool = False
    artist_given: bool = False
    imported: bool = False
    picture: str | None = None

    def awaits(self, track: Track) -> bool:
        """Whether the track still waits for this."""
        return track.status == "processing" or (self.imported and track.status == "ready")


class RemoveFiles(msgspec.Struct, frozen=True):
    """Whose files."""

    track_id: UUID


class RemoveCover(msgspec.Struct, frozen=True):
    """Whose cover, and where it lay if it was uploaded."""

    track_id: UUID
    folder: str | None


PROCESS = JobKind(
    "tracks.process", ProcessTrack, lane="media", lease=timedelta(seconds=60), attempts=3, outlasts=True
)
# The same for what came in bulk, when nobody waits for anything else.
PROCESS_IMPORTED = JobKind(
    "tracks.process_imported",
    ProcessTrack,
    lane="backlog",
    lease=timedelta(seconds=60),
    attempts=3,
    outlasts=True,
)
REMOVE_FILES = JobKind("tracks.remove_files", RemoveFiles)
REMOVE_EARLY = JobKind("tracks.remove_early", RemoveFiles)
REMOVE_COVER = JobKind("tracks.remove_cover", RemoveCover)
SWEEP = JobKind("tracks.sweep", NoPayload, every=timedelta(hours=6))


def folder_of(track_id: UUID) -> str:
    """The prefix of all keys of a track."""
    return f"tracks/{track_id}"


def original_key(track_id: UUID) -> str:
    """The key of the uploaded bytes."""
    return f"{folder_of(track_id)}/original"


def peaks_key(track_id: UUID) -> str:
    """The key of the drawing of a track's loudness over time."""
    return f"{folder_of(track_id)}/peaks.dat"


def early_folder(track_id: UUID) -> str:
    """The prefix of the keys of what can be heard before a track is ready."""
    return f"{folder_of(track_id)}/early"


def cover_key(track_id: UUID, size: int) -> str:
    """The key of the cover that came in the tags of a track, ``size`` pixels wide."""
    return f"{folder_of(track_id)}/cover-{size}.jpg"


class TrackJobs:
    """The jobs of this room, with what they work on."""

    def __init__(self, database: Database, storage: Storage, limits: MediaLimits) -> None:
        self._database = database
        self._storage = storage
        self._limits = limits
        self._leaping = asyncio.Lock()
        self._mark = new_id().hex

    def tasks(self) -> Sequence[Task]:
        """What the worker is to know."""
        return [
            Task(PROCESS, self.process, dead=give_up),
            Task(PROCESS_IMPORTED, self.process, dead=give_up),
            Task(REMOVE_FILES, self.remove_files),
            Task(REMOVE_EARLY, self.remove_early),
            Task(REMOVE_COVER, self.remove_cover),
            Task(SWEEP, self.sweep),
        ]

    async def process(self, job: Job, what: ProcessTrack) -> None:
        """Decode, measure, encode; then say so in one transaction. What is no music fails for good."""
        track = await self._find(what.track_id)
        if track is None:
            # Deleted meanwhile; an attempt that died may have left files after the others were removed.
            await self._remove_all(what.track_id)
        if track is None or not what.awaits(track):
            return
        workdir = self._storage.scratch / f"process-{new_id().hex}"
        workdir.mkdir()
        try:
            await self._process(job, what, workdir)
        except Exception as error:
            if isinstance(error, LeaseLost) or await self._find(what.track_id) is not None:
                raise
            # Deleted meanwhile, perhaps its original, too: whatever went wrong is of that.
            await self._remove_all(what.track_id)
            log.info("track.gone", track_id=str(what.track_id))
        finally:
            shutil.rmtree(workdir, ignore_errors=True)

    async def _process(self, job: Job, what: ProcessTrack, workdir: Path) -> None:
        source = await self._storage.fetch_named(original_key(what.track_id), workdir / "original")
        out = workdir / "out"
        out.mkdir()
        tell = OnProgress(self._database, what.track_id)
        early = early_folder(what.track_id)
        await self._remove_unheard(what.track_id, early)
        picture = None
        if what.picture:
            most = self._limits.max_cover_bytes
            picture = await asyncio.to_thread(read_picture, Path(what.picture), most)
        publish = Publisher(self._database, self._storage, what.track_id, early, job.attempt, self._leaping)
        try:
            done = await process(
                source, out, on_progress=tell, on_grown=publish, limits=self._limits, picture=picture
            )
        except VezaError as error:
            if error.status >= 500:  # noqa: PLR2004 - ours, and worth another try
                raise
            await self._refuse(job, what, error)
            return
        sha256 = await asyncio.to_thread(_sha256, source)
        # A worker that was thought dead cannot spoil another's files: each attempt of a process has a folder
        # of its own. Those that do not count share it, one after the other, so a day of them leaves no more.
        folder = f"{folder_of(what.track_id)}/{job.attempt}-{self._mark}"
        rows = await self._store(what.track_id, folder, done)
        try:
            await self._keep(job, what, done, rows, sha256)
        except LeaseLost:
            await self._storage.delete_prefix(folder)
            await self.remove_files(job, RemoveFiles(what.track_id))
            raise

    async def _find(self, track_id: UUID) -> Track | None:
        async with self._database.read() as view:
            return await store.find(view, track_id)

    async def _remove_unheard(self, track_id: UUID, early: str) -> None:
        """Remove what earlier tries left in this folder and nobody is told of; a day of them is thousands."""
        if keys := {entry.key async for entry in self._storage.list(early)}:
            async with self._database.read() as view:
                heard = await files_store.early_keys(view, track_id)
            await self._storage.delete_many(sorted(keys - heard))

    async def _store(self, track_id: UUID, folder: str, done: Processed) -> list[dict[str, object]]:
        rows: list[dict[str, object]] = []
        for rendition in done.renditions:
            stored = await self._storage.put_file(f"{folder}/{rendition.name}", rendition.path)
            rows.append(
                {"name": rendition.name, "key": stored.key, "mime": rendition.mime, "codec": rendition.codec,
                 "bitrate": rendition.bitrate, "size": stored.size, "layout": rendition.layout}
            )  # fmt: skip
        await self._storage.put_file(peaks_key(track_id), done.peaks)
        for size, path in done.covers.items():
            await self._storage.put_file(cover_key(track_id, size), path)
        return rows

    async def _keep(
        self, job: Job, what: ProcessTrack, done: Processed, rows: Sequence[dict[str, object]], sha256: str
    ) -> None:
        async with self._database.write() as tx:
            await finish(tx, job)
            track = await store.lock(tx, what.track_id)
            if track is None:
                await enqueue(tx, REMOVE_FILES, RemoveFiles(what.track_id))
                return
            await store.set_renditions(tx, track.id, rows)
            if await files_store.drop_early(tx, track.id):
                await enqueue(tx, REMOVE_EARLY, RemoveFiles(track.id), delay=EARLY_LINGERS)
            changed = await store.change(tx, track, _learned(track, what, done), sha256=sha256)
            if track.status == "ready":  # imported, and heard since then
                tx.emit(TrackUpdated(track.id, track.user_id))
                return
            # In bulk: nobody is told of a library song by song.
            imported = job.kind == PROCESS_IMPORTED.name
            tx.emit(TrackProcessed(track.id, track.user_id, imported=imported))
            if changed.listed and not imported:
                tx.emit(TrackPublished(track.id, track.user_id))

    async def _refuse(self, job: Job, what: ProcessTrack, error: VezaError) -> None:
        log.info("track.refused", track_id=str(what.track_id), code=error.code)
        async with self._database.write() as tx:
            await finish(tx, job)
            await _fail(tx, what, f"{error.code}: {error.message}")

    async def remove_files(self, job: Job, what: RemoveFiles) -> None:
        """Remove every file of a track, unless there is one after all."""
        del job
        track = await self._find(what.track_id)
        if track is None or track.status == "failed":
            await self._remove_all(what.track_id)

    async def _remove_all(self, track_id: UUID) -> None:
        """Remove every file of a track, but for an original that was sold, and its cover."""
        await self._remove(track_id, folder_of(track_id))

    async def _remove(self, track_id: UUID, folder: str) -> None:
        """Remove what lies in this folder of a track, but for what was sold."""
        async with self._database.read() as view:
            kept = await _sold(view, track_id)
        keys = [entry.key async for entry in self._storage.list(folder)]
        if gone := [key for key in keys if key not in kept]:
            await self._storage.delete_many(gone)

    async def remove_early(self, job: Job, what: RemoveFiles) -> None:
        """Remove what was there to be heard before the track was ready."""
        del job
        await self._storage.delete_prefix(early_folder(what.track_id))

    async def remove_cover(self, job: Job, what: RemoveCover) -> None:
        """Remove the files of a cover that was replaced or taken off."""
        del job
        if what.folder is not None:
            await self._remove(what.track_id, what.folder)
        async with self._database.read() as view:
            track = await store.find(view, what.track_id)
            kept = await _sold(view, what.track_id)
        if track is not None and track.status == "ready" and not track.has_cover:
            from_tags = {cover_key(track.id, size) for size in COVER_SIZES}
            await self._storage.delete_many(sorted(from_tags - kept))

    async def sweep(self, job: Job, what: NoPayload) -> None:
        """Remove the files of uploads and of processing that were cut off between file and row."""
        del job, what
        if await may_sweep(self._database, self._storage):
            await sweep_files(self._database, self._storage, ORPHAN_AGE)


async def sweep_files(database: Database, storage: Storage, age: timedelta) -> None:
    """Remove every file that is at least so old and that no track names."""
    before = clock.now() - age
    last, named = "", set[str]()
    async for entry in storage.list("tracks"):
        if entry.modified > before:
            continue
        # Files of one track mostly come one after another, so only the last one's names are kept.
        if (folder := entry.key.split("/")[1]) != last:
            last, named = folder, await _named(database, folder)
        if entry.key not in named:
            await storage.delete(entry.key)


async def _named(database: Database, folder: str) -> set[str]:
    """The keys of all files that the track of this folder has or may come to have."""
    try:
        track_id = UUID(folder)
    except ValueError:
        return set()
    async with database.read() as view:
        track = await store.find(view, track_id)
        sold = await _sold(view, track_id)
        if track is None or track.status == "failed":
            return sold
        fixed = {original_key(track_id), peaks_key(track_id), *(cover_key(track_id, n) for n in COVER_SIZES)}
        cover = await files_store.cover_folder(view, track_id)
        fixed |= {f"{cover}/{size}.jpg" for size in COVER_SIZES if cover}
        # What waits for longer than a day for its renditions is heard by the pieces that there are.
        fixed |= await files_store.early_keys(view, track_id)
        return fixed | sold | set(await store.rendition_keys(view, track_id))


async def _sold(view: Tx, track_id: UUID) -> set[str]:
    """The keys of what stays of a track since it was sold: the original, and the cover of that time."""
    kept = await sales_store.list_some_kept(view, [original_key(track_id)])
    covers = {one.particulars.cover for one in kept if one.particulars and one.particulars.cover}
    return {one.key for one in kept} | covers


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _learned(track: Track, what: ProcessTrack, done: Processed) -> dict[str, object]:
    tags, loudness = done.tags, done.loudness
    changes: dict[str, object] = {
        "status": "ready",
        "progress": 100,
        "error": None,
        "duration": round(done.duration, 3),
        "has_cover": track.has_cover or bool(done.covers),  # one may have been uploaded meanwhile
        "audio": Audio(
            codec=done.codec,
            sample_rate=done.sample_rate,
            channels=done.channels,
            bit_depth=done.bit_depth,
            bitrate=done.bitrate,
            loudness=loudness.integrated,
            loudness_range=loudness.range,
            true_peak=loudness.true_peak,
            damaged=done.damaged,
        ),
    }
    if what.imported:
        return changes
    if tags.title and not what.title_given and track.title == what.title:
        changes["title"] = tags.title[:MAX_NAME]
    if tags.artist and not what.artist_given and track.artist == what.artist:
        changes["artist"] = tags.artist[:MAX_NAME]
    if tags.album and track.album is None:
        changes["album"] = tags.album[:MAX_NAME]
    if tags.genre and track.genre is None:
        changes["genre"] = tags.genre[:MAX_GENRE].strip()
    if tags.year and track.year is None:
        changes["year"] = tags.year
    return changes


async def give_up(tx: Tx, what: ProcessTrack) -> None:
    """A track whose processing keeps dying has failed."""
    await _fail(tx, what, "PROCESSING_FAILED: The file could not be processed.")


async def _fail(tx: Tx, what: ProcessTrack, error: str) -> None:
    found = await store.find(tx, what.track_id)
    if found is None:
        return
    with suppress(UserNotFound):  # gone meanwhile, and the track with them
        await quota.hold(tx, found.user_id)
    track = await store.lock(tx, what.track_id)
    if track is None:
        return
    await store.change(tx, track, {"status": "failed", "error": error})
    await files_store.drop_early(tx, track.id)
    await quota.release(tx, track.user_id, track.file_size)
    await enqueue(tx, REMOVE_FILES, RemoveFiles(track.id))
    tx.emit(TrackFailed(track.id, track.user_id, error))
