"""What this room holds about somebody, for the export of their data."""

from collections.abc import AsyncIterator
from uuid import UUID

from veza.core.db import Tx
from veza.rooms.accounts.holdings import Holding
from veza.rooms.plays import store
from veza.rooms.plays.store import Listened


async def _export(view: Tx, user_id: UUID) -> AsyncIterator[list[Listened]]:
    return store.pieces_of(view, user_id)


# Nothing to erase: with the row of the user their listeners become nobody's, and so do their plays, which go
# on counting in the statistics of the tracks.
HOLDING = Holding("plays", _export)
