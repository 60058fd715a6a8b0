"""Chunks in any storage, each a file of its own: whichever process takes one in, every other finds it."""

import asyncio
import hashlib
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from uuid import UUID

from veza.core.errors import Unavailable
from veza.core.ids import new_id
from veza.core.storage_base import NoSuchFile, Storage, translated
from veza.core.storage_chunks import Assembled, Chunk, ChunkIntake, ChunkStore, Slot

_ROOT = "chunks"


class StoredChunks(ChunkStore):
    """Chunks as files of a :class:`Storage`."""

    def __init__(self, storage: Storage) -> None:
        super().__init__(storage.scratch)
        self._storage = storage

    async def prepare(self, upload_id: UUID, size: int) -> None:
        """Nothing is needed."""

    async def find_slot(
        self,
        upload_id: UUID,  # noqa: ARG002 - of the interface
        start: int,  # noqa: ARG002 - of the interface
        size: int,  # noqa: ARG002 - of the interface
        is_free: Callable[[], Awaitable[bool]],  # noqa: ARG002 - of the interface
    ) -> Slot | None:
        """None: every chunk is a file of its own."""
        return None

    async def keep(self, upload_id: UUID, number: int, intake: ChunkIntake) -> Chunk:
        """Put it into the storage."""
        chunk = Chunk(number, new_id(), intake.size, in_place=False)
        await self._storage.put_file(_key(upload_id, chunk), intake.path)
        return chunk

    async def assemble(self, upload_id: UUID, chunks: Sequence[Chunk]) -> Assembled:
        """Stream them one after the other into a local file, hashed on the way."""
        path = self.scratch / f"intake-{new_id().hex}"
        writer = _Writer(path)
        try:
            for chunk in chunks:
                async for piece in self._storage.open_range(_key(upload_id, chunk), 0, chunk.size):
                    with translated():
                        await asyncio.to_thread(writer.write, piece)
        except BaseException as error:
            path.unlink(missing_ok=True)
            if isinstance(error, NoSuchFile):
                raise Unavailable("A chunk of this upload cannot be found.") from error
            raise
        finally:
            os.close(writer.file)
        return Assembled(path, writer.md5.hexdigest(), writer.sha256.hexdigest())

    async def find_missing(
        self,
        upload_id: UUID,
        size: int,  # noqa: ARG002 - of the interface
        chunks: Sequence[Chunk],
    ) -> list[Chunk]:
        """List the files."""
        there = {entry.key: entry.size async for entry in self._storage.list(f"{_ROOT}/{upload_id}")}
        return [chunk for chunk in chunks if there.get(_key(upload_id, chunk)) != chunk.size]

    async def remove_chunk(self, upload_id: UUID, chunk: Chunk) -> None:
        """Remove its file."""
        await self._storage.delete(_key(upload_id, chunk))

    async def remove(self, upload_id: UUID) -> None:
        """Remove all files."""
        await self._storage.delete_prefix(f"{_ROOT}/{upload_id}")

    async def list(self) -> AsyncIterator[tuple[UUID, datetime]]:
        """By every file, so an upload may be listed more than once."""
        async for entry in self._storage.list(_ROOT):
            with suppress(ValueError, IndexError):  # not ours
                yield UUID(entry.key.split("/")[1]), entry.modified


class _Writer:
    def __init__(self, path: Path) -> None:
        self.file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        self.md5 = hashlib.md5(usedforsecurity=False)
        self.sha256 = hashlib.sha256()

    def write(self, piece: bytes) -> None:
        """Write and hash what comes next."""
        self.md5.update(piece)
        self.sha256.update(piece)
        done = 0
        while done < len(piece):
            done += os.write(self.file, memoryview(piece)[done:])


def _key(upload_id: UUID, chunk: Chunk) -> str:
    return f"{_ROOT}/{upload_id}/{chunk.id}"
