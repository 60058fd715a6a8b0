"""Covers of playlists: one that somebody uploaded, or a mosaic of the first covers of its tracks.

A mosaic is made when it is first asked for, of tracks that everybody sees at that moment, and kept under the
name of what it was made of: so it is another one as soon as these tracks, or their covers, are others. Where
one of these covers is of a user hidden from the viewer, they see the first that is not, alone.
"""

import hashlib
from collections.abc import AsyncIterator, Sequence
from typing import Annotated
from uuid import UUID

from litestar.params import Dependency

from veza.access.actor import GUEST, Actor, Member
from veza.access.policy import Action, require
from veza.core.db import Database, Tx
from veza.core.delivery import FileAnswer
from veza.core.errors import NotFound
from veza.core.exchange import Exchange
from veza.core.ids import new_id
from veza.core.jobs import enqueue
from veza.core.storage import Storage
from veza.core.turns import Turns
from veza.media import COVER_SIZES, make_mosaic, make_square_images
from veza.rooms.accounts.pictures import PictureIntake
from veza.rooms.playlists import entries_store, service, store
from veza.rooms.playlists.errors import PlaylistCoverNotFound
from veza.rooms.playlists.events import PlaylistUpdated
from veza.rooms.playlists.kinds import REMOVE_FILES, RemoveFiles, folder_of
from veza.rooms.playlists.schemas import Playlist
from veza.rooms.tracks.covers import Covers as TrackCovers

# Covers in a mosaic; with fewer there is the first one alone.
TILES = 4
_TILE = 320
# More than a JPEG of our own making has at this size.
_MOST_BYTES = 1 << 20
# Pictures that may wait to be made: some seconds.
_MOST_WAITING = 20


class Covers:
    """Takes covers of playlists in, makes them, and gives them out."""

    def __init__(
        self, database: Database, storage: Storage, pictures: PictureIntake, of_tracks: TrackCovers
    ) -> None:
        self._database = database
        self._storage = storage
        self._pictures = pictures
        self._of_tracks = of_tracks
        # A picture of 16 million pixels takes a core and 200 MB for a second.
        self._turns = Turns(_MOST_WAITING)

    async def put(
        self, tx: Tx, actor: Member, playlist_id: UUID, exchange: Exchange, body: AsyncIterator[bytes]
    ) -> Playlist:
        """The playlist, with the picture in the body as its cover.

        ``tx`` begins only when its files are safe in the storage. Raises what :meth:`PictureIntake.receive`
        raises, and what pictures can be refused for.
        """
        async with self._database.read() as view:
            playlist = await service.get_visible(view, actor, playlist_id)
            require(actor, Action.EDIT_PLAYLIST, playlist)
        async with self._pictures.receive(actor, exchange, body) as picture, self._turns:
            images = await make_square_images(picture, COVER_SIZES)
        folder = f"{folder_of(playlist_id)}/cover/{new_id()}"
        try:
            await self._keep(folder, images)
            return await _name(tx, actor, playlist_id, folder)
        except BaseException:
            await self._storage.delete_prefix(folder)
            raise

    async def remove(self, tx: Tx, actor: Member, playlist_id: UUID) -> None:
        """Leave the playlist without an uploaded cover, as it may be already."""
        await _name(tx, actor, playlist_id, None)

    async def find(self, viewer: Actor, playlist_id: UUID, size: int) -> FileAnswer:
        """The cover of a playlist as a file to send.

        Raises PlaylistNotFound, PlaylistCoverNotFound, and Unavailable where too many are to be made.
        """
        async with self._database.read() as view:
            playlist = await service.get_visible(view, viewer, playlist_id)
            folder = (await store.find_covers(view, playlist_id)).cover
            tiles = [] if folder else await self._find_tiles(view, viewer, playlist_id)
        if folder is None and len(tiles) < TILES:
            # For whom users are hidden it may be another one than for everybody.
            return await self._first(tiles, size, public=playlist.listed and not viewer.hidden)
        return await self._answer(folder or await self._mosaic(playlist_id, tiles), size, playlist)

    async def _find_tiles(self, view: Tx, viewer: Actor, playlist_id: UUID) -> list[FileAnswer]:
        """The covers of a mosaic; where one of them is hidden from the viewer, the first that is not."""
        found = []
        covered = await entries_store.list_covered(view, playlist_id, TILES)
        if any(track.user_id in viewer.hidden for track in covered):
            every = await entries_store.list_covered(view, playlist_id, entries_store.LOOKED_AT)
            covered = [track for track in every if track.user_id not in viewer.hidden][:1]
        for track in covered:
            try:
                found.append(await self._of_tracks.find(view, GUEST, track.id, _TILE))
            except NotFound:  # gone in this moment
                continue
        return found

    async def _first(self, tiles: Sequence[FileAnswer], size: int, *, public: bool) -> FileAnswer:
        if not tiles:
            raise PlaylistCoverNotFound
        key = tiles[0].key.replace(f"/{_TILE}.jpg", f"/{size}.jpg")
        return FileAnswer(
            self._storage, key, size=await self._storage.size(key), mime="image/jpeg",
            etag=f"{hashlib.sha256(key.encode()).hexdigest()[:32]}", public=public,
            headers={"content-disposition": "inline"},
        )  # fmt: skip

    async def _mosaic(self, playlist_id: UUID, tiles: Sequence[FileAnswer]) -> str:
        """Where the mosaic of these lies; made, if there is none."""
        made_of = hashlib.sha256(" ".join(tile.key + tile.tag for tile in tiles).encode()).hexdigest()[:32]
        folder = f"{folder_of(playlist_id)}/mosaic/{made_of}"
        if not await self._is_whole(folder):
            async with self._turns:
                if not await self._is_whole(folder):
                    pictures = [await self._storage.get_bytes(tile.key, _MOST_BYTES) for tile in tiles]
                    await self._keep(folder, await make_mosaic(pictures, COVER_SIZES))
                    await self._remember(playlist_id, folder)
        return folder

    async def _is_whole(self, folder: str) -> bool:
        try:
            await self._storage.size(f"{folder}/{max(COVER_SIZES)}.jpg")  # stored last, see `_keep`
        except NotFound:
            return False
        return True

    async def _keep(self, folder: str, images: dict[int, bytes]) -> None:
        for size, image in sorted(images.items()):
            await self._storage.put_bytes(f"{folder}/{size}.jpg", image)

    async def _remember(self, playlist_id: UUID, folder: str) -> None:
        """So that the files of the one before go, and these do if there is no such playlist any more."""
        async with self._database.write() as tx:
            there = await store.lock(tx, playlist_id)
            before = (await store.find_covers(tx, playlist_id)).mosaic if there else folder
            if there:
                await store.set_mosaic(tx, playlist_id, folder)
            if before is not None and before != (folder if there else None):
                await enqueue(tx, REMOVE_FILES, RemoveFiles(before))

    async def _answer(self, folder: str, size: int, playlist: Playlist) -> FileAnswer:
        key = f"{folder}/{size}.jpg"
        return FileAnswer(
            self._storage, key, size=await self._storage.size(key), mime="image/jpeg",
            etag=f"{folder.rpartition('/')[2]}-{size}", public=playlist.listed,
            headers={"content-disposition": "inline"},
        )  # fmt: skip


TheCovers = Annotated[Covers, Dependency(skip_validation=True)]


async def _name(tx: Tx, actor: Member, playlist_id: UUID, folder: str | None) -> Playlist:
    playlist = await service.hold(tx, actor, playlist_id, Action.EDIT_PLAYLIST)
    before = (await store.find_covers(tx, playlist_id)).cover
    if folder is None and before is None:
        return playlist
    await store.change(tx, playlist, {"cover": folder})
    if before is not None:
        await enqueue(tx, REMOVE_FILES, RemoveFiles(before))
    tx.emit(PlaylistUpdated(playlist.id, playlist.user_id, ("cover",)))
    return await service.get_visible(tx, actor, playlist_id)
