"""Reading what a backup holds: rows, the list of files, the files. Each is what was put there, or says so."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import msgspec

from veza.backup.manifest import Manifest, TablePart
from veza.backup.pieces import PieceDamaged, unpack
from veza.backup.vault import Vault, content_key
from veza.core.db.rows import Row, Sum
from veza.core.storage import NoSuchFile
from veza.core.storage_inventory import Held, Inventory

_AHEAD = 2


async def rows_of(vault: Vault, pieces: Sequence[str]) -> AsyncIterator[list[Row]]:
    """The rows in these contents, while the next of them are on their way. Raises :class:`PieceDamaged`."""

    async def get(digest: str) -> list[Row]:
        return await asyncio.to_thread(unpack, await vault.get_piece(digest))

    coming = [asyncio.create_task(get(digest)) for digest in pieces[:_AHEAD]]
    try:
        for number in range(len(pieces)):
            rows = await coming.pop(0)
            coming += [asyncio.create_task(get(one)) for one in pieces[number + _AHEAD :][:1]]
            yield rows
    finally:
        for task in coming:
            task.cancel()


async def files_of(vault: Vault, manifest: Manifest) -> AsyncIterator[list[Held]]:
    """The list of files of a backup, in order. Raises :class:`PieceDamaged`."""
    async for rows in rows_of(vault, manifest.files.pieces):
        yield msgspec.convert(rows, list[Held])


async def check_table(vault: Vault, part: TablePart) -> None:
    """Read all rows of a table. Raises :class:`PieceDamaged`."""
    found = Sum()
    async for rows in rows_of(vault, part.pieces):
        for row in rows:
            found.add(row)
    if (found.rows, found.digest) != (part.rows, part.digest):
        raise PieceDamaged(f"the rows of {part.name} are not those that were there.")


async def open_content(vault: Vault, digest: str) -> Path:
    """A content on this machine: the kept one itself, only to be read, or a copy. See :func:`let_go`."""
    try:
        return await vault.storage.fetch_to(content_key(digest), vault.scratch())
    except NoSuchFile:
        raise PieceDamaged(f"{content_key(digest)} is missing.") from None


def let_go(vault: Vault, path: Path) -> None:
    """Remove a copy."""
    if path.parent == vault.storage.scratch:
        path.unlink(missing_ok=True)


def digest_of(path: Path) -> str:
    """The SHA-256 of a file. Raises OSError."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


async def list_kept(vault: Vault, inventory: Inventory) -> None:
    """Have the inventory know all contents of a vault, and the size of each."""
    some: list[tuple[str, int]] = []
    async for content in vault.list_contents():
        some.append(content)
        if len(some) == 10_000:  # noqa: PLR2004 - at a time
            inventory.keep(some)
            some = []
    inventory.keep(some)
