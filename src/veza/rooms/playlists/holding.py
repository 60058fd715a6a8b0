"""What this room holds about somebody, for the export of their data and the end of their account."""

from typing import Any
from uuid import UUID

from veza.core.db import Tx
from veza.rooms.accounts.holdings import Holding
from veza.rooms.playlists import entries_store, people_store, service, store


async def _export(tx: Tx, user_id: UUID) -> dict[str, Any]:
    return {
        "own": await store.list_of(tx, user_id),
        "entries": await entries_store.list_held(tx, user_id),
        "collaborations": await people_store.list_work(tx, user_id),
        "followed": await people_store.list_followed(tx, user_id),
    }


async def _erase(tx: Tx, user_id: UUID) -> None:
    """Their playlists go; what they added to those of others stays, and is nobody's."""
    own = [one.id for one in await store.list_of(tx, user_id)]
    work = [one.playlist_id for one in await people_store.list_work(tx, user_id)]
    followed = [one.playlist_id for one in await people_store.list_followed(tx, user_id)]
    # All of them before anything is changed, in the one order.
    await store.lock_many(tx, [*own, *work, *followed])
    # Until they were held, others may have changed them: what counts is what there is now.
    await store.add_followers(tx, await people_store.unfollow_all(tx, user_id), -1)
    await people_store.remove_work(tx, user_id)
    for playlist in await store.list_of(tx, user_id):
        await service.delete(tx, playlist)


HOLDING = Holding("playlists", _export, _erase)
