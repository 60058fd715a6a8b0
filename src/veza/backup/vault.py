"""A vault: where backups lie, a folder or a bucket. Contents have their SHA-256 as a name and are shared.

``files/ab/<sha256>`` are contents, of files and of rows; ``backups/<id>.json`` says what is in a backup, and
is written last; ``secrets/<id>`` is the server's secret, where that was wanted.

What lies under a name of the right size is believed to be its content, and not read again by each backup: for
a content has its name only once it is durable (:mod:`veza.core.storage_bulk`,
:mod:`veza.core.storage_files`), and all of them before a manifest names them. What a disk does to it later is
found by `veza backups --verify`.
"""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

from veza.backup import manifest as manifests
from veza.backup.manifest import Manifest, ManifestDamaged
from veza.backup.pieces import MOST_BYTES, PieceDamaged
from veza.core.errors import NotFound
from veza.core.ids import new_id
from veza.core.storage import Hold, LocalStorage, Storage, open_storage
from veza.core.storage_inventory import Inventory

_BACKUPS, _FILES, _SECRETS = "backups", "files", "secrets"
_MANIFEST_BYTES = 256 * 1024**2
_SECRET_BYTES = 64 * 1024
_TOGETHER = 1_000
_LEFT = timedelta(days=1)


class NoBackup(Exception):
    """There is no such backup; says so in one line."""


def content_key(digest: str) -> str:
    """Where a content lies."""
    return f"{_FILES}/{digest[:2]}/{digest}"


def secret_key(backup_id: str) -> str:
    """Where the server's secret of a backup lies."""
    return f"{_SECRETS}/{backup_id}"


class Vault:
    """A vault that is open."""

    def __init__(self, storage: Storage) -> None:
        self.storage = storage

    async def list_ids(self) -> list[str]:
        """The ids of all backups, the oldest first."""
        found = [entry.key async for entry in self.storage.list(_BACKUPS)]
        return sorted(key.removeprefix(f"{_BACKUPS}/").removesuffix(".json") for key in found)

    async def get(self, backup_id: str | None) -> Manifest:
        """A backup by its id, or the newest. Raises :class:`NoBackup`, :class:`ManifestDamaged`."""
        ids = await self.list_ids()
        if not ids:
            raise NoBackup("there is no backup.")
        wanted = backup_id or ids[-1]
        if wanted not in ids:
            raise NoBackup(f"there is no backup {wanted}; there are: {', '.join(ids[-10:])}.")
        return manifests.read(await self.storage.get_bytes(_manifest_key(wanted), _MANIFEST_BYTES))

    async def find_newest(self, installation: str) -> Manifest | None:
        """The newest backup that can be read, and is not another installation's; None where there is none."""
        for backup_id in reversed(await self.list_ids()):
            with suppress(ManifestDamaged, NotFound):
                found = await self.get(backup_id)
                if found.installation in {"", installation}:
                    return found
        return None

    async def put_manifest(self, manifest: Manifest) -> None:
        """Let there be this backup."""
        # Of its contents some may have been put by a backup that was killed before it had synced their names.
        await self.storage.settle()
        await self.storage.put_bytes(_manifest_key(manifest.id), manifests.write(manifest))

    async def list_contents(self) -> AsyncIterator[tuple[str, int]]:
        """The digests of all contents, and how many bytes there are of each."""
        async for entry in self.storage.list(_FILES):
            yield entry.key.rpartition("/")[2], entry.size

    async def put(self, content: bytes, kept: Inventory) -> str:
        """Keep a content, unless it is kept already; its digest."""
        digest = hashlib.sha256(content).hexdigest()
        if not kept.is_kept(digest, len(content)):
            await self.storage.put_bytes(content_key(digest), content)
            kept.keep([(digest, len(content))])
        return digest

    async def get_piece(self, digest: str) -> bytes:
        """A small content. Raises :class:`PieceDamaged` where it is gone or another."""
        try:
            content = await self.storage.get_bytes(content_key(digest), 4 * MOST_BYTES)
        except (NotFound, ValueError):
            raise PieceDamaged(f"{content_key(digest)} is missing, or too large.") from None
        if hashlib.sha256(content).hexdigest() != digest:
            raise PieceDamaged(f"{content_key(digest)} is damaged.")
        return content

    async def put_secret(self, backup_id: str, secret: bytes) -> None:
        """Keep the server's secret beside a backup."""
        await self.storage.put_bytes(secret_key(backup_id), secret)

    async def get_secret(self, backup_id: str) -> bytes:
        """The server's secret of a backup that has it. Raises NotFound; ValueError where it is too large."""
        return await self.storage.get_bytes(secret_key(backup_id), _SECRET_BYTES)

    async def drop(self, backup_ids: Sequence[str]) -> None:
        """Let there be these backups no more, and no secret of one that is not; their contents stay."""
        # First the manifests: what is cut short leaves contents that nothing needs, and no broken backup.
        await self.storage.remove_now([_manifest_key(one) for one in backup_ids])
        ids = set(await self.list_ids())
        secrets = [entry.key async for entry in self.storage.list(_SECRETS)]
        await self.storage.remove_now([key for key in secrets if key.rpartition("/")[2] not in ids])

    async def remove_contents(self, digests: Sequence[str], hold: Hold) -> None:
        """Remove these contents, which no backup needs for as long as it is held. Raises HoldLost."""
        for start in range(0, len(digests), _TOGETHER):
            await hold.check()
            await self.storage.remove_now([content_key(one) for one in digests[start : start + _TOGETHER]])

    async def tidy(self) -> None:
        """Remove what was left on its way in."""
        await self.storage.sweep_scratch(_LEFT)

    def scratch(self) -> Path:
        """A new place for a file on its way in or out."""
        return self.storage.scratch / f"backup-{new_id().hex}"


def _manifest_key(backup_id: str) -> str:
    return f"{_BACKUPS}/{backup_id}.json"


async def open_vault(where: str, *, scratch: Path, s3: Mapping[str, str], make: bool) -> Vault:
    """The vault at a path or URL; ``make`` it where there is none.

    Raises :class:`NoBackup`, and ValueError with one line for the operator.
    """
    if not where.startswith(("file://", "s3://")):
        path = Path(where).absolute()  # noqa: ASYNC240 - asks nothing of the disk
        if not make and not await asyncio.to_thread(path.is_dir):
            raise NoBackup(f"there is no folder {path}.")
        return Vault(LocalStorage(path))
    return Vault(open_storage(where, scratch=scratch, s3=s3))
