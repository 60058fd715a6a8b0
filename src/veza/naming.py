"""Which files all rooms together name."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import islice

from veza.core.db import Database, Tx
from veza.core.ids import made_at
from veza.core.installation import identify
from veza.core.storage import Entry, Naming, NoSuchFile, Storage
from veza.core.storage_inventory import Inventory
from veza.rooms.accounts.naming import name_files as name_avatars
from veza.rooms.marketplace.naming import name_files as name_copies
from veza.rooms.playlists.naming import name_files as name_playlist_covers
from veza.rooms.recommendations.naming import name_files as name_models
from veza.rooms.tracks.naming import name_files as name_tracks
from veza.rooms.uploads.naming import name_files as name_uploads

NAMINGS: Sequence[Naming] = (
    name_avatars,
    name_tracks,
    name_uploads,
    name_playlist_covers,
    name_copies,
    name_models,
)
# Where the rooms' files lie; what lies elsewhere is nobody's, or gone in a moment.
ROOTS = ("avatars", "tracks", "uploads", "playlists", "bought", "recommendations")
# So many files of each room are looked for, to tell whether any is there.
_ENOUGH = 10
# And of so many that are there it is asked how old they are.
_SOME = 1_000
# The clocks of the storage and of who writes to it may differ.
_CLOCKS = timedelta(hours=1)


async def name_all(view: Tx, inventory: Inventory) -> None:
    """Have the inventory know every file that is named."""
    for naming in NAMINGS:
        async for files in naming(view):
            inventory.name(files)


async def see_all(storage: Storage, inventory: Inventory) -> None:
    """Have the inventory know every file of the rooms that is there."""
    for root in ROOTS:
        some = []
        async for entry in storage.list(root):
            some.append(entry)
            if len(some) == 10_000:  # noqa: PLR2004 - at a time
                inventory.see(some)
                some = []
        inventory.see(some)


async def holds_any(storage: Storage, *, before: datetime | None = None) -> bool:
    """Whether there is a single file of any room; or one that is older, among the first that are listed."""
    for root in ROOTS:
        looked = 0
        async for entry in storage.list(root):
            if before is None or entry.modified < before:
                return True
            looked += 1
            if looked == _SOME:
                break
    return False


async def name_some(database: Database) -> list[str]:
    """A few files of each room that must be there, if the rows name any."""
    keys: list[str] = []
    async with database.snapshot() as view:
        for naming in NAMINGS:
            async for files in naming(view):
                keys += islice((file.key for file in files if not file.spare), _ENOUGH)
                break
    return keys


async def seem_one(database: Database, storage: Storage) -> bool:
    """Whether these files may be those that these rows name: one of some is there, or neither has any.

    Where there are files that are older than the database's id, one of those it must be: what came since this
    database may have put there itself, beside the files of another, before the storage could be asked.
    """
    began = made_at((await identify(database)).id) - _CLOCKS
    older = await holds_any(storage, before=began)
    keys = await name_some(database)
    for key in keys:
        found = await _find(storage, key)
        if found is not None and (not older or found.modified < began):
            return True
    return not keys and not await holds_any(storage)


async def _find(storage: Storage, key: str) -> Entry | None:
    try:
        return await storage.look_at(key)
    except NoSuchFile:
        return None
