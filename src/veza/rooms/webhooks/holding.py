"""What this room holds about somebody, for the export of their data and the end of their account."""

from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

from veza.core.db import Tx
from veza.rooms.accounts.holdings import Holding
from veza.rooms.webhooks import deliveries, deliveries_store, service, store

# Of each hook the newest; what they told is the user's own, and stands in the export elsewhere.
_MOST = 1_000


async def _export(view: Tx, user_id: UUID) -> AsyncIterator[list[dict[str, Any]]]:
    return _hooks(view, user_id)


async def _hooks(view: Tx, user_id: UUID) -> AsyncIterator[list[dict[str, Any]]]:
    """A hook is a piece."""
    for hook in await store.list_of(view, user_id):
        rows = await deliveries_store.page(view, hook.id, None, _MOST, (), None)
        yield [{"webhook": service.view(hook), "deliveries": [deliveries.view(row) for row in rows]}]


HOLDING = Holding("webhooks", _export, service.remove_user_hooks)
