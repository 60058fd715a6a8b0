"""Files that come in chunks: where the chunks lie until all are there, and how they become one file.

A chunk exists once a row names it, and a row is written only after its chunk is durable: so a chunk that was
cut off was never there, and one that was acknowledged stays. A chunk that comes again never touches the one
before it: it lies elsewhere until the row points to it.
"""

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from datetime import datetime
from pathlib import Path
from uuid import UUID

import msgspec

from veza.core.errors import ValidationFailed
from veza.core.storage_intake import Intake


class ChunkSizeMismatch(ValidationFailed):
    """Chunks have one size, of which only the last may have less, and together that of the file."""

    code = "CHUNK_SIZE_MISMATCH"


class Chunk(msgspec.Struct, frozen=True):
    """A chunk that is there; ``size`` in bytes. ``in_place``: it lies in the file that is being made."""

    number: int
    id: UUID
    size: int
    in_place: bool


class Assembled(msgspec.Struct, frozen=True):
    """A whole file in scratch, which belongs to the caller, and its digests in hexadecimal."""

    path: Path
    md5: str
    sha256: str


class Slot(msgspec.Struct, frozen=True):
    """The bytes of a file, open as ``file``, that one chunk has for itself until that is closed."""

    file: int
    start: int
    size: int


# Decides, when the first bytes are about to be written, where a chunk goes; None for a file of its own.
Chooser = Callable[[], Awaitable[Slot | None]]


class ChunkIntake(Intake):
    """A chunk on its way in: straight to its place in the file, or beside it.

    Whoever makes one calls :meth:`release` in the end; until then its slot is nobody else's.
    """

    def __init__(self, folder: Path, limit: int, choose: Chooser) -> None:
        super().__init__(folder, limit, ())
        self._choose = choose
        self.slot: Slot | None = None

    def feed(self, data: bytes, start: int, end: int) -> None:
        """Take a slice. Raises :class:`ChunkSizeMismatch` for what would run over into the next chunk."""
        super().feed(data, start, end)
        self._check()

    async def release(self) -> None:
        """Give the slot free, or remove the file, if it has not been moved away."""
        await self.discard()

    async def _begin(self) -> None:
        self.slot = slot = await self._choose()
        if slot is not None:
            self._file, self._at = slot.file, slot.start
            self._check()

    def _check(self) -> None:
        if self.slot is not None and self.size > self.slot.size:
            raise ChunkSizeMismatch

    def _close(self) -> None:
        # The end of the file that comes in is not the end of the slot.
        if self.slot is None:
            super()._close()

    def _discard(self) -> None:
        with self._lock:
            self._over = True
            super()._close()
            self.path.unlink(missing_ok=True)


class ChunkStore(ABC):
    """Keeps chunks under the id of their upload. Every method may raise :class:`Unavailable`."""

    def __init__(self, scratch: Path) -> None:
        self.scratch = scratch

    def intake(self, limit: int, choose: Chooser) -> ChunkIntake:
        """What takes a chunk of at most ``limit`` bytes in."""
        return ChunkIntake(self.scratch, limit, choose)

    @abstractmethod
    async def prepare(self, upload_id: UUID, size: int) -> None:
        """Make ready for the chunks of a file of ``size`` bytes. Raises :class:`InsufficientStorage`."""

    @abstractmethod
    async def find_slot(
        self, upload_id: UUID, start: int, size: int, is_free: Callable[[], Awaitable[bool]]
    ) -> Slot | None:
        """The place of a chunk in its file, for one writer in all processes; None where there is none now.

        ``is_free`` is asked once nobody else can take it: whether there is no such chunk yet.
        """

    @abstractmethod
    async def keep(self, upload_id: UUID, number: int, intake: ChunkIntake) -> Chunk:
        """Make what came in durable. Raises :class:`InsufficientStorage`."""

    def know(self, upload_id: UUID, chunk: Chunk) -> None:  # noqa: B027 - for those who can use it
        """Hear that this chunk is there for certain, so that its bytes may be hashed ahead of the end."""

    @abstractmethod
    async def assemble(self, upload_id: UUID, chunks: Sequence[Chunk]) -> Assembled:
        """One file of all these chunks, which stay as they are. Raises :class:`InsufficientStorage`."""

    @abstractmethod
    async def find_missing(self, upload_id: UUID, size: int, chunks: Sequence[Chunk]) -> list[Chunk]:
        """Those of these chunks, of a file of ``size`` bytes, whose bytes are not there after all."""

    @abstractmethod
    async def remove_chunk(self, upload_id: UUID, chunk: Chunk) -> None:
        """Remove a chunk that another has replaced."""

    @abstractmethod
    async def remove(self, upload_id: UUID) -> None:
        """Remove everything that belongs to an upload."""

    @abstractmethod
    def list(self) -> AsyncIterator[tuple[UUID, datetime]]:
        """Every upload of which there is anything, and a time since which it was written to, or later."""
