"""An order that is not paid for is given up by its buyer."""

from uuid import UUID

from veza.access.actor import Member
from veza.core.db import Database, Tx
from veza.rooms.marketplace import orders, reconciling
from veza.rooms.marketplace import orders_store as store
from veza.rooms.marketplace.errors import (
    OrderNotFound,
    OrderNotPending,
    PaymentUnavailable,
    PaymentUnderWay,
)
from veza.rooms.marketplace.order_schemas import OrderView
from veza.rooms.marketplace.payment_kinds import AskPayment
from veza.rooms.marketplace.payments import ProviderRefused, Providers


async def give_up(
    tx: Tx, database: Database, actor: Member, providers: Providers, order_id: UUID
) -> OrderView:
    """The buyer will not pay; where they just have, the order is completed. ``tx`` begins after the asking.

    Raises :class:`OrderNotFound`, :class:`OrderNotPending`, :class:`PaymentUnderWay`,
    :class:`PaymentUnavailable`.
    """
    async with database.read() as view:
        order = await store.find(view, order_id)
    if order is None or order.buyer_id != actor.id:
        raise OrderNotFound
    if order.status != "pending":
        raise OrderNotPending
    provider = providers.find_money(order.provider)
    if provider is None:
        raise PaymentUnavailable
    try:
        await provider.withdraw(order.payment_ref)
        outcome = await provider.look(order.payment_ref)
    except ProviderRefused:  # as of another account's payments, whose key is not set any more
        raise PaymentUnavailable from None
    if outcome.state in {"open", "under_way"}:
        raise PaymentUnderWay
    await reconciling.follow(tx, AskPayment(order_id), outcome)
    return await orders.get_visible(tx, actor, order_id)
