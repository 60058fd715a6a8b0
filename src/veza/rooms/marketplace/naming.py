"""Which files the marketplace has of its own: copies. What was sold is the tracks' and the uploads'."""

from collections.abc import AsyncIterator, Sequence

from veza.core.db import Tx
from veza.core.storage import NamedFile
from veza.rooms.marketplace import naming_store

TOGETHER = 2_000


async def name_files(view: Tx) -> AsyncIterator[Sequence[NamedFile]]:
    """Each copy."""
    after = ""
    while found := await naming_store.list_made(view, after, TOGETHER):
        after = found[-1].key
        yield [NamedFile(one.key, one.size) for one in found]
