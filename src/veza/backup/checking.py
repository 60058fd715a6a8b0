"""Checking that what rows name is there, and what is there is named (`veza fsck`)."""

import asyncio
import hashlib
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import msgspec
from rich.console import Console

from veza.backup.manifest import MOST_NAMED
from veza.backup.progress import weighing
from veza.core import clock
from veza.core.db import Database
from veza.core.errors import VezaError
from veza.core.installation import compare
from veza.core.storage import ChunkStore, NoSuchFile, Storage, holding
from veza.core.storage_inventory import Held, Inventory
from veza.naming import name_all, see_all
from veza.rooms.uploads.jobs import lost_chunks

# A sweep removes what has been without a row for a day, and comes once a day at least.
ORPHANS_AFTER = timedelta(days=2)
_READERS = 4


class Found(msgspec.Struct, kw_only=True):
    """What was found: how much was looked at, and each thing that is wrong, by its key."""

    files: int = 0
    bytes: int = 0
    deep: bool = False
    missing: list[str] = []
    wrong_size: list[tuple[str, int, int]] = []
    wrong_content: list[str] = []
    unreadable: list[str] = []
    orphans: list[tuple[str, int]] = []
    lost_chunks: list[tuple[str, int]] = []
    database: list[str] = []
    storage: list[str] = []
    untold: int = 0

    @property
    def wrong(self) -> bool:
        """Whether anything is."""
        return bool(self._all)

    @property
    def _all(self) -> Sequence[object]:
        return [
            *(*self.missing, *self.wrong_size, *self.wrong_content, *self.unreadable),
            *(*self.orphans, *self.lost_chunks, *self.database, *self.storage),
        ]

    def sentences(self) -> list[str]:
        """The same in words, a line for each."""
        lines = [f"the database is damaged: {said}" for said in self.database]
        lines += [f"the storage is not this database's: {said}" for said in self.storage]
        lines += [f"{key} is missing" for key in self.missing]
        lines += [f"{key} has {there} bytes, and its row says {said}" for key, said, there in self.wrong_size]
        lines += [f"{key} is not what it was: its SHA-256 is another" for key in self.wrong_content]
        lines += [f"{key} cannot be read whole" for key in self.unreadable]
        lines += [f"{key} is named by no row ({size:,} bytes)" for key, size in self.orphans]
        lines += [f"{count} chunks of the upload {key} are lost" for key, count in self.lost_chunks]
        if self.untold:
            lines.append(f"and {self.untold:,} more")
        return lines


class Checker:
    """Checks the files of one database and one storage, beside a server that goes on."""

    def __init__(self, database: Database, storage: Storage, chunks: ChunkStore, console: Console) -> None:
        self._database = database
        self._storage = storage
        self._chunks = chunks
        self._console = console
        self._found = Found()

    async def check(self, *, deep: bool) -> Found:
        """Look at all; ``deep`` reads every byte. Raises what databases and storages raise."""
        inventory, found = Inventory(self._storage.scratch), self._found
        found.deep = deep
        found.database = await self._database.examine(deep=deep)
        belonging = await compare(self._database, self._storage)
        if said := belonging.problem(self._storage.place):
            found.storage.append(said)
        try:
            async with holding(self._storage):
                async with self._database.snapshot() as view:
                    await name_all(view, inventory)
                await see_all(self._storage, inventory)
                found.files, found.bytes = inventory.bytes_to_take()
                for key in inventory.missing():
                    self._note(found.missing, key)
                for sized in inventory.of_another_size():
                    self._note(found.wrong_size, sized)
                if deep:
                    await self._read(inventory)
            for key, size, _ in inventory.strangers(clock.now() - ORPHANS_AFTER):
                self._note(found.orphans, (key, size))
        finally:
            inventory.close()
        async for transfer_id, gone in lost_chunks(self._database, self._chunks):
            self._note(found.lost_chunks, (str(transfer_id), len(gone)))
        return found

    def _note(self, among: list[Any], what: object) -> None:
        if len(among) < MOST_NAMED:
            among.append(what)
        else:
            self._found.untold += 1

    async def _read(self, inventory: Inventory) -> None:
        turns = asyncio.Semaphore(_READERS)

        async def read(file: Held) -> None:
            async with turns:
                await self._read_one(inventory, file)
                tell(file.size)

        with weighing(self._console, "Files", self._found.bytes) as tell:
            some: list[Held] = []
            for file in inventory.take():
                some.append(file)
                if len(some) == 100:  # noqa: PLR2004 - at a time
                    await asyncio.gather(*map(read, some))
                    some = []
            await asyncio.gather(*map(read, some))

    async def _read_one(self, inventory: Inventory, file: Held) -> None:
        wanted, digest, size = inventory.wanted(file.key), hashlib.sha256(), 0
        try:
            async for piece in self._storage.open_range(file.key, 0, file.size):
                digest.update(piece)
                size += len(piece)
        except (NoSuchFile, VezaError):
            size = -1
        if size != file.size:
            if wanted is None or not wanted.spare:
                self._note(self._found.unreadable, file.key)
        elif wanted is not None and wanted.sha256 not in {"", digest.hexdigest()}:
            self._note(self._found.wrong_content, file.key)
