"""Which files the uploads have: what came. What has come so far of others, chunk by chunk, is no file yet."""

from collections.abc import AsyncIterator, Sequence
from uuid import UUID

from veza.core.db import Tx
from veza.core.storage import NamedFile
from veza.rooms.uploads import naming_store
from veza.rooms.uploads.service import original_key

TOGETHER = 2_000


async def name_files(view: Tx) -> AsyncIterator[Sequence[NamedFile]]:
    """The file of each."""
    after = UUID(int=0)
    while found := await naming_store.list_whole(view, after, TOGETHER):
        after = found[-1].id
        yield [NamedFile(original_key(one.id), one.size) for one in found]
