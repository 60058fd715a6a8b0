"""What somebody sells who is suspended: off sale until that is over, and then on sale again."""

from uuid import UUID

from veza.core.db import Tx
from veza.rooms.marketplace import products_store as store
from veza.rooms.marketplace.events import ProductUpdated
from veza.rooms.marketplace.products_store import ACTIVE, CLOSED


async def close(tx: Tx, user_id: UUID, most: int, *, closed: bool) -> int:
    """Take so many products of somebody off sale, or put them back; how many that were."""
    before, after = (ACTIVE, CLOSED) if closed else (CLOSED, ACTIVE)
    found = await store.hold(tx, await store.list_standing(tx, user_id, before, most))
    for product in found.values():
        if product.status == before:
            await store.change(tx, product, status=after)
            tx.emit(ProductUpdated(product.id, user_id))
    return len(found)
