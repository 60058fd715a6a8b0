"""Covers: from the tags of a file, or uploaded; whatever picture comes in, JPEGs of our own making go out."""

from collections.abc import AsyncIterator
from typing import Annotated, Literal
from uuid import UUID

from litestar.params import Dependency

from veza.access.actor import Actor, Member
from veza.core.db import Database, Tx
from veza.core.delivery import FileAnswer
from veza.core.exchange import Exchange
from veza.core.ids import new_id
from veza.core.jobs import enqueue
from veza.core.storage import Storage
from veza.core.turns import Turns
from veza.media import COVER_SIZES, make_images
from veza.rooms.accounts.pictures import MOST_WAITING, PictureIntake
from veza.rooms.tracks import files_store, service, store
from veza.rooms.tracks.errors import CoverNotFound, TrackNotReady
from veza.rooms.tracks.events import TrackUpdated
from veza.rooms.tracks.jobs import REMOVE_COVER, RemoveCover, cover_key, folder_of
from veza.rooms.tracks.schemas import Track

Size = Literal["96", "320", "1000"]


class Covers:
    """Takes covers in, and gives them out."""

    def __init__(self, database: Database, storage: Storage, pictures: PictureIntake) -> None:
        self._database = database
        self._storage = storage
        self._pictures = pictures
        # A picture of 16 million pixels takes a core and 200 MB for a second.
        self._turns = Turns(MOST_WAITING)

    async def put(
        self, tx: Tx, actor: Member, track_id: UUID, exchange: Exchange, body: AsyncIterator[bytes]
    ) -> Track:
        """The track, with the picture in the body as its cover.

        ``tx`` begins only when its files are safe in the storage. Raises what :meth:`PictureIntake.receive`
        raises, what pictures can be refused for, and Unavailable where too many wait.
        """
        async with self._database.read() as view:
            await service.get_own(view, actor, track_id)
        async with self._pictures.receive(actor, exchange, body) as picture, self._turns:
            images = await make_images(picture, COVER_SIZES)
        folder = f"{folder_of(track_id)}/cover/{new_id()}"
        try:
            for size, image in images.items():
                await self._storage.put_bytes(f"{folder}/{size}.jpg", image)
            return await _name(tx, actor, track_id, folder)
        except BaseException:
            await self._storage.delete_prefix(folder)
            raise

    async def remove(self, tx: Tx, actor: Member, track_id: UUID) -> None:
        """Leave the track without a cover, as it may be already."""
        await _name(tx, actor, track_id, None)

    async def find(self, tx: Tx, actor: Actor, track_id: UUID, size: int) -> FileAnswer:
        """The cover of a track as a file to send. Raises TrackNotFound, :class:`CoverNotFound`."""
        track = await service.get_visible(tx, actor, track_id)
        if not track.has_cover:
            raise CoverNotFound
        folder = await files_store.cover_folder(tx, track_id)
        key = f"{folder}/{size}.jpg" if folder else cover_key(track_id, size)
        return FileAnswer(
            self._storage,
            key,
            size=await self._storage.size(key),
            mime="image/jpeg",
            etag=f"{(folder or track_id.hex).rpartition('/')[2]}-{size}",
            public=track.listed,
            headers={"content-disposition": "inline"},
        )


TheCovers = Annotated[Covers, Dependency(skip_validation=True)]


async def _name(tx: Tx, actor: Member, track_id: UUID, folder: str | None) -> Track:
    track = await service.hold(tx, actor, track_id)
    before = await files_store.cover_folder(tx, track_id)
    if folder is None and not track.has_cover:
        return track
    if folder is not None and track.status == "failed":
        raise TrackNotReady("This track could not be processed, and keeps no files.")
    await files_store.set_cover_folder(tx, track_id, folder)
    changed = await store.change(tx, track, {"has_cover": folder is not None})
    if before is not None or folder is None:
        await enqueue(tx, REMOVE_COVER, RemoveCover(track_id, before))
    tx.emit(TrackUpdated(track.id, track.user_id))
    return changed
