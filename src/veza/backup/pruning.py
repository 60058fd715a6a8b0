"""Removing old backups, and what only they needed."""

from veza.backup.reading import files_of, list_kept
from veza.backup.vault import Vault
from veza.core.storage_inventory import Inventory


async def prune(vault: Vault, keep: int) -> tuple[int, int]:
    """Remove all but the newest ``keep`` backups; how many of these and of their contents went.

    Nobody else may write to the vault meanwhile. Raises where one that stays cannot be read: then nothing is
    removed.
    """
    ids = await vault.list_ids()
    gone = ids[:-keep]
    inventory = Inventory()
    try:
        await list_kept(vault, inventory)
        for backup_id in ids[-keep:]:
            manifest = await vault.get(backup_id)
            inventory.need(digest for table in manifest.tables for digest in table.pieces)
            inventory.need(manifest.files.pieces)
            async for held in files_of(vault, manifest):
                inventory.need(one.sha256 for one in held)
        unneeded = list(inventory.unneeded())
    finally:
        inventory.close()
    await vault.drop(gone)
    await vault.remove_contents(unneeded)
    return len(gone), len(unneeded)
