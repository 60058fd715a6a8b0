"""What this room holds about somebody, for the export of their data and the end of their account."""

from typing import Any
from uuid import UUID

from veza.core.db import Tx
from veza.rooms.accounts.holdings import Holding
from veza.rooms.webhooks import deliveries, deliveries_store, service, store

# Of each hook the newest; what they told is the user's own, and stands in the export elsewhere.
_MOST = 1_000


async def _export(tx: Tx, user_id: UUID) -> list[dict[str, Any]]:
    return [
        {
            "webhook": service.view(hook),
            "deliveries": [
                deliveries.view(row)
                for row in await deliveries_store.page(tx, hook.id, None, _MOST, (), None)
            ],
        }
        for hook in await store.list_of(tx, user_id)
    ]


HOLDING = Holding("webhooks", _export, service.remove_user_hooks)
