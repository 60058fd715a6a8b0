"""Bringing a backup back, into what is empty: first the files, then the rows, in one transaction.

Cut short, it leaves some of the backup's own files and no rows, and may be begun again.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import timedelta
from pathlib import Path

from rich.console import Console

from veza.backup.manifest import Manifest, TablePart
from veza.backup.pieces import PieceDamaged
from veza.backup.progress import Tell, counting, weighing
from veza.backup.reading import digest_of, files_of, let_go, open_content, rows_of
from veza.backup.vault import Vault
from veza.core import clock
from veza.core.db.loading import Loader, loading
from veza.core.db.rows import Row, Sum
from veza.core.ids import new_id
from veza.core.installation import STAMPS, list_stamps, put_stamp, stamp_key
from veza.core.storage import NamedFile, NoSuchFile, Storage
from veza.core.storage_base import HOLDS
from veza.core.storage_bulk import copy_in
from veza.core.storage_inventory import Held, Inventory

_FILES, _BYTES = 128, 256 * 1024**2
_THREADS = 4
# What was written by a clock that goes before is there all the same.
_SOON = timedelta(days=1)
_NEVER_OURS = (HOLDS, STAMPS, "canary")


class NotRestored(Exception):
    """This cannot be restored here; says why in one line."""


class Restorer:
    """Restores one backup."""

    def __init__(self, vault: Vault, manifest: Manifest, console: Console) -> None:
        self._vault = vault
        self._manifest = manifest
        self._console = console

    async def restore_files(self, storage: Storage, *, verify: bool) -> None:
        """Bring all files back; with ``verify`` read each again.

        Raises :class:`NotRestored`, PieceDamaged.
        """
        inventory = Inventory(storage.scratch)
        try:
            async for held in files_of(self._vault, self._manifest):
                inventory.name(NamedFile(one.key, one.size, one.sha256) for one in held)
            # It writes: a bucket may be made by the first who does, and cannot be listed before.
            await storage.check()
            await self._refuse_others(storage)
            await _see(storage, inventory)
            strange = next(inventory.strangers(clock.now() + _SOON), None)
            if strange is not None:
                raise NotRestored(f"the storage is not empty: {strange[0]} is not of this backup.")
            if self._manifest.installation:  # else its first start sees to it
                await put_stamp(storage, self._manifest.installation)
            with weighing(self._console, "Files", self._manifest.files.bytes) as tell:
                await self._bring(storage, inventory, tell)
            # Some of them may have been brought by an attempt that was killed before it had synced them.
            await storage.settle()
        finally:
            inventory.close()
        if verify:
            with weighing(self._console, "Files, read again", self._manifest.files.bytes) as tell:
                await self.verify_files(storage, tell)

    async def _refuse_others(self, storage: Storage) -> None:
        if others := sorted(await list_stamps(storage) - {self._manifest.installation}):
            raise NotRestored(
                f"{storage.place} is that of another installation: {others[0]}. Restore into an empty place;"
                f" or, if nobody has this one any more, remove {stamp_key(others[0])} there."
            )

    async def _bring(self, storage: Storage, inventory: Inventory, tell: Tell) -> None:
        async for batch in _batches(files_of(self._vault, self._manifest)):
            wanted = [file for file in batch if not inventory.has(file.key, file.size)]
            turns = asyncio.Semaphore(_THREADS)

            async def fetch(file: Held, turns: asyncio.Semaphore = turns) -> tuple[str, Path]:
                async with turns:
                    return file.key, await self._fetch(storage, file)

            await storage.put_files(await asyncio.gather(*(fetch(file) for file in wanted)))
            tell(sum(file.size for file in batch))

    async def _fetch(self, storage: Storage, file: Held) -> Path:
        kept = await open_content(self._vault, file.sha256)
        path = storage.scratch / f"restore-{new_id().hex}"
        try:
            size, digest = await asyncio.to_thread(_copy, kept, path)
        finally:
            let_go(self._vault, kept)
        if (size, digest) != (file.size, file.sha256):
            path.unlink()
            raise PieceDamaged(f"the content of {file.key} is damaged.")
        return path

    async def verify_files(self, storage: Storage, tell: Tell) -> None:
        """Read every file of the backup in the storage. Raises :class:`NotRestored`."""
        turns = asyncio.Semaphore(_THREADS)

        async def check(file: Held) -> None:
            async with turns:
                if await _digest_in(storage, file.key) != file.sha256:
                    raise NotRestored(f"{file.key} is not what it was.")
                tell(file.size)

        async for batch in _batches(files_of(self._vault, self._manifest)):
            await asyncio.gather(*(check(file) for file in batch))

    async def restore_rows(self, url: str, *, verify: bool) -> None:
        """Bring all rows back; with ``verify`` read them again before they are there for good.

        Raises NotEmpty, :class:`NotRestored`, PieceDamaged.
        """
        async with loading(url, self._manifest.revision) as loader:
            with counting(self._console, "Rows", self._manifest.rows) as tell:
                for part in self._manifest.tables:
                    await loader.write(part.name, part.columns, self._rows(part, tell))
            if verify:
                with counting(self._console, "Rows, read again", self._manifest.rows) as tell:
                    for part in self._manifest.tables:
                        await compare(loader, part, tell)

    async def _rows(self, part: TablePart, tell: Tell) -> AsyncIterator[Sequence[Row]]:
        found = Sum()
        async for rows in rows_of(self._vault, part.pieces):
            for row in rows:
                found.add(row)
            yield rows
            tell(len(rows))
        if (found.rows, found.digest) != (part.rows, part.digest):
            raise PieceDamaged(f"the rows of {part.name} are not those that were there.")


async def compare(loader: Loader, part: TablePart, tell: Tell) -> None:
    """Read a table that was filled. Raises :class:`NotRestored` where it is not what it was."""
    found = Sum()
    async for rows in loader.scan(part.name, part.columns):
        for row in rows:
            found.add(row)
        tell(len(rows))
    if (found.rows, found.digest) != (part.rows, part.digest):
        raise NotRestored(f"{part.name} has {found.rows} rows, not as they were: {part.rows} were there.")


async def _see(storage: Storage, inventory: Inventory) -> None:
    """Have the inventory know all that is there, also what is none of the rooms'."""
    some = []
    async for entry in storage.list():
        if entry.key.split("/")[0] not in _NEVER_OURS:
            some.append(entry)
        if len(some) == 10_000:  # noqa: PLR2004 - at a time
            inventory.see(some)
            some = []
    inventory.see(some)


async def _digest_in(storage: Storage, key: str) -> str:
    copy = storage.scratch / f"verify-{new_id().hex}"
    try:
        path = await storage.fetch_to(key, copy)
        return await asyncio.to_thread(digest_of, path)
    except NoSuchFile:
        return ""
    finally:
        copy.unlink(missing_ok=True)


def _copy(source: Path, target: Path) -> tuple[int, str]:
    with source.open("rb") as file:
        return copy_in(file.fileno(), target)


async def _batches(parts: AsyncIterator[list[Held]]) -> AsyncIterator[list[Held]]:
    batch: list[Held] = []
    weight = 0
    async for part in parts:
        for file in part:
            batch.append(file)
            weight += file.size
            if len(batch) >= _FILES or weight >= _BYTES:
                yield batch
                batch, weight = [], 0
    if batch:
        yield batch
