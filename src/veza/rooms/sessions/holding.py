"""What sessions know of somebody, for the export of their data."""

from uuid import UUID

from veza.core.db import Tx
from veza.rooms.accounts.holdings import Holding
from veza.rooms.sessions import store
from veza.rooms.sessions.store import KeptSession


async def _export(tx: Tx, user_id: UUID) -> list[KeptSession]:
    return await store.list_kept(tx, user_id)


# Nothing to erase: sessions, tokens and codes go with the row of their user.
HOLDING = Holding("sessions", _export)
