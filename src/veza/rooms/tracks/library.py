"""Taking in a whole folder of music, as its operator asks: many files to a transaction, and none twice.

A batch of files is copied to scratch, looked at there and its headers are read in the sandbox; then all are
made durable by one sync, and only then their rows are written. So a row never names a file that a power cut
could take, and an import that is cut short has taken whole batches. Meanwhile the next batch is prepared.

A file is known again by its mark, without being read, or else by its content. Tracks are ready, and listed,
with what their headers say; renditions, true length, loudness, peaks and cover follow in the backlog.
"""

import asyncio
import hashlib
import os
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable, Iterator, Sequence
from contextlib import aclosing, asynccontextmanager, suppress
from pathlib import Path
from uuid import UUID

import msgspec

from veza.core.db import Database, Tx
from veza.core.errors import NO_ROOM, DatabaseBusy, VezaError
from veza.core.ids import new_id
from veza.core.multipart import FileTooLarge
from veza.core.storage import Storage
from veza.core.storage_base import translated
from veza.core.storage_bulk import copy_in
from veza.media import Headers, MediaLimits, Sniffed, UnsupportedAudio, read_headers
from veza.media.sniff import sniff_file
from veza.rooms.tracks import library_store
from veza.rooms.tracks.folder import Found, picture_in
from veza.rooms.tracks.imported import Imported, Owner, add_imported
from veza.rooms.tracks.jobs import original_key

BATCH_FILES = 128
BATCH_BYTES = 128 << 20
# A server beside us may keep the database for a while; each try waits five seconds itself.
_TRIES = 12


class Taken(msgspec.Struct, frozen=True):
    """A file that is audio, with its size in bytes, and its copy in scratch, where one was made."""

    found: Found
    copy: Path | None
    size: int
    sha256: str
    sniffed: Sniffed


class Report(msgspec.Struct):
    """What an import has done so far: files and bytes; why files were passed over; which were refused."""

    added: int = 0
    added_bytes: int = 0
    looked_at: int = 0
    looked_at_bytes: int = 0
    skipped: Counter[str] = msgspec.field(default_factory=Counter)
    refused: list[tuple[Path, str]] = msgspec.field(default_factory=list)


class Rules(msgspec.Struct, frozen=True):
    """How to import: ``max_file_size`` in bytes; with ``dry`` nothing is kept, but counted as if."""

    max_file_size: int
    public: bool = True
    dry: bool = False


class _Batch(msgspec.Struct):
    """Files that were looked at: the new ones with their headers, and the marks of what is there already."""

    files: Sequence[Found]
    new: list[Taken] = msgspec.field(default_factory=list)
    headers: list[Headers] = msgspec.field(default_factory=list)
    there: dict[str, UUID] = msgspec.field(default_factory=dict)


class Library:
    """Takes files into one user's library."""

    def __init__(
        self,
        database: Database,
        storage: Storage,
        owner: Owner,
        rules: Rules,
        limits: MediaLimits | None = None,
    ) -> None:
        self._database = database
        self._storage = storage
        self._owner = owner
        self._rules = rules
        self._limits = limits or MediaLimits()
        self._adding: dict[str, UUID] = {}
        self._folder: Path | None = None
        self._picture: Path | None = None
        self.report = Report()

    async def take(
        self,
        files: Iterable[Found],
        *,
        stop: asyncio.Event | None = None,
        tell: Callable[[], None] = lambda: None,
    ) -> Report:
        """Import these files; once ``stop`` is set no batch is begun. ``tell`` is called after each.

        Raises what the storage, the database and the sandbox may raise; what was done until then stays.
        """
        async with aclosing(self._prepared(_batches(files), stop or asyncio.Event())) as prepared:
            async for batch in prepared:
                await self._keep(batch)
                self.report.looked_at += len(batch.files)
                self.report.looked_at_bytes += sum(found.size for found in batch.files)
                tell()
        return self.report

    async def _prepared(
        self, batches: Iterator[Sequence[Found]], stop: asyncio.Event
    ) -> AsyncGenerator[_Batch, None]:
        """Each batch, prepared while the one before it is kept."""
        ahead: asyncio.Task[_Batch] | None = None
        try:
            while True:
                batch = await ahead if ahead else None
                ahead = None
                files = () if stop.is_set() else next(batches, ())
                if files:
                    ahead = asyncio.create_task(self._prepare(files))
                if batch is not None:
                    yield batch
                elif ahead is None:
                    return
        finally:
            if ahead is not None:
                await asyncio.wait([ahead])
                if not ahead.cancelled() and ahead.exception() is None:
                    await asyncio.to_thread(_discard, ahead.result().new)

    async def _prepare(self, files: Sequence[Found]) -> _Batch:
        batch = _Batch(files)
        async with self._database.read() as view:
            known = await library_store.marks(view, self._owner.id, [found.mark for found in files])
        self.report.skipped["imported before"] += len(known)
        fresh = [found for found in files if found.mark not in known]
        with translated(place=str(self._storage.scratch)):
            await asyncio.to_thread(self._look_at, fresh, batch.new)
        try:
            await self._drop_same(batch)
            copies = [taken.copy for taken in batch.new if taken.copy]
            batch.headers = await read_headers(copies, self._limits)
        except BaseException:
            _discard(batch.new)
            raise
        return batch

    def _look_at(self, files: Sequence[Found], taken: list[Taken]) -> None:
        """Copy what is audio, and say of everything else what it is; in a thread. Raises OSError."""
        try:
            for found in files:
                try:
                    taken.append(self._look_at_one(found))
                except VezaError as error:
                    self._refuse(found, error)
                except OSError as error:
                    if error.errno in NO_ROOM:
                        raise
                    self.report.refused.append((found.path, error.strerror or str(error)))
        except BaseException:
            _discard(taken)
            raise

    def _look_at_one(self, found: Found) -> Taken:
        # Without blocking: what was a file a moment ago may be a pipe now.
        source = os.open(found.path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        with os.fdopen(source, "rb", buffering=0) as file:
            if os.fstat(source).st_size > self._rules.max_file_size:
                raise FileTooLarge(f"The file has more than {self._rules.max_file_size} bytes.")
            sniffed = sniff_file(file)
            if self._rules.dry:
                file.seek(0)
                return Taken(
                    found, None, found.size, hashlib.file_digest(file, "sha256").hexdigest(), sniffed
                )
            copy = self._storage.scratch / f"import-{new_id().hex}"
            size, sha256 = copy_in(source, copy)
            return Taken(found, copy, size, sha256, sniffed)

    def _refuse(self, found: Found, error: VezaError) -> None:
        if isinstance(error, UnsupportedAudio) and not found.should_be_music:
            self.report.skipped["no music"] += 1
        else:
            self.report.refused.append((found.path, error.message))

    async def _drop_same(self, batch: _Batch) -> None:
        """Leave only what is neither in the library nor about to be."""
        async with self._database.read() as view:
            digests = list({taken.sha256 for taken in batch.new})
            known = await library_store.same_content(view, self._owner.id, digests)
        new: list[Taken] = []
        for taken in batch.new:
            track_id = known.get(taken.sha256) or self._adding.get(taken.sha256)
            if track_id is None:
                self._adding[taken.sha256] = new_id()
                new.append(taken)
            else:
                batch.there[taken.found.mark] = track_id
        self.report.skipped["same content"] += len(batch.new) - len(new)
        kept = {taken.copy for taken in new}
        await asyncio.to_thread(_discard, [taken for taken in batch.new if taken.copy not in kept])
        batch.new = new

    async def _keep(self, batch: _Batch) -> None:
        """Store the new files for good, then write the rows."""
        if not self._rules.dry and (batch.new or batch.there):
            files = [
                Imported(
                    self._adding[taken.sha256], taken.found.path, taken.found.mark, taken.size, taken.sha256,
                    taken.sniffed, headers, self._picture_in(taken.found.path.parent),
                )
                for taken, headers in zip(batch.new, batch.headers, strict=True)
            ]  # fmt: skip
            copies = [taken.copy for taken in batch.new if taken.copy]
            keys = [original_key(file.track_id) for file in files]
            async with self._cleared(keys) as named:
                await self._storage.put_files(list(zip(keys, copies, strict=True)))
                added = {file.track_id for file in await self._write(files, batch.there, named)}
            gone = [key for key, file in zip(keys, files, strict=True) if file.track_id not in added]
            self.report.skipped["same content"] += len(gone)
            await self._storage.delete_many(gone)
            batch.new = [taken for taken in batch.new if self._adding[taken.sha256] in added]
            for file in files:  # in the database now, and found there
                del self._adding[file.sha256]
        self.report.added += len(batch.new)
        self.report.added_bytes += sum(taken.size for taken in batch.new)

    def _picture_in(self, folder: Path) -> Path | None:
        """What lies beside the songs of a folder; it is asked once, for they come one after the other."""
        if folder != self._folder:
            self._folder, self._picture = folder, picture_in(folder)
        return self._picture

    @asynccontextmanager
    async def _cleared(self, keys: Sequence[str]) -> AsyncIterator[asyncio.Event]:
        """Remove what is stored under these when the block fails. If a row may name it, the sweep decides.

        Whoever is about to commit such rows sets what the block is given.
        """
        named = asyncio.Event()
        try:
            yield named
        except Exception:
            if not named.is_set():
                with suppress(VezaError):
                    await self._storage.delete_many(keys)
            raise

    async def _write(
        self, files: Sequence[Imported], there: dict[str, UUID], named: asyncio.Event
    ) -> list[Imported]:
        """One transaction; whether its rows may be there is ``named``."""
        for left in reversed(range(_TRIES)):
            try:
                async with self._database.write() as tx:
                    new = await add_imported(tx, self._owner, files, public=self._rules.public)
                    await library_store.remember(tx, self._owner.id, there)
                    named.set()
            except DatabaseBusy:
                named.clear()  # it was not its turn
                if not left:
                    raise
            else:
                break
        return new


async def anybody_has_tracks(tx: Tx) -> bool:
    """Whether there is any track."""
    return await library_store.find_any(tx) is not None


def _batches(files: Iterable[Found]) -> Iterator[Sequence[Found]]:
    batch: list[Found] = []
    size = 0
    for found in files:
        if batch and (len(batch) >= BATCH_FILES or size + found.size > BATCH_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(found)
        size += found.size
    if batch:
        yield batch


def _discard(taken: Iterable[Taken]) -> None:
    for one in taken:
        if one.copy is not None:
            one.copy.unlink(missing_ok=True)
