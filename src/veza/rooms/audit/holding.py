"""What this room holds about somebody, for the export of their data."""

from collections.abc import Iterator
from uuid import UUID

from veza.core.db import Tx
from veza.rooms.accounts.holdings import Holding
from veza.rooms.audit import service
from veza.rooms.audit.schemas import LogEntry


async def _export(view: Tx, user_id: UUID) -> Iterator[LogEntry]:
    return await service.iterate(view, user_id)


# Nothing to erase: what happened stays true. An id is then a pseudonym of which nobody knows whose it was,
# and the rest goes with its time.
HOLDING = Holding("audit", _export)
