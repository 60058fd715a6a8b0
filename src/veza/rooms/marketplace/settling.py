"""What becomes of an order after it was placed: paid for, given up, or given back."""

from collections.abc import Sequence
from uuid import UUID

from veza.access.actor import Member
from veza.access.policy import Action, may
from veza.core import clock
from veza.core.db import Tx
from veza.core.errors import Forbidden
from veza.core.jobs import enqueue
from veza.rooms.marketplace import (
    charges_store,
    closing,
    deliveries_store,
    ledger,
    licences_store,
    orders,
    products,
    products_store,
    shares,
)
from veza.rooms.marketplace import orders_store as store
from veza.rooms.marketplace.errors import NothingToRefund, NotLate, OrderDisputed, OrderNotFound
from veza.rooms.marketplace.events import OrderCancelled, OrderRefunded
from veza.rooms.marketplace.kinds import PAY_BACK, PayBack
from veza.rooms.marketplace.order_schemas import OrderView
from veza.rooms.marketplace.orders_store import Item, Order
from veza.rooms.marketplace.terms import Terms
from veza.rooms.tracks import sales


async def settle(tx: Tx, order_id: UUID) -> Order:
    """A provider says that an order is paid for, perhaps not for the first time.

    What cannot be had any more, since it was withdrawn, sold to somebody else or bought twice, or its seller
    is suspended, is paid back whole, and the order cancelled. Raises :class:`OrderNotFound`.
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
    available = len(held) == len(ids) and not await closing.list_unavailable(tx, held.values())
    if available and not owned and buyer is not None:
        return await orders.complete(tx, order, items, held)
    return await call_off(tx, order, order.total, order.currency)


async def call_off(tx: Tx, order: Order, amount: int, currency: str) -> Order:
    """An order comes to nothing, and so much that was paid for it is given back."""
    await _pay_back(tx, order, amount, "cancelled", currency)
    return await mark_cancelled(tx, order, amount, currency)


async def refund(tx: Tx, actor: Member, order_id: UUID, terms: Terms) -> OrderView:
    """A seller gives back what they sold in an order, an admin all that is left of it.

    A service that was accepted is given back by an admin alone; a buyer gives back those that are late.

    Raises :class:`OrderNotFound`, :class:`Forbidden`, :class:`NothingToRefund`, :class:`NotLate`,
    :class:`OrderDisputed`.
    """
    await orders.get_visible(tx, actor, order_id)
    order = await store.lock(tx, order_id)
    if order is None:
        raise OrderNotFound
    items = await store.items_of(tx, [order_id])
    theirs = [item for item in items if may(actor, Action.REFUND, item)]
    if theirs:
        given_back = [item for item in theirs if item.refundable and _may_still(actor, item)]
    else:
        given_back = await _late(tx, items, terms)
    if not given_back:
        raise NothingToRefund
    if await charges_store.is_disputed(tx, order_id):
        raise OrderDisputed
    await give_back(tx, order, items, given_back)
    return await orders.get_visible(tx, actor, order_id)


def _may_still(actor: Member, item: Item) -> bool:
    return item.delivery != "accepted" or may(actor, Action.REFUND_ACCEPTED, item)


async def _late(tx: Tx, items: Sequence[Item], terms: Terms) -> list[Item]:
    """The services whose seller has had their time. Raises :class:`Forbidden`, :class:`NotLate`."""
    waiting = [item for item in items if item.refundable and item.delivery in {"ordered", "revision"}]
    if not waiting:
        raise Forbidden
    before = clock.now() - terms.delivered_within
    late = [item for item in waiting if await deliveries_store.waits_since(tx, item) <= before]
    if not late:
        raise NotLate
    return late


async def refund_undelivered(tx: Tx, order_id: UUID, seller_id: UUID) -> bool:
    """What a seller who is gone has not been able to deliver, or nobody has accepted, is given back.

    False where that waits until a dispute is over.
    """
    order = await store.lock(tx, order_id)
    items = await store.items_of(tx, [order_id])
    undelivered = [item for item in items if item.seller_id == seller_id and item.held and item.refundable]
    if order is None or not undelivered:
        return True
    if await charges_store.is_disputed(tx, order_id):
        return False
    await give_back(tx, order, items, undelivered)
    return True


async def give_back(tx: Tx, order: Order, lines: Sequence[Item], items: Sequence[Item]) -> None:
    """Of all ``lines`` of an order, which is locked, these are given back, with all that follows.

    Their price goes to the buyer, but for what has gone back already at the platform's expense.
    """
    ids = [item.product_id for item in items]
    held = await products_store.hold(tx, ids)
    await store.refund(tx, items)
    await licences_store.drop(tx, order.id, ids)
    for product in held.values():
        await sales.drop_buyer(tx, order.buyer_id, product.id)
        if product.exclusive and product.status == "sold":
            await products.withdraw(tx, product)
    await ledger.write(tx, items, order.currency, ledger.REFUND)
    await shares.take_back(tx, order, items)
    amount = sum(item.price for item in items)
    asked = amount - await _count_in(tx, order, lines, amount)
    await _pay_back(tx, order, asked, "-".join(str(item.position) for item in items), order.currency)
    left = any(item.refundable for item in lines if item not in items)
    await store.set_status(tx, order, "partially_refunded" if left else "refunded")
    if left and any(item.held for item in items):
        await shares.resume(tx, order.id)  # what else their sellers sold in it has waited for these
    sellers = sorted({item.seller_id for item in items})
    tx.emit(OrderRefunded(order.id, order.buyer_id, sellers, sorted(ids), amount, order.currency))


async def _count_in(tx: Tx, order: Order, lines: Sequence[Item], amount: int) -> int:
    """How much of an amount that is to go back has done so: no more can than was paid."""
    charge = await charges_store.find(tx, order.id)
    if charge is None or not charge.conceded:
        return 0
    before = sum(item.price for item in lines if item.refunded_at is not None)
    counted = max(before + charge.conceded + amount - order.total, 0)
    await charges_store.concede(tx, order.id, -counted)
    move = (ledger.PAYMENTS, ledger.CONCESSIONS, counted, order.currency)
    await ledger.book(tx, order.id, "concession_back", move)
    return counted


async def _pay_back(tx: Tx, order: Order, amount: int, what: str, currency: str) -> None:
    """Have the provider give money back once this is certain, however often it has to be asked."""
    if amount:
        told = PayBack(order.provider, order.payment_ref, amount, currency, f"{order.id}:{what}")
        await enqueue(tx, PAY_BACK, told)


async def cancel_pending(tx: Tx, buyer_id: UUID) -> None:
    """What somebody has not paid for is given up: their account ends."""
    for order in await store.lock_pending(tx, buyer_id):
        await mark_cancelled(tx, order)


async def mark_cancelled(tx: Tx, order: Order, amount: int = 0, currency: str = "") -> Order:
    """An order is given up; so much, in minor units, was paid for it, and is paid back elsewhere."""
    tx.emit(OrderCancelled(order.id, order.buyer_id, amount, currency))
    return await store.set_status(tx, order, "cancelled")
