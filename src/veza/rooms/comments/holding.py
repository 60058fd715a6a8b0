"""What this room holds about somebody, for the export of their data."""

from uuid import UUID

from veza.core.db import Tx
from veza.rooms.accounts.holdings import Holding
from veza.rooms.comments import store
from veza.rooms.comments.schemas import Comment


async def _export(tx: Tx, user_id: UUID) -> list[Comment]:
    return await store.list_of(tx, user_id)


# Nothing to erase: with the row of the user their comments become nobody's.
HOLDING = Holding("comments", _export)
