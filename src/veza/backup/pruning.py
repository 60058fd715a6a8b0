"""Removing old backups, and what only they needed."""

from pathlib import Path

from veza.backup.manifest import Manifest, ManifestDamaged
from veza.backup.pieces import PieceDamaged
from veza.backup.reading import files_of, list_kept
from veza.backup.vault import Vault
from veza.core.storage import Hold
from veza.core.storage_inventory import Inventory


class NotPruned(Exception):
    """No older backup can be removed; says why in one line."""


async def prune(vault: Vault, hold: Hold, keep: int, made: Manifest, scratch: Path) -> tuple[int, int]:
    """Remove all but the newest ``keep`` backups; how many of these and of their contents went.

    That which was ``made`` just now stays: beside one of a clock that went before it seems to be older. Those
    of other installations are neither counted nor removed. What is kept is noted in ``scratch``. Nobody else
    may write to the vault meanwhile, which ``hold`` is for.
    Raises :class:`NotPruned` where one that stays cannot be read: then nothing is removed; and
    :class:`HoldLost`: then nothing more is.
    """
    ids = await vault.list_ids()
    own = [one for one in ids if await _is_own(vault, one, made)]
    gone = [one for one in own[:-keep] if one != made.id]
    inventory = Inventory(scratch)
    try:
        await list_kept(vault, inventory)
        for backup_id in ids:
            if backup_id not in gone:
                await _need(vault, backup_id, inventory)
        unneeded = list(inventory.unneeded())
    finally:
        inventory.close()
    await hold.check()
    await vault.drop(gone)
    await vault.remove_contents(unneeded, hold)
    return len(gone), len(unneeded)


async def _is_own(vault: Vault, backup_id: str, made: Manifest) -> bool:
    try:
        return (await vault.get(backup_id)).is_of(made)
    except ManifestDamaged:
        return False  # nobody knows whose it is


async def _need(vault: Vault, backup_id: str, inventory: Inventory) -> None:
    try:
        manifest = await vault.get(backup_id)
        inventory.need(digest for table in manifest.tables for digest in table.pieces)
        inventory.need(manifest.files.pieces)
        async for held in files_of(vault, manifest):
            inventory.need(one.sha256 for one in held)
    except (ManifestDamaged, PieceDamaged):
        raise NotPruned(
            f"no older backup is removed: what {backup_id} needs is not known, for it is damaged;"
            f" remove backups/{backup_id}.json where it lies."
        ) from None
