"""What every storage can do, and what is the same for all of them: the reading, by obstore."""

import asyncio
import re
import shutil
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import obstore
import structlog
from obstore.exceptions import BaseError

from veza.core import clock
from veza.core.errors import NO_ROOM, InsufficientStorage, NotFound, Unavailable
from veza.core.ids import new_id
from veza.core.metrics import count_away

if TYPE_CHECKING:
    from obstore.store import ObjectStore

# No part of a key begins with a full stop: so there is no `..`, and a folder like `.scratch` is nobody's key.
_PART = r"[a-z0-9_-][a-z0-9_.-]*"
_KEY = re.compile(rf"{_PART}(?:/{_PART})*")
_MAX_KEY = 512
_READ = 256 * 1024
_CHECK_SECONDS = 5.0
# Where holds lie, and how long one is good that nobody renews.
HOLDS = "holds"
HELD_FOR = timedelta(minutes=30)
# What was not written to for so long in scratch was left there, and how often that is looked for.
_LEFT = timedelta(days=1)
_LOOK_SECONDS = 3600.0

log = structlog.get_logger()


class NoSuchFile(NotFound):
    """The storage holds no such file."""


class StorageUnavailable(Unavailable):
    """The storage cannot do this right now; try again soon."""

    def __init__(self, place: str) -> None:
        super().__init__(headers={"Retry-After": "5"})
        self.place = place


class StorageFull(InsufficientStorage):
    """The server has no room left to store this."""

    def __init__(self, place: str) -> None:
        super().__init__()
        self.place = place


class Stored(msgspec.Struct, frozen=True):
    """A file that is in the storage to stay; ``size`` in bytes."""

    key: str
    size: int


class Entry(msgspec.Struct, frozen=True):
    """A file in a listing; ``size`` in bytes."""

    key: str
    size: int
    modified: datetime


def check_key(key: str) -> str:
    """The key itself. Keys are made by us, of ids and fixed words: a bad one is a mistake, a ValueError."""
    if len(key) > _MAX_KEY or not _KEY.fullmatch(key):
        raise ValueError(f"not a storage key: {key[:100]!r}")
    return key


def translate(error: Exception, *, reading: bool = False, place: str = "") -> Exception:
    """The error as callers know it: no room is 507, a file that is not there 404, anything else 503.

    For operators it says by ``place`` which storage that was.
    """
    if reading and isinstance(error, FileNotFoundError):
        return NoSuchFile()
    if isinstance(error, OSError) and error.errno in NO_ROOM:
        return StorageFull(place)
    if place:  # else it is a file of this process's own
        count_away("storage")
    return StorageUnavailable(place)


@contextmanager
def translated(*, reading: bool = False, place: str = "") -> Iterator[None]:
    """Within this block, failures of disk and network are errors of :mod:`veza.core.errors`."""
    try:
        yield
    except (OSError, BaseError) as error:
        raise translate(error, reading=reading, place=place) from error


class Storage(ABC):
    """Files under keys like ``tracks/<id>/original``: whole and durable, or not there.

    ``scratch`` is a local folder for files on their way in, ``place`` is what operators know the storage by.
    Every method may raise :class:`StorageUnavailable`.
    """

    def __init__(self, store: "ObjectStore", scratch: Path, place: str) -> None:
        self._store = store
        self.place = place
        self.scratch = scratch
        scratch.mkdir(parents=True, exist_ok=True, mode=0o700)

    @abstractmethod
    async def put_file(self, key: str, path: Path) -> Stored:
        """Move a finished local file in; it is durable when this returns. The local file is gone either way.

        Raises :class:`InsufficientStorage`.
        """

    @abstractmethod
    async def put_files(self, files: Sequence[tuple[str, Path]]) -> None:
        """Move finished files of ``scratch`` in; durable when this returns, and gone there either way.

        Raises :class:`InsufficientStorage`; which of them are in the storage then is not certain.
        """

    @abstractmethod
    async def settle(self) -> None:
        """Return once all that is to be seen here is durable, also what somebody put who was killed at it."""

    @abstractmethod
    async def put_bytes(self, key: str, data: bytes) -> Stored:
        """Store a small file; it is durable when this returns. Raises :class:`InsufficientStorage`."""

    @abstractmethod
    async def remove_now(self, keys: Sequence[str]) -> None:
        """Remove these files, whoever holds them; those that are not there are no error."""

    @abstractmethod
    def local_name(self, key: str) -> str | None:
        """Where the file lies, or would, on this machine, for the kernel to send; None if elsewhere."""

    @abstractmethod
    async def fetch_to(self, key: str, path: Path) -> Path:
        """The file on this machine: the stored one itself, only to be read, or else a copy at ``path``.

        Raises :class:`NoSuchFile`.
        """

    async def fetch_named(self, key: str, path: Path) -> Path:
        """The same of a file that a row names. Where it is not, the storage is not the right one.

        As with a disk that is not mounted, or a process that was given another: raises
        :class:`StorageUnavailable`, which jobs outlast.
        """
        try:
            return await self.fetch_to(key, path)
        except NoSuchFile as missing:
            raise StorageUnavailable(self.place) from missing

    @abstractmethod
    async def presigned_url(self, key: str, expires: timedelta, headers: Mapping[str, str]) -> str | None:
        """An address from which anybody may GET the file for so long; None where the server must send it.

        ``headers`` are those of the answer: Content-Type, Content-Disposition, Cache-Control.
        """

    @abstractmethod
    async def close(self) -> None:
        """Let go of what is held open."""

    async def look_at(self, key: str) -> Entry:
        """The file as a listing has it. Raises :class:`NoSuchFile`."""
        with translated(reading=True, place=self.place):
            found = await obstore.head_async(self._store, check_key(key))
        return Entry(key, found["size"], found["last_modified"])

    async def size(self, key: str) -> int:
        """The file's size in bytes. Raises :class:`NoSuchFile`."""
        return (await self.look_at(key)).size

    async def get_bytes(self, key: str, limit: int) -> bytes:
        """The whole of a small file. Raises :class:`NoSuchFile`; ValueError above ``limit`` bytes."""
        with translated(reading=True, place=self.place):
            found = await obstore.get_async(self._store, check_key(key))
            if found.meta["size"] > limit:
                raise ValueError(f"{key} has more than {limit} bytes")
            return bytes(await found.bytes_async())

    async def open_range(self, key: str, start: int, length: int) -> AsyncIterator[bytes]:
        """The bytes from ``start``, ``length`` of them, in pieces. Raises :class:`NoSuchFile`."""
        check_key(key)
        if length <= 0:
            return
        with translated(reading=True, place=self.place):
            found = await obstore.get_async(self._store, key, options={"range": (start, start + length)})
            async for piece in found.stream(min_chunk_size=_READ):
                yield piece

    async def list(self, prefix: str = "") -> AsyncIterator[Entry]:
        """Every file whose key goes on after these whole parts; all files without a prefix. In no order."""
        with translated(place=self.place):
            pages = obstore.list(self._store, check_key(prefix) if prefix else None, chunk_size=500)
            async for page in pages:
                for found in page:
                    # What has no more is the mark of a folder (`tracks/`), which some tools put in a bucket.
                    if _KEY.fullmatch(found["path"]) and found["path"] != prefix:
                        yield Entry(found["path"], found["size"], found["last_modified"])

    async def is_held(self) -> bool:
        """Whether somebody holds on to every file (:mod:`veza.core.storage_hold`)."""
        since = clock.now() - HELD_FOR
        return any([entry.modified > since async for entry in self.list(HOLDS)])

    async def delete_many(self, keys: Sequence[str]) -> None:
        """Remove these files, whose rows are gone; those that are not there are no error.

        While somebody holds on to the files they stay, named by no row, until a sweep finds them.
        """
        if not await self.is_held():
            await self.remove_now(keys)

    async def delete(self, key: str) -> None:
        """Remove a file as :meth:`delete_many` does."""
        await self.delete_many([key])

    async def delete_prefix(self, prefix: str) -> int:
        """Remove so every file whose key begins with these whole parts; return how many there were."""
        keys = [entry.key async for entry in self.list(check_key(prefix))]
        if keys:
            await self.delete_many(keys)
        return len(keys)

    async def check(self) -> None:
        """Write, read and remove a small file, within 5 seconds. Raises :class:`InsufficientStorage`."""
        key, data = f"canary/{new_id()}", new_id().bytes
        try:
            async with asyncio.timeout(_CHECK_SECONDS):
                await self.put_bytes(key, data)
                same = await self.get_bytes(key, len(data)) == data
                await self.remove_now([key])
        except TimeoutError as error:
            raise translate(error, place=self.place) from error
        if not same:
            raise Unavailable("The storage does not give back what was stored.")

    async def sweep_scratch(self, older_than: timedelta) -> int:
        """Remove what was left in ``scratch`` and not written to for so long; return how many files."""
        return await asyncio.to_thread(_sweep, self.scratch, clock.now() - older_than)

    async def keep_swept(self) -> None:
        """Sweep ``scratch`` each hour of what was left there for a day, until cancelled.

        Every process does so: it may be the only one that has this folder.
        """
        while True:
            try:
                await self.sweep_scratch(_LEFT)
            except OSError:
                log.exception("storage.scratch_not_swept")
            await asyncio.sleep(_LOOK_SECONDS)


def _sweep(folder: Path, before: datetime) -> int:
    swept = 0
    for path in folder.iterdir():
        with suppress(FileNotFoundError):  # its owner was quicker
            if datetime.fromtimestamp(path.lstat().st_mtime, UTC) >= before:
                continue
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink()
            swept += 1
    return swept
