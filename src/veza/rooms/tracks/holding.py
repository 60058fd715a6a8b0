"""What this room holds about somebody, for the export of their data and the end of their account."""

from uuid import UUID

from veza.core.db import Tx
from veza.rooms.accounts.holdings import Holding
from veza.rooms.tracks import service, store
from veza.rooms.tracks.schemas import Track


async def _export(tx: Tx, user_id: UUID) -> list[Track]:
    return await store.list_of(tx, user_id)


HOLDING = Holding("tracks", _export, service.remove_user_tracks)
