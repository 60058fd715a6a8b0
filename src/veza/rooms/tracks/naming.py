"""Which files the tracks have: originals, what was made of them, covers, and what stays since it was sold."""

from collections.abc import AsyncIterator, Iterator, Sequence
from uuid import UUID

from veza.core.db import Tx
from veza.core.storage import NamedFile
from veza.media import COVER_SIZES
from veza.rooms.tracks import naming_store
from veza.rooms.tracks.jobs import cover_key, original_key, peaks_key
from veza.rooms.tracks.naming_store import Encoded, Filed

TOGETHER = 2_000
_FIRST = UUID(int=0)


async def name_files(view: Tx) -> AsyncIterator[Sequence[NamedFile]]:
    """All of them. What can be heard before a track is ready is made anew, and so not named."""
    after = _FIRST
    while filed := await naming_store.list_filed(view, after, TOGETHER):
        after = filed[-1].id
        yield [file for track in filed for file in _of(track)]
    last = Encoded(_FIRST, "", "", 0)
    while found := await naming_store.list_encoded(view, last.track_id, last.name, TOGETHER):
        last = found[-1]
        yield [NamedFile(one.key, one.size) for one in found]
    key = ""
    while kept := await naming_store.list_kept(view, key, TOGETHER):
        key = kept[-1].key
        about = [(one.key, one.particulars) for one in kept]
        yield [NamedFile(name, sha256=what.sha256 if what else "") for name, what in about]
        yield [NamedFile(what.cover) for _, what in about if what and what.cover]


def _of(track: Filed) -> Iterator[NamedFile]:
    if track.status == "failed":  # its files are removed, and no row needs them
        return
    yield NamedFile(original_key(track.id), track.file_size, track.sha256)
    yield NamedFile(peaks_key(track.id), spare=not track.encoded)
    tagged = track.has_cover and track.folder is None
    for size in COVER_SIZES:
        yield NamedFile(cover_key(track.id, size), spare=not tagged)
        if track.folder is not None:
            yield NamedFile(f"{track.folder}/{size}.jpg")
