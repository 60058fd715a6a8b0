"""What becomes of an order after it was placed: paid for, given up, or given back."""

from collections.abc import Sequence
from uuid import UUID

from veza.access.actor import Member
from veza.access.policy import Action, may
from veza.core.db import Tx
from veza.core.errors import Forbidden
from veza.core.jobs import enqueue
from veza.rooms.marketplace import ledger, licences_store, orders, products, products_store
from veza.rooms.marketplace import orders_store as store
from veza.rooms.marketplace.errors import NothingToRefund, OrderNotFound
from veza.rooms.marketplace.events import OrderRefunded
from veza.rooms.marketplace.kinds import PAY_BACK, PayBack
from veza.rooms.marketplace.order_schemas import OrderView
from veza.rooms.marketplace.orders_store import Item, Order
from veza.rooms.tracks import sales


async def settle(tx: Tx, order_id: UUID) -> Order:
    """A provider says that an order is paid for, perhaps not for the first time.

    What cannot be had any more, since it was withdrawn, sold to somebody else or bought twice, is paid back
    whole, and the order cancelled. Raises :class:`OrderNotFound`.
    """
    order = await store.lock(tx, order_id)
    if order is None:
        raise OrderNotFound
    if order.status != "pending":
        return order
    items = await store.items_of(tx, [order.id])
    ids = [item.product_id for item in items]
    held = await products_store.hold(tx, ids)
    owned = await licences_store.owned(tx, order.buyer_id, ids)
    buyer = await store.find_addressee(tx, order.buyer_id)
    available = all(one in held and held[one].status == "active" for one in ids)
    if available and not owned and buyer is not None:
        return await orders.complete(tx, order, items, held)
    await _pay_back(tx, order, order.total, "cancelled")
    return await store.set_status(tx, order, "cancelled")


async def refund(tx: Tx, actor: Member, order_id: UUID) -> OrderView:
    """A seller gives back what they sold in an order, an admin all that is left of it.

    Raises :class:`OrderNotFound`, :class:`Forbidden`, :class:`NothingToRefund`.
    """
    await orders.get_visible(tx, actor, order_id)
    order = await store.lock(tx, order_id)
    if order is None:
        raise OrderNotFound
    items = await store.items_of(tx, [order_id])
    theirs = [item for item in items if may(actor, Action.REFUND, item)]
    if not theirs:
        raise Forbidden
    given_back = [item for item in theirs if item.refundable]
    if not given_back:
        raise NothingToRefund
    await _give_back(tx, order, given_back)
    left = any(item.refundable for item in items if item not in given_back)
    await store.set_status(tx, order, "partially_refunded" if left else "refunded")
    return await orders.get_visible(tx, actor, order_id)


async def _give_back(tx: Tx, order: Order, items: Sequence[Item]) -> None:
    ids = [item.product_id for item in items]
    held = await products_store.hold(tx, ids)
    await store.refund(tx, items)
    await licences_store.drop(tx, order.id, ids)
    for product in held.values():
        await sales.drop_buyer(tx, order.buyer_id, product.id)
        if product.exclusive and product.status == "sold":
            await products.withdraw(tx, product)
    await ledger.write(tx, items, order.currency, ledger.REFUND)
    amount = sum(item.price for item in items)
    await _pay_back(tx, order, amount, "-".join(str(item.position) for item in items))
    sellers = sorted({item.seller_id for item in items})
    tx.emit(OrderRefunded(order.id, order.buyer_id, sellers, sorted(ids), amount, order.currency))


async def _pay_back(tx: Tx, order: Order, amount: int, what: str) -> None:
    """Have the provider give money back once this is certain, however often it has to be asked."""
    if amount:
        told = PayBack(order.provider, order.payment_ref, amount, order.currency, f"{order.id}:{what}")
        await enqueue(tx, PAY_BACK, told)


async def cancel_pending(tx: Tx, buyer_id: UUID) -> None:
    """What somebody has not paid for is given up: their account ends."""
    for order in await store.lock_pending(tx, buyer_id):
        await store.set_status(tx, order, "cancelled")
