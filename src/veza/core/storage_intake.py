"""A file on its way in: a thread writes and hashes one batch while the event loop receives the next."""

import asyncio
import hashlib
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Lock

from veza.core.errors import PayloadTooLarge
from veza.core.ids import new_id
from veza.core.storage_base import translated

BATCH = 1024 * 1024
# The most that may be fed between two looks at `full`.
PIECE = 256 * 1024
_ROOM = BATCH + 2 * PIECE
# What a file has at first. The room for a batch takes a millisecond to clear: if a hundred who say nothing
# come at once, everybody else would wait for each of them.
_LITTLE = 16 * 1024

_pool = ThreadPoolExecutor(4, thread_name_prefix="veza-intake")


class FileTooLarge(PayloadTooLarge):
    """The file is larger than may be uploaded here."""

    code = "FILE_TOO_LARGE"


class Intake:
    """A new file in ``folder`` that takes at most ``limit`` bytes; its memory is two batches at most.

    ``digests`` are names of :mod:`hashlib`. Whoever makes one either finishes or discards it.
    """

    def __init__(self, folder: Path, limit: int, digests: Sequence[str]) -> None:
        self.path = folder / f"intake-{new_id().hex}"
        self.size = 0
        self._limit = limit
        self._hashes = [hashlib.new(name, usedforsecurity=False) for name in digests]
        self._filling, self._writing = memoryview(bytearray()), memoryview(bytearray())
        self._filled = 0
        self._file = -1
        self._begun = False
        self._at = 0
        self._job: asyncio.Future[None] | None = None
        self._lock = Lock()
        self._over = False

    @property
    def full(self) -> bool:
        """Whether it is time to :meth:`flush`."""
        return self._filled >= BATCH

    def feed(self, data: bytes, start: int, end: int) -> None:
        """Take a slice of at most :data:`PIECE` bytes. Raises :class:`FileTooLarge` at once."""
        count = end - start
        self.size += count
        if self.size > self._limit:
            raise FileTooLarge(f"The file has more than {self._limit} bytes.")
        filled = self._filled
        self._filled = after = filled + count
        if after > len(self._filling):
            self._make_room(after)
        # One copy, for which memory stays bounded however small the pieces are.
        self._filling[filled:after] = data if count == len(data) else memoryview(data)[start:end]

    def _make_room(self, wanted: int) -> None:
        little = _ROOM if self._begun else max(4 * len(self._filling), _LITTLE)
        room = memoryview(bytearray(min(max(little, wanted), _ROOM)))
        room[: len(self._filling)] = self._filling
        self._filling = room

    async def flush(self) -> None:
        """Hand over what was fed, as soon as the batch before it is written.

        Raises :class:`InsufficientStorage` or :class:`Unavailable` for that one.
        """
        await self._written()
        if not self._begun:
            self._begun = True
            await self._begin()
        count, self._filled = self._filled, 0
        self._filling, self._writing = self._writing, self._filling
        self._job = asyncio.get_running_loop().run_in_executor(_pool, self._write, self._writing[:count])

    async def finish(self) -> list[str]:
        """Write the rest; return the digests in hexadecimal. The file is whole, but not yet durable."""
        await self.flush()
        await self._written()
        self._close()
        # A caller may hold on to this for as long as a disk takes to sync.
        self._filling = self._writing = memoryview(bytearray())
        return [digest.hexdigest() for digest in self._hashes]

    async def discard(self) -> None:
        """Remove the file. It goes even if the task is cancelled meanwhile."""
        await asyncio.wait([asyncio.get_running_loop().run_in_executor(_pool, self._discard)])

    async def _begin(self) -> None:
        """Decide where the file goes, before anything of it is written: here it is a file of its own."""

    async def _written(self) -> None:
        job, self._job = self._job, None
        if job is not None:
            with translated():
                await job

    def _write(self, batch: memoryview) -> None:
        with self._lock:
            if self._over:  # another thread was quicker to remove the file than this one to begin
                return
            if self._file < 0:
                flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
                self._file = os.open(self.path, flags, 0o600)
            for digest in self._hashes:
                digest.update(batch)
            done = 0
            while done < len(batch):
                done += os.pwrite(self._file, batch[done:], self._at + done)
            # Begins to write the batch out now, while more comes in; the fsync at the end finds little left.
            if hasattr(os, "posix_fadvise"):
                os.posix_fadvise(self._file, self._at, len(batch), os.POSIX_FADV_DONTNEED)
            self._at += len(batch)

    def _discard(self) -> None:
        with self._lock:  # behind a write that is still going on
            self._over = True
            self._close()
            self.path.unlink(missing_ok=True)

    def _close(self) -> None:
        if self._file >= 0:
            os.close(self._file)
            self._file = -1
