"""What this room holds about somebody, for the export of their data."""

from collections.abc import AsyncIterator
from uuid import UUID

from veza.core.db import Tx
from veza.rooms.accounts.holdings import Holding
from veza.rooms.comments import store
from veza.rooms.comments.schemas import Comment


async def _export(view: Tx, user_id: UUID) -> AsyncIterator[list[Comment]]:
    return store.pieces_of(view, user_id)


# Nothing to erase: with the row of the user their comments become nobody's.
HOLDING = Holding("comments", _export)
