"""Making a backup while the server goes on: first the cut through the rows, then the files that it names.

The files are held from before the cut until the last of them is copied (:mod:`veza.core.storage_hold`), so
that none goes meanwhile. The manifest is written last: a backup that was cut short is none, but what it has
copied is there for the next one.
"""

import asyncio
import os
from collections.abc import AsyncIterator, Iterator, Sequence
from datetime import datetime
from pathlib import Path

import msgspec
from rich.console import Console

from veza import __version__
from veza.backup import tables
from veza.backup.dumping import dump
from veza.backup.manifest import MOST_NAMED, FilesPart, Manifest, SecretPart, TablePart
from veza.backup.pieces import Cutter, PieceDamaged
from veza.backup.progress import counting, weighing
from veza.backup.reading import digest_of, list_kept, rows_of
from veza.backup.vault import Vault, content_key
from veza.core import clock
from veza.core.db import Database
from veza.core.db.rows import Sum
from veza.core.errors import Unavailable
from veza.core.installation import STAMPS, Own, compare, find_own
from veza.core.storage import Hold, NamedFile, NoSuchFile, Storage, holding
from veza.core.storage_bulk import copy_in
from veza.core.storage_inventory import Held, Inventory
from veza.naming import name_all, see_all

# Files that are copied at a time, and made durable together.
_FILES, _BYTES = 128, 256 * 1024**2
_THREADS = 4


class Made(msgspec.Struct, frozen=True):
    """A backup that was made, and what of it was new: contents and bytes of files."""

    manifest: Manifest
    new_files: int
    new_bytes: int


class Maker:
    """Makes one backup of a database and the files beside it, in a vault that is held for it alone."""

    def __init__(
        self, database: Database, storage: Storage, vault: Vault, hold: Hold, console: Console
    ) -> None:
        self._database = database
        self._storage = storage
        self._vault = vault
        self._hold = hold
        self._console = console
        self._inventory = Inventory(storage.scratch)
        self._faults: list[tuple[str, str]] = []
        self._fault_count = 0
        self._new_files = self._new_bytes = 0

    async def make(self, revision: str, secret_ids: Sequence[str], secret: bytes | None) -> Made:
        """Make it; ``secret`` is what is to be kept beside it.

        Raises :class:`HoldLost`, and what databases and storages raise; then there is none.
        """
        try:
            await self._vault.tidy()
            belonging = await compare(self._database, self._storage)
            await self._look_at_vault(str(belonging.id or ""))
            if said := belonging.problem(self._storage.place):
                self._blame(STAMPS, f"does not match: {said}")
            async with holding(self._storage):
                made_at, own, parts = await self._cut()
                await see_all(self._storage, self._inventory)
                self._compare()
                files = await self._copy()
            manifest = Manifest(
                id=_id_of(made_at),
                installation=str(own.id) if own is not None else "",
                made_at=made_at,
                veza=__version__,
                dialect=self._database.dialect,
                revision=revision,
                tables=parts,
                left_out=tables.LEFT_OUT,
                files=files,
                secret=SecretPart(secret_ids, included=secret is not None),
                faults=self._faults,
                fault_count=self._fault_count,
            )
            # Else another may have removed meanwhile what was kept when this one began.
            await self._hold.check()
            if secret is not None:
                await self._vault.put_secret(manifest.id, secret)
            await self._vault.put_manifest(manifest)
            return Made(manifest, self._new_files, self._new_bytes)
        finally:
            self._inventory.close()

    async def _look_at_vault(self, own: str) -> None:
        await list_kept(self._vault, self._inventory)
        before = await self._vault.find_newest(own)
        for digest in before.files.pieces if before is not None else ():
            try:
                async for rows in rows_of(self._vault, [digest]):
                    self._inventory.remember(msgspec.convert(rows, list[Held]))
            except PieceDamaged:
                # What it told is read again, and it is put anew.
                self._inventory.need([digest])

    async def _cut(self) -> tuple[datetime, Own | None, Sequence[TablePart]]:
        """The rows, whose they are, and which files they name, all of one moment."""
        made_at = clock.now()
        with counting(self._console, "Rows") as tell:
            async with self._database.snapshot() as view:
                own = await find_own(view)
                parts = await dump(view, self._keep, tell)
                await name_all(view, self._inventory)
        return made_at, own, parts

    async def _keep(self, piece: bytes) -> str:
        return await self._vault.put(piece, self._inventory)

    def _compare(self) -> None:
        for key in self._inventory.missing():
            self._blame(key, "missing")
        for key, said, found in self._inventory.of_another_size():
            self._blame(key, f"has {found} bytes, and not {said}")

    def _blame(self, key: str, what: str) -> None:
        self._fault_count += 1
        if len(self._faults) < MOST_NAMED:
            self._faults.append((key, what))

    async def _copy(self) -> FilesPart:
        _, size = self._inventory.bytes_to_take()
        count, listed, cutter, pieces = 0, Sum(), Cutter(), list[str]()
        weight = 0
        with weighing(self._console, "Files", size) as tell:
            async for file in self._taken():
                count, weight = count + 1, weight + file.size
                if (piece := cutter.add(listed.add(msgspec.structs.astuple(file)))) is not None:
                    pieces.append(await self._keep(piece))
                tell(file.size)
        if (piece := cutter.rest()) is not None:
            pieces.append(await self._keep(piece))
        return FilesPart(count, weight, listed.digest, pieces)

    async def _taken(self) -> AsyncIterator[Held]:
        """Every file that is named and there, in order, once its content is kept."""
        turns = asyncio.Semaphore(_THREADS)

        async def fetch(file: Held) -> tuple[Held, Path] | None:
            async with turns:
                return await self._fetch(file)

        for batch in _batches(self._inventory.take()):
            fetched = await asyncio.gather(*(fetch(file) for file in batch if not file.sha256))
            known = [file for file in batch if file.sha256]
            new = await self._store([one for one in fetched if one is not None])
            for file in sorted([*known, *new], key=lambda one: one.key):
                yield file

    async def _fetch(self, file: Held) -> tuple[Held, Path] | None:
        """A copy of a file, and what it is; None where it is not there."""
        path = self._vault.scratch()
        wanted = self._inventory.wanted(file.key) or NamedFile(file.key)
        try:
            local = self._storage.local_name(file.key)
            if local is not None:
                size, digest = await asyncio.to_thread(_copy_local, Path(local), path)
            else:
                await self._storage.fetch_to(file.key, path)
                digest = await asyncio.to_thread(digest_of, path)
                size = (await asyncio.to_thread(path.stat)).st_size
        except (NoSuchFile, FileNotFoundError):
            # Nothing is removed while we hold: it was, by other means.
            if not wanted.spare:
                self._blame(file.key, "missing")
            return None
        except OSError as error:
            raise Unavailable(f"{file.key} cannot be copied: {error.strerror}.") from error
        if wanted.sha256 not in {"", digest}:
            self._blame(file.key, "is not what it was: its SHA-256 is another")
        return Held(file.key, size, file.modified, digest), path

    async def _store(self, fetched: Sequence[tuple[Held, Path]]) -> list[Held]:
        """Keep these contents, each once, durable together."""
        new: dict[str, tuple[Path, int]] = {}
        for file, path in fetched:
            if file.sha256 in new or self._inventory.is_kept(file.sha256, file.size):
                path.unlink()
                continue
            new[file.sha256] = path, file.size
            self._new_bytes += file.size
        await self._vault.storage.put_files([(content_key(one), path) for one, (path, _) in new.items()])
        self._inventory.keep((digest, size) for digest, (_, size) in new.items())
        self._new_files += len(new)
        return [file for file, _ in fetched]


def _copy_local(source: Path, target: Path) -> tuple[int, str]:
    file = os.open(source, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    try:
        return copy_in(file, target)
    finally:
        os.close(file)


def _batches(files: Iterator[Held]) -> Iterator[list[Held]]:
    batch: list[Held] = []
    weight = 0
    for file in files:
        batch.append(file)
        weight += 0 if file.sha256 else file.size
        if len(batch) >= _FILES or weight >= _BYTES:
            yield batch
            batch, weight = [], 0
    if batch:
        yield batch


def _id_of(moment: datetime) -> str:
    """An id that sorts by time, and that a person can read."""
    return f"{moment:%Y-%m-%dt%H%M%S}-{moment.microsecond:06}z"
