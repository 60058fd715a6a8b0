"""What this room holds about somebody, for the export of their data and the end of their account.

Orders and the ledger outlast both accounts, as books must: they name a seller and a buyer by an id that then
belongs to nobody. What was sold stays for its buyers.
"""

from typing import Any
from uuid import UUID

from veza.core.db import Tx
from veza.rooms.accounts.holdings import Holding
from veza.rooms.marketplace import (
    copies,
    copies_store,
    deliveries_store,
    delivering,
    ledger,
    ledger_store,
    licences_store,
    orders,
    orders_store,
    payouts,
    payouts_store,
    products,
    products_store,
    sales_store,
    sellers_store,
    settling,
)
from veza.rooms.marketplace.money import shown
from veza.rooms.marketplace.orders_store import Item
from veza.rooms.tracks import sales


async def _export(tx: Tx, user_id: UUID) -> dict[str, Any]:
    made = await orders_store.list_of(tx, user_id)
    items = await orders_store.items_of(tx, [order.id for order in made])
    of_order: dict[UUID, list[Item]] = {}
    for item in items:
        of_order.setdefault(item.order_id, []).append(item)
    formats = await copies.list_formats(tx, [item.product_id for item in items])
    sold = await sales_store.lines_of(tx, user_id)
    return {
        "products": map(products.view, await products_store.list_of(tx, user_id)),
        "orders": (orders.view(one, of_order.get(one.id, []), formats) for one in made),
        "licences": await licences_store.list_of(tx, user_id),
        "sales": (
            {"order_id": item.order_id, "product_id": item.product_id, "title": item.title,
             "price": shown(item.price), "fee": shown(item.fee), "sold_at": item.sold_at,
             "refunded_at": item.refunded_at}
            for item in sold
        ),
        "services": (delivering.view(item) for item in sold if item.delivery),
        "delivered": await deliveries_store.list_by(tx, user_id),
        "payouts": [payouts.view(one) for one in await payouts_store.list_of(tx, user_id)],
        "balance": {name: shown(amount) for name, amount in (await ledger.balance(tx, user_id)).items()},
        "payout_account": await sellers_store.find(tx, user_id),
        "shares": await sellers_store.shares_of(tx, user_id),
        "ledger": await ledger_store.list_of(tx, user_id),
    }  # fmt: skip


async def _erase(tx: Tx, user_id: UUID) -> None:
    await settling.cancel_pending(tx, user_id)
    await copies_store.drop_of(tx, user_id)
    await products_store.retire_of(tx, user_id)
    await licences_store.drop_of(tx, user_id)
    await sales.drop_buyer(tx, user_id)
    await sellers_store.drop(tx, user_id)


HOLDING = Holding("marketplace", _export, _erase)
