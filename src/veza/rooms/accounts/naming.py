"""Which files the accounts have: avatars."""

from collections.abc import AsyncIterator, Sequence
from uuid import UUID

from veza.core.db import Tx
from veza.core.storage import NamedFile
from veza.rooms.accounts import naming_store
from veza.rooms.accounts.avatars import SIZES

TOGETHER = 2_000


async def name_files(view: Tx) -> AsyncIterator[Sequence[NamedFile]]:
    """Each avatar in each size."""
    after = UUID(int=0)
    while found := await naming_store.list_pictured(view, after, TOGETHER):
        after = found[-1].id
        yield [NamedFile(f"{user.avatar}/{size}.jpg") for user in found for size in SIZES]
