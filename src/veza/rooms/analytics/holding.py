"""What this room holds about somebody, for the export of their data; it goes with their account by itself."""

from uuid import UUID

from veza.core.db import Tx
from veza.rooms.accounts.holdings import Holding
from veza.rooms.analytics import store
from veza.rooms.analytics.store import Told


async def _export(tx: Tx, user_id: UUID) -> list[Told]:
    return await store.list_of(tx, user_id)


HOLDING = Holding("analytics", _export)
