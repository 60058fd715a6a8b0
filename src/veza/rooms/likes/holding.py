"""What this room holds about somebody, for the export of their data and the end of their account."""

from collections.abc import AsyncIterator
from uuid import UUID

from veza.core.db import Tx
from veza.rooms.accounts.holdings import Holding
from veza.rooms.likes import service, store
from veza.rooms.likes.schemas import LikedTrack


async def _export(view: Tx, user_id: UUID) -> AsyncIterator[list[LikedTrack]]:
    return store.pieces_of(view, user_id)


HOLDING = Holding("likes", _export, service.remove_user_likes)
