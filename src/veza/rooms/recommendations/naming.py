"""Which files recommendations have: models."""

from collections.abc import AsyncIterator, Sequence

from veza.core.db import Tx
from veza.core.storage import NamedFile
from veza.rooms.recommendations import store


async def name_files(view: Tx) -> AsyncIterator[Sequence[NamedFile]]:
    """The few that there are."""
    yield [NamedFile(made.key, made.size, made.digest) for made in await store.list_all(view)]
