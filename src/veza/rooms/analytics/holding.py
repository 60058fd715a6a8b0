"""What this room holds about somebody, for the export of their data; it goes with their account by itself."""

from collections.abc import AsyncIterator
from uuid import UUID

from veza.core.db import Tx
from veza.rooms.accounts.holdings import Holding
from veza.rooms.analytics import store
from veza.rooms.analytics.store import Told


async def _export(view: Tx, user_id: UUID) -> AsyncIterator[list[Told]]:
    return store.pieces_of(view, user_id)


HOLDING = Holding("analytics", _export)
