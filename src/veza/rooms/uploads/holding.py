"""What this room holds about somebody, for the export of their data and the end of their account."""

from typing import Any
from uuid import UUID

from veza.core.db import Tx
from veza.rooms.accounts.holdings import Holding
from veza.rooms.uploads import service, transfers


async def _export(tx: Tx, user_id: UUID) -> dict[str, Any]:
    return {
        "files": await service.list_all(tx, user_id),
        "transfers": await transfers.list_states(tx, user_id),
    }


async def _erase(tx: Tx, user_id: UUID) -> None:
    await transfers.remove_user_transfers(tx, user_id)
    await service.remove_user_uploads(tx, user_id)


HOLDING = Holding("uploads", _export, _erase)
