"""Buying: an order is all or nothing, at the price of the moment, and each thing is bought once.

But a service is bought once more when it is accepted.

Rows are held in one order: the buyer, then products, the smallest id first, then what is written new. So of
all who want an exclusive licence one gets it, and of a double click one half finds that it is owned.
"""

from collections.abc import Mapping, Sequence
from uuid import UUID

import msgspec

from veza.access.actor import Actor, Member
from veza.access.policy import Action, may
from veza.core import clock
from veza.core.db import Database, Tx
from veza.core.errors import Detail, ValidationFailed
from veza.core.exchange import Exchange
from veza.core.idempotency import claim, fingerprint_of
from veza.core.ids import new_id
from veza.core.pages import Page
from veza.core.text import BadValue
from veza.rooms.accounts import service as accounts
from veza.rooms.marketplace import closing, copies, ledger, licences_store, products_store
from veza.rooms.marketplace import orders_store as store
from veza.rooms.marketplace.errors import (
    AlreadyOwned,
    MixedCurrencies,
    OrderNotFound,
    OrderPending,
    OwnProduct,
    PriceChanged,
    ProductNotAvailable,
    ProductNotFound,
)
from veza.rooms.marketplace.events import OrderCompleted, OrderPlaced, ServiceOrdered
from veza.rooms.marketplace.money import share_of, shown, to_minor
from veza.rooms.marketplace.order_schemas import ItemDraft, ItemView, OrderDraft, OrderList, OrderView
from veza.rooms.marketplace.orders_store import Item, Order
from veza.rooms.marketplace.payments import Begun, Line, Payment, PaymentProvider
from veza.rooms.marketplace.products import stand
from veza.rooms.marketplace.products_store import Product
from veza.rooms.tracks import sales

ROUTE = "POST /marketplace/orders"
FREE = "free"
Formats = Mapping[UUID, Sequence[str]]


class Quote(msgspec.Struct, frozen=True):
    """What an order would cost: its products in the order asked for, all in one currency."""

    order_id: UUID
    products: Sequence[Product]

    @property
    def total(self) -> int:
        """In minor units."""
        return sum(product.price for product in self.products)

    @property
    def currency(self) -> str:
        """Of all of it."""
        return self.products[0].currency

    @property
    def ids(self) -> list[UUID]:
        """The products."""
        return [product.id for product in self.products]


class Shop:
    """Takes orders, by the operator's rules: ``fee`` is the platform's share in basis points."""

    def __init__(
        self, database: Database, provider: PaymentProvider, *, fee: int, verified_only: bool
    ) -> None:
        self._database = database
        self._provider = provider
        self._fee = fee
        self.verified_only = verified_only

    async def order(self, tx: Tx, actor: Member, exchange: Exchange, draft: OrderDraft) -> OrderView:
        """Somebody buys things, all of them or none; ``tx`` begins only when their payment has.

        Raises :class:`ProductNotFound`, :class:`ProductNotAvailable`, :class:`OwnProduct`,
        :class:`AlreadyOwned`, :class:`OrderPending`, :class:`PriceChanged`, :class:`MixedCurrencies`,
        :class:`ValidationFailed`, what the provider says that does not take the payment,
        and the answer to the same request if it came before (:class:`veza.core.idempotency.Replayed`).
        """
        key = claim(exchange, actor.id, ROUTE)
        async with self._database.read() as view:
            if key is not None:
                await key.check(view, fingerprint_of(draft))
            quote = await price(view, actor, draft.items)
            await self._check_pending(view, actor, quote)
        begun = Begun(paid=True, reference=FREE)
        if quote.total:
            lines = [Line(product.title, product.price) for product in quote.products]
            payment = Payment(quote.order_id, actor.id, quote.total, quote.currency, lines)
            begun = await self._provider.begin(payment)
        return await self._place(tx, actor, quote, begun)

    async def _place(self, tx: Tx, actor: Member, quote: Quote, begun: Begun) -> OrderView:
        await accounts.stay_signed_in(tx, actor)
        held = await products_store.hold(tx, quote.ids)
        products = [held[one] for one in quote.ids if one in held]
        await _check(tx, actor, products, quote.ids)
        await self._check_pending(tx, actor, quote)
        if [(one.price, one.currency) for one in products] != [
            (one.price, one.currency) for one in quote.products
        ]:
            raise PriceChanged
        order = Order(
            id=quote.order_id,
            buyer_id=actor.id,
            currency=quote.currency,
            total=quote.total,
            status="pending",
            provider=self._provider.name if quote.total else FREE,
            payment_ref=begun.reference,
            payment_url=begun.url,
            created_at=clock.now(),
            completed_at=None,
        )
        items = [self._line(order, position, product) for position, product in enumerate(products)]
        await store.add(tx, order, items)
        if begun.paid:
            order = await complete(tx, order, items, held)
        else:
            tx.emit(OrderPlaced(order.id, actor.id))
        return view(order, items, await copies.list_formats(tx, quote.ids))

    async def _check_pending(self, tx: Tx, actor: Member, quote: Quote) -> None:
        """Raise where somebody is about to pay for a thing twice; without money nothing is ever pending."""
        if self._provider.moves_money:
            pending = await store.pending_with(tx, actor.id, quote.ids)
            if pending:
                details = [Detail("items", f"Order {one} is not paid for.", "INVALID") for one in pending]
                raise OrderPending(details=details)

    def _line(self, order: Order, position: int, product: Product) -> Item:
        assert product.seller_id is not None  # nobody's product is not on sale
        return Item(
            order_id=order.id,
            position=position,
            product_id=product.id,
            seller_id=product.seller_id,
            title=product.title,
            product_type=product.product_type,
            license_type=product.license_type,
            price=product.price,
            fee=share_of(product.price, self._fee),
            sold_at=None,
            refunded_at=None,
            delivery="ordered" if product.product_type == "service" else None,
        )


async def price(tx: Tx, actor: Member, wanted: Sequence[ItemDraft]) -> Quote:
    """What these things would cost now. Raises what :meth:`Shop.order` does."""
    ids = [item.product_id for item in wanted]
    if len(set(ids)) < len(ids):
        raise ValidationFailed(details=[Detail("items", "Each product can be ordered once.", "INVALID")])
    found = await products_store.list_some(tx, ids)
    if len(found) < len(ids) or any(product.seller_id in actor.hidden for product in found.values()):
        raise ProductNotFound
    products = [found[one] for one in ids]
    await _check(tx, actor, products, ids)
    for item, product in zip(wanted, products, strict=True):
        if item.expected_price is not None and _minor(item.expected_price) != product.price:
            raise PriceChanged(details=[_at(product, f"It costs {shown(product.price):.2f}.")])
    return Quote(new_id(), products)


def _minor(amount: object) -> int:
    try:
        return to_minor(amount)  # type: ignore[arg-type]  # the body's own check let numbers through only
    except BadValue as bad:
        raise ValidationFailed(details=[Detail("items", bad.message, bad.code)]) from None


async def _check(tx: Tx, actor: Member, products: Sequence[Product], ids: Sequence[UUID]) -> None:
    """Raise unless ``actor`` may buy all of these, of which there may be fewer than asked for."""
    if own := [product for product in products if product.seller_id == actor.id]:
        raise OwnProduct(details=[_at(product, "This is your own.") for product in own])
    owned = await licences_store.owned(tx, actor.id, ids)
    if already := [product for product in products if product.id in owned]:
        raise AlreadyOwned(details=[_at(product, _owned(product)) for product in already])
    gone = await closing.list_unavailable(tx, products)
    if gone or len(products) < len(ids):
        raise ProductNotAvailable(details=[_at(product, "This is not on sale.") for product in gone])
    if len({product.currency for product in products}) > 1:
        raise MixedCurrencies


def _owned(product: Product) -> str:
    service = product.product_type == "service"
    return "You have ordered this, and it is not accepted yet." if service else "You own this already."


def _at(product: Product, said: str) -> Detail:
    return Detail(f"items.{product.id}", said, "INVALID")


async def complete(tx: Tx, order: Order, items: Sequence[Item], products: dict[UUID, Product]) -> Order:
    """An order is paid for: what was ordered is the buyer's. Its products are held."""
    done = await store.set_status(tx, order, "completed")
    await store.sell(tx, order.id)
    await licences_store.add(tx, items, order.buyer_id)
    for item in items:
        if item.license_type == "exclusive":
            await products_store.change(tx, products[item.product_id], status="sold")
    await ledger.write(tx, items, order.currency, ledger.SALE)
    files = await products_store.files_of(tx, [item.product_id for item in items])
    await sales.keep(tx, [file.key for file in files])
    for item in items:
        track_ids = [file.track_id for file in files if file.product_id == item.product_id and file.track_id]
        await sales.add_buyer(tx, order.buyer_id, item.product_id, track_ids)
    for item in items:
        if item.held:
            tx.emit(ServiceOrdered(order.id, item.product_id, item.seller_id))
    tx.emit(OrderCompleted(order.id, order.buyer_id, sorted({item.seller_id for item in items})))
    return done


async def get_visible(tx: Tx, actor: Actor, order_id: UUID) -> OrderView:
    """An order: to its buyer and admins whole, to a seller their own lines. Raises :class:`OrderNotFound`."""
    order = await store.find(tx, order_id)
    items = await store.items_of(tx, [order_id]) if order else []
    formats = await copies.list_formats(tx, [item.product_id for item in items])
    if order is not None and may(actor, Action.SEE_ORDER, order):
        return view(order, items, formats)
    own = [item for item in items if item.seller_id == actor.id and item.sold_at is not None]
    if order is None or not own:
        raise OrderNotFound
    return _part(order, own, formats)


def _part(order: Order, own: Sequence[Item], formats: Formats) -> OrderView:
    """Of an order what a seller sees."""
    return view(msgspec.structs.replace(order, total=sum(item.price for item in own)), own, formats)


async def list_own(tx: Tx, actor: Member, page: Page) -> OrderList:
    """A page of what the actor ordered, the latest first."""
    total = await store.count(tx, actor.id)
    found = await store.page(tx, actor.id, page) if page.offset < total else []
    items = await store.items_of(tx, [order.id for order in found])
    formats = await copies.list_formats(tx, [item.product_id for item in items])
    return OrderList(
        data=[view(order, [item for item in items if item.order_id == order.id], formats) for order in found],
        pagination=stand(page, total),
    )


async def list_sold(tx: Tx, actor: Member, page: Page) -> OrderList:
    """A page of the orders with something in them that the actor sold, and of each only that."""
    total, most = await store.count_sold(tx, actor.id), products_store.MOST_COUNTED
    found = await store.page_sold(tx, actor.id, page) if page.offset < min(total, most) else []
    items = [
        item for item in await store.items_of(tx, [order.id for order in found]) if item.seller_id == actor.id
    ]
    formats = await copies.list_formats(tx, [item.product_id for item in items])
    return OrderList(
        data=[
            _part(order, [item for item in items if item.order_id == order.id], formats) for order in found
        ],
        pagination=stand(page, min(total, most), exact=total <= most),
    )


def view(order: Order, items: Sequence[Item], formats: Formats) -> OrderView:
    """An order as callers see it; ``formats`` are by product those that it can be downloaded in."""
    return OrderView(
        id=order.id,
        buyer_id=order.buyer_id,
        total_amount=shown(order.total),
        currency=order.currency,
        status=order.status,
        payment_url=order.payment_url if order.status == "pending" else None,
        items=[
            ItemView(
                product_id=item.product_id,
                price=shown(item.price),
                title=item.title,
                product_type=item.product_type,
                license_type=item.license_type,
                seller_id=item.seller_id,
                refunded=item.refunded_at is not None,
                formats=formats.get(item.product_id, ()),
                delivery=item.delivery if order.status not in {"pending", "cancelled"} else None,
            )
            for item in items
        ],
        created_at=order.created_at,
        completed_at=order.completed_at,
    )
