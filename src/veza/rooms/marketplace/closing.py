"""What somebody sells who is suspended: off sale until that is over, and then on sale again.

A job says so with each product, for lists are made of that. Whoever buys is told at once, for the seller's
own standing is looked at when an order is placed, and when it is paid for.
"""

from collections.abc import Iterable
from uuid import UUID

from veza.core.db import Tx
from veza.rooms.accounts import service as accounts
from veza.rooms.marketplace import products_store as store
from veza.rooms.marketplace import sellers
from veza.rooms.marketplace.events import ProductUpdated
from veza.rooms.marketplace.products_store import ACTIVE, CLOSED, Product


async def list_unavailable(tx: Tx, products: Iterable[Product]) -> list[Product]:
    """Those of these products that cannot be bought now, since they or their sellers are off sale."""
    found = list(products)
    gone = await accounts.list_suspended(tx, {one.seller_id for one in found if one.seller_id is not None})
    return [one for one in found if one.status != ACTIVE or one.seller_id in gone]


async def close(tx: Tx, user_id: UUID, most: int, *, closed: bool) -> int:
    """Take so many products of somebody off sale, or put them back; how many that were.

    With the last of these they are also handed what they have earned meanwhile.
    """
    before, after = (ACTIVE, CLOSED) if closed else (CLOSED, ACTIVE)
    found = await store.hold(tx, await store.list_standing(tx, user_id, before, most))
    for product in found.values():
        if product.status == before:
            await store.change(tx, product, status=after)
            tx.emit(ProductUpdated(product.id, user_id))
    if not closed and len(found) < most:
        await sellers.resume(tx, user_id)
    return len(found)
