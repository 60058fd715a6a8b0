"""Avatars: whatever picture comes in, three square JPEGs of our own making go out."""

from collections.abc import AsyncIterator
from typing import Annotated
from uuid import UUID

from litestar.params import Dependency

from veza.access.actor import Actor
from veza.access.policy import Action
from veza.core.db import Database, Tx
from veza.core.delivery import FileAnswer
from veza.core.exchange import Exchange
from veza.core.ids import new_id
from veza.core.jobs import enqueue
from veza.core.storage import Storage
from veza.core.turns import Turns
from veza.media import make_square_images
from veza.rooms.accounts import profiles, store
from veza.rooms.accounts.errors import NoAvatar
from veza.rooms.accounts.events import AvatarChanged
from veza.rooms.accounts.kinds import REMOVE_AVATAR, RemoveAvatar
from veza.rooms.accounts.pictures import MOST_WAITING, PictureIntake
from veza.rooms.accounts.store import User

ROOT = "avatars"
# Pixels a side.
SIZES = (96, 320, 1000)


def folder_of(user_id: UUID) -> str:
    """Where all avatars lie that somebody ever had and that are not yet removed."""
    return f"{ROOT}/{user_id}"


class Avatars:
    """Takes pictures in, and gives avatars out."""

    def __init__(self, database: Database, storage: Storage, pictures: PictureIntake) -> None:
        self._database = database
        self._storage = storage
        self._pictures = pictures
        # A picture of 16 million pixels takes a core and 200 MB for a second.
        self._turns = Turns(MOST_WAITING)

    async def put(
        self, tx: Tx, actor: Actor, user_id: UUID, exchange: Exchange, body: AsyncIterator[bytes]
    ) -> User:
        """The user, with the picture in the body as their avatar.

        ``tx`` begins only when its files are safe in the storage. Raises what
        :meth:`PictureIntake.receive` raises, what pictures can be refused for, and Unavailable where too many
        wait.
        """
        async with self._database.read() as view:
            await profiles.get_own(view, actor, Action.EDIT_PROFILE, user_id)
        async with self._pictures.receive(actor, exchange, body) as picture, self._turns:
            images = await make_square_images(picture, SIZES)
        folder = f"{folder_of(user_id)}/{new_id()}"
        try:
            for size, image in images.items():
                await self._storage.put_bytes(f"{folder}/{size}.jpg", image)
            return await _set(tx, actor, user_id, folder)
        except BaseException:
            await self._storage.delete_prefix(folder)
            raise

    async def find(self, tx: Tx, actor: Actor, user_id: UUID, size: int) -> FileAnswer:
        """Somebody's avatar as a file to send. Raises UserNotFound, :class:`NoAvatar`."""
        user = await profiles.get_visible(tx, actor, user_id)
        if user.avatar is None:
            raise NoAvatar
        key = f"{user.avatar}/{size}.jpg"
        return FileAnswer(
            self._storage,
            key,
            size=await self._storage.size(key),
            mime="image/jpeg",
            etag=f"{user.avatar.rpartition('/')[2]}-{size}",
            public=True,
            headers={"content-disposition": "inline"},
        )

    async def remove(self, tx: Tx, actor: Actor, user_id: UUID) -> None:
        """Leave the user without an avatar, as they may be already."""
        await _set(tx, actor, user_id, None)


TheAvatars = Annotated[Avatars, Dependency(skip_validation=True)]


async def _set(tx: Tx, actor: Actor, user_id: UUID, folder: str | None) -> User:
    user = await profiles.lock_for_edit(tx, actor, user_id)
    if user.avatar == folder:
        return user
    await store.set_avatar(tx, user.id, folder)
    if user.avatar is not None:
        await enqueue(tx, REMOVE_AVATAR, RemoveAvatar(user.avatar))
    tx.emit(AvatarChanged(user.id))
    return await profiles.get_user(tx, user_id)
