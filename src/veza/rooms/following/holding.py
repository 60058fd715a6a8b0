"""What this room holds about somebody, for the export of their data."""

from uuid import UUID

from veza.core.db import Tx
from veza.rooms.accounts.holdings import Holding
from veza.rooms.following import store
from veza.rooms.following.schemas import Follow


async def _export(tx: Tx, user_id: UUID) -> list[Follow]:
    return await store.list_of(tx, user_id)


# Nothing to erase: what is left of an account goes after it, in pieces.
HOLDING = Holding("following", _export)
