"""The storage in a folder of this machine."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import ParamSpec, TypeVar

from obstore.store import LocalStore

from veza.core.storage_base import NoSuchFile, Storage, Stored, check_key, translated
from veza.core.storage_bulk import Syncer, move_all_durably
from veza.core.storage_files import move_durably, remove, write_durably
from veza.core.tracing import Kind, traced

P = ParamSpec("P")
T = TypeVar("T")

_THREADS = 4


class LocalStorage(Storage):
    """Files below ``folder``, each at the path that its key spells; ``folder/.scratch`` is the way in."""

    def __init__(self, folder: Path) -> None:
        # Resolved once: from here on a path's parents tell where it lies.
        self.folder = folder.resolve()
        self.folder.mkdir(parents=True, exist_ok=True)  # the library's own errors have no number
        super().__init__(LocalStore(self.folder), self.folder / ".scratch", str(self.folder))
        self._syncer = Syncer(self.folder)
        self._pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="veza-files")

    def local_name(self, key: str) -> str:
        """Where the file lies, or would; no Path, for each leaves a gap in Python's table of names."""
        return f"{self.place}/{check_key(key)}"

    def local_path(self, key: str) -> Path:
        """The same, to work on."""
        return self.folder / check_key(key)

    @traced("storage.put_file", Kind.CLIENT)
    async def put_file(self, key: str, path: Path) -> Stored:
        """Sync the file, move it, and sync the folders."""
        return Stored(
            key, await self._run(move_durably, path, self.local_path(key), self.folder, self.scratch)
        )

    @traced("storage.put_files", Kind.CLIENT)
    async def put_files(self, files: Sequence[tuple[str, Path]]) -> None:
        """Sync them together, move them all, and sync once more."""
        pairs = [(path, self.local_path(key)) for key, path in files]
        await self._run(move_all_durably, pairs, self.folder, self._syncer)

    async def settle(self) -> None:
        """Sync all of the file system."""
        await self._run(self._syncer.sync)

    @traced("storage.put_bytes", Kind.CLIENT)
    async def put_bytes(self, key: str, data: bytes) -> Stored:
        """Write a file beside, then move it in."""
        return Stored(
            key, await self._run(write_durably, data, self.local_path(key), self.folder, self.scratch)
        )

    @traced("storage.remove_now", Kind.CLIENT)
    async def remove_now(self, keys: Sequence[str]) -> None:
        """Remove the files and the folders that they leave empty."""
        paths = [self.local_path(key) for key in keys]
        await self._run(_remove_all, paths, self.folder)

    @traced("storage.fetch_to", Kind.CLIENT)
    async def fetch_to(self, key: str, path: Path) -> Path:  # noqa: ARG002 - nothing needs a copy here
        """The stored file itself."""
        stored = self.local_path(key)
        if not await self._run(stored.is_file):
            raise NoSuchFile
        return stored

    async def presigned_url(
        self,
        key: str,  # noqa: ARG002 - of the interface
        expires: timedelta,  # noqa: ARG002 - of the interface
        headers: Mapping[str, str],  # noqa: ARG002 - of the interface
    ) -> None:
        """None: only this server can send a file of this machine."""
        return

    async def close(self) -> None:
        """End the threads; what they have begun is finished."""
        self._pool.shutdown(wait=False)
        self._syncer.close()

    async def _run(self, work: Callable[P, T], *args: P.args, **_: P.kwargs) -> T:
        with translated(place=self.place):
            return await asyncio.get_running_loop().run_in_executor(self._pool, work, *args)


def _remove_all(paths: Sequence[Path], top: Path) -> None:
    for path in paths:
        remove(path, top)
