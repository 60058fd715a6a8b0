"""Which files the playlists have: covers."""

from collections.abc import AsyncIterator, Iterator, Sequence
from uuid import UUID

from veza.core.db import Tx
from veza.core.storage import NamedFile
from veza.media import COVER_SIZES
from veza.rooms.playlists import naming_store
from veza.rooms.playlists.naming_store import Covered

TOGETHER = 2_000


async def name_files(view: Tx) -> AsyncIterator[Sequence[NamedFile]]:
    """Each cover in each size; one that is made of other covers can be made anew."""
    after = UUID(int=0)
    while found := await naming_store.list_covered(view, after, TOGETHER):
        after = found[-1].id
        yield [file for playlist in found for file in _of(playlist)]


def _of(playlist: Covered) -> Iterator[NamedFile]:
    for folder in (playlist.cover, playlist.mosaic):
        if folder is not None:
            spare = folder == playlist.mosaic
            yield from (NamedFile(f"{folder}/{size}.jpg", spare=spare) for size in COVER_SIZES)
