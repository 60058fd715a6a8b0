"""What this room holds about somebody, for the export of their data and the end of their account."""

from uuid import UUID

from veza.core.db import Tx
from veza.rooms.accounts.holdings import Holding
from veza.rooms.likes import service, store
from veza.rooms.likes.schemas import LikedTrack


async def _export(tx: Tx, user_id: UUID) -> list[LikedTrack]:
    return await store.list_of(tx, user_id)


HOLDING = Holding("likes", _export, service.remove_user_likes)
