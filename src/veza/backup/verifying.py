"""Reading a backup whole, without restoring it."""

import asyncio

from rich.console import Console

from veza.backup.manifest import Manifest
from veza.backup.pieces import PieceDamaged
from veza.backup.progress import counting, weighing
from veza.backup.reading import check_table, digest_of, files_of, let_go, open_content
from veza.backup.secret import get_secret
from veza.backup.vault import Vault, content_key
from veza.core.db.rows import Sum
from veza.core.storage_inventory import Held

_THREADS = 4


async def verify_backup(vault: Vault, manifest: Manifest, console: Console) -> None:
    """Read all that a backup holds, and compare it with what was put there. Raises PieceDamaged."""
    if manifest.secret.included:
        await get_secret(vault, manifest)
    with counting(console, "Tables", len(manifest.tables)) as tell:
        for part in manifest.tables:
            await check_table(vault, part)
            tell(1)
    turns = asyncio.Semaphore(_THREADS)

    async def check(file: Held) -> None:
        async with turns:
            path = await open_content(vault, file.sha256)
            try:
                if await asyncio.to_thread(digest_of, path) != file.sha256:
                    raise PieceDamaged(f"{content_key(file.sha256)}, the content of {file.key}, is damaged.")
            finally:
                let_go(vault, path)
            tell(file.size)

    listed = Sum()
    with weighing(console, "Files", manifest.files.bytes) as tell:
        async for held in files_of(vault, manifest):
            for file in held:
                listed.add((file.key, file.size, file.modified, file.sha256))
            await asyncio.gather(*map(check, held))
    if (listed.rows, listed.digest) != (manifest.files.count, manifest.files.digest):
        raise PieceDamaged("the list of files is not the one that was there.")
