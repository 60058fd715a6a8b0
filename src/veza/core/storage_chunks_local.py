"""Chunks in a folder of this machine: each is written to its place in the one file that they are to become.

``.chunks/<upload>/whole`` is that file. A chunk whose place is taken, by one that is there already or is just
being written, and one whose place is not known yet, lies beside it under its id, and is brought over in the
end.
"""

import asyncio
import os
import shutil
from collections import OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

from veza.core.ids import new_id
from veza.core.storage_base import translated
from veza.core.storage_chunks import Assembled, Chunk, ChunkIntake, ChunkStore, Slot
from veza.core.storage_files import make_durably, move_durably
from veza.core.storage_hashing import Hashing, pieces
from veza.core.storage_local import LocalStorage
from veza.core.storage_ranges import lock_range

_WHOLE = "whole"
_BUFFER = 1024 * 1024
# Uploads that are hashed ahead at a time; what is forgotten is only hashed later.
_MOST_HASHED = 256


class LocalChunks(ChunkStore):
    """Chunks beside the files of a :class:`LocalStorage`."""

    def __init__(self, storage: LocalStorage) -> None:
        super().__init__(storage.scratch)
        self._top = storage.folder
        self.folder = storage.folder / ".chunks"
        self._hashing: OrderedDict[UUID, Hashing] = OrderedDict()

    def _folder(self, upload_id: UUID) -> Path:
        return self.folder / str(upload_id)

    async def prepare(self, upload_id: UUID, size: int) -> None:
        """Make the file, all of it a hole."""
        with translated():
            await asyncio.to_thread(make_durably, self._folder(upload_id) / _WHOLE, self._top, size)

    async def find_slot(
        self, upload_id: UUID, start: int, size: int, is_free: Callable[[], Awaitable[bool]]
    ) -> Slot | None:
        """A range of the file, locked."""
        with suppress(FileNotFoundError):
            file = os.open(self._folder(upload_id) / _WHOLE, os.O_RDWR | os.O_CLOEXEC)
            try:
                if lock_range(file, start, size) and await is_free():
                    file, kept = -1, file
                    return Slot(kept, start, size)
            finally:
                if file >= 0:
                    os.close(file)
        return None

    async def keep(self, upload_id: UUID, number: int, intake: ChunkIntake) -> Chunk:
        """Sync the file, or the one beside it and its name."""
        chunk = Chunk(number, new_id(), intake.size, intake.slot is not None)
        with translated():
            if intake.slot is not None:
                await asyncio.to_thread(os.fdatasync, intake.slot.file)
            else:
                target = self._folder(upload_id) / str(chunk.id)
                await asyncio.to_thread(move_durably, intake.path, target, self._top, self.scratch)
        return chunk

    def know(self, upload_id: UUID, chunk: Chunk) -> None:
        """Hash it in a thread when its turn has come."""
        self._hashing_of(upload_id).know(chunk)

    def _hashing_of(self, upload_id: UUID) -> Hashing:
        found = self._hashing.get(upload_id)
        if found is None:
            folder = self._folder(upload_id)
            found = self._hashing[upload_id] = Hashing(lambda chunk, at: _open(folder, chunk, at))
            if len(self._hashing) > _MOST_HASHED:
                self._hashing.popitem(last=False)
        self._hashing.move_to_end(upload_id)
        return found

    async def assemble(self, upload_id: UUID, chunks: Sequence[Chunk]) -> Assembled:
        """Bring over what lies beside, hash the rest, and give the file a second name: nothing is copied."""
        hashing = self._hashing_of(upload_id)
        path = self.scratch / f"intake-{new_id().hex}"
        with translated():
            try:
                await asyncio.to_thread(_put_together, self._folder(upload_id), chunks, path)
                md5, sha256 = await asyncio.to_thread(hashing.finish, chunks)
            except BaseException:
                path.unlink(missing_ok=True)
                raise
        return Assembled(path, md5, sha256)

    async def find_missing(self, upload_id: UUID, size: int, chunks: Sequence[Chunk]) -> list[Chunk]:
        """Look at the sizes of the files."""
        return await asyncio.to_thread(_find_missing, self._folder(upload_id), size, chunks)

    async def remove_chunk(self, upload_id: UUID, chunk: Chunk) -> None:
        """Remove its file; what lies in place stays there, where nobody looks at it."""
        if not chunk.in_place:
            with translated():
                await asyncio.to_thread((self._folder(upload_id) / str(chunk.id)).unlink, missing_ok=True)

    async def remove(self, upload_id: UUID) -> None:
        """Remove the folder."""
        self._hashing.pop(upload_id, None)
        with translated(), suppress(FileNotFoundError):
            await asyncio.to_thread(shutil.rmtree, self._folder(upload_id))

    async def list(self) -> AsyncIterator[tuple[UUID, datetime]]:
        """The folders."""
        for name, modified in await asyncio.to_thread(_list, self.folder):
            with suppress(ValueError):  # not ours
                yield UUID(name), modified


def _open(folder: Path, chunk: Chunk, at: int) -> tuple[int, int]:
    if chunk.in_place:
        return os.open(folder / _WHOLE, os.O_RDONLY | os.O_CLOEXEC), at
    return os.open(folder / str(chunk.id), os.O_RDONLY | os.O_CLOEXEC), 0


def _put_together(folder: Path, chunks: Sequence[Chunk], path: Path) -> None:
    """Let ``path`` be a file of all the chunks, the very one in which most of them lie if that can be."""
    whole = -1
    with suppress(FileNotFoundError):
        whole = os.open(folder / _WHOLE, os.O_RDWR | os.O_CLOEXEC)
    try:
        # Somebody may still be writing a chunk that another, quicker one has made useless: then it is theirs.
        if whole >= 0 and lock_range(whole):
            _copy(folder, chunks, whole, all_of_them=False)
            with suppress(OSError):  # a file system without second names
                os.link(folder / _WHOLE, path)
                return
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            _copy(folder, chunks, file, all_of_them=True)
        finally:
            os.close(file)
    finally:
        if whole >= 0:
            os.close(whole)


def _copy(folder: Path, chunks: Sequence[Chunk], target: int, *, all_of_them: bool) -> None:
    at, view = 0, memoryview(bytearray(_BUFFER))
    for chunk in chunks:
        if all_of_them or not chunk.in_place:
            source, start = _open(folder, chunk, at)
            try:
                done = at
                for piece in pieces(source, start, chunk.size, view):
                    written = 0
                    while written < len(piece):
                        written += os.pwrite(target, piece[written:], done + written)
                    done += written
            finally:
                os.close(source)
        at += chunk.size


def _find_missing(folder: Path, size: int, chunks: Sequence[Chunk]) -> list[Chunk]:
    sizes = {entry.name: entry.stat().st_size for entry in os.scandir(folder)} if folder.is_dir() else {}
    whole = sizes.get(_WHOLE) == size
    return [c for c in chunks if not (whole if c.in_place else sizes.get(str(c.id)) == c.size)]


def _list(folder: Path) -> list[tuple[str, datetime]]:
    found = []
    with suppress(FileNotFoundError):
        for entry in os.scandir(folder):
            with suppress(FileNotFoundError):  # its owner was quicker
                found.append((entry.name, datetime.fromtimestamp(entry.stat().st_mtime, UTC)))
    return found
