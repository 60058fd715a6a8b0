"""All SQL about orders and their lines."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from uuid import UUID

import msgspec
import sqlalchemy as sa

from veza.core import clock
from veza.core.db import Statement, Tx, any_of
from veza.core.pages import Page
from veza.rooms.accounts.tables import users
from veza.rooms.marketplace.products_store import MOST_COUNTED
from veza.rooms.marketplace.tables import deliveries, licences, order_items, orders, product_files

ORDER = orders.c
LINE = order_items.c
# A service that was ordered and not accepted: what its seller has of it is held.
OPEN = ("ordered", "delivered", "revision")
# Beyond this offset a page takes milliseconds to walk to.
DEEP = 1_000


class Order(msgspec.Struct, frozen=True):
    """What somebody ordered; its ``total`` in minor units."""

    id: UUID
    buyer_id: UUID
    currency: str
    total: int
    status: str
    provider: str
    payment_ref: str
    payment_url: str | None
    created_at: datetime
    completed_at: datetime | None

    @property
    def user_id(self) -> UUID:
        """Whose it is, for the policy."""
        return self.buyer_id


class Item(msgspec.Struct, frozen=True):
    """One line of an order, as it was when it was made; ``price``, and ``fee`` of it, in minor units.

    ``delivery`` says of a service how far it is: ordered, delivered, revision, accepted or refunded. What is
    delivered counts as accepted at ``due_at``.
    """

    order_id: UUID
    position: int
    product_id: UUID
    seller_id: UUID
    title: str
    product_type: str
    license_type: str
    price: int
    fee: int
    sold_at: datetime | None
    refunded_at: datetime | None
    delivery: str | None = None
    due_at: datetime | None = None

    @property
    def user_id(self) -> UUID:
        """Who sold it, for the policy."""
        return self.seller_id

    @property
    def held(self) -> bool:
        """Whether what the seller has of it is held until it is accepted."""
        return self.delivery in OPEN

    @property
    def refundable(self) -> bool:
        """Whether it is paid for and was not given back."""
        return self.sold_at is not None and self.refunded_at is None


class Addressee(msgspec.Struct, frozen=True):
    """Where somebody is written to."""

    username: str
    email: str
    email_verified: bool


_ALL = sa.select(*(orders.c[name] for name in Order.__struct_fields__))
_ITEMS = sa.select(*(order_items.c[name] for name in Item.__struct_fields__))
_one = ORDER.id == sa.bindparam("id")
_mine = ORDER.buyer_id == sa.bindparam("buyer")
_FIND = Statement(_ALL.where(_one), Order)
_LOCK = Statement(_ALL.where(_one).with_for_update(), Order)
_LOCK_PENDING = Statement(
    _ALL.where(_mine, ORDER.status == "pending").order_by(ORDER.id).with_for_update(), Order
)
_PENDING_WITH = Statement(
    sa.select(ORDER.id)
    .select_from(orders.join(order_items, LINE.order_id == ORDER.id))
    .where(_mine, ORDER.status == "pending", any_of(LINE.product_id, "products"))
    .distinct(),
    UUID,
)
_PENDING_SINCE = Statement(
    _ALL.where(
        ORDER.status == "pending",
        ORDER.created_at < sa.bindparam("before"),
        ORDER.id > sa.bindparam("after"),
    )
    .order_by(ORDER.id)
    .limit(sa.bindparam("most", type_=sa.BigInteger)),
    Order,
    heavy=True,
)
_INSERT: Statement[None] = Statement(sa.insert(orders))
_ADD_ITEM: Statement[None] = Statement(sa.insert(order_items))
_ITEMS_OF = Statement(_ITEMS.where(any_of(LINE.order_id, "ids")).order_by(LINE.order_id, LINE.position), Item)
_SET: Statement[None] = Statement(
    sa.update(orders)
    .where(_one)
    .values(status=sa.bindparam("new_status"), completed_at=sa.bindparam("new_completed_at"))
)
_SELL: Statement[None] = Statement(
    sa.update(order_items).where(LINE.order_id == sa.bindparam("id")).values(sold_at=sa.bindparam("at"))
)
_REFUND: Statement[None] = Statement(
    sa.update(order_items)
    .where(LINE.order_id == sa.bindparam("id"), LINE.position == sa.bindparam("line"))
    .values(
        refunded_at=sa.bindparam("at"),
        delivery=sa.case((LINE.delivery.is_not(None), "refunded"), else_=None),
        due_at=None,
    )
)
_paging = {
    "limit": sa.bindparam("limit", type_=sa.BigInteger),
    "offset": sa.bindparam("offset", type_=sa.BigInteger),
}
_latest = _ALL.where(_mine).order_by(ORDER.created_at.desc(), ORDER.id.desc())
_paged = _latest.limit(_paging["limit"]).offset(_paging["offset"])
_PAGE, _DEEP_PAGE = Statement(_paged, Order), Statement(_paged, Order, heavy=True)
_COUNT = Statement(sa.select(sa.func.count()).select_from(orders).where(_mine), int)
# Orders with a line that somebody sold, as the index on these has them.
_sold = (
    sa.select(LINE.order_id, LINE.sold_at)
    .where(LINE.seller_id == sa.bindparam("seller"), LINE.sold_at.is_not(None))
    .distinct()
)
_some_sold = (
    _sold.order_by(LINE.sold_at.desc(), LINE.order_id.desc())
    .limit(_paging["limit"])
    .offset(_paging["offset"])
    .subquery()
)
_SOLD_PAGE = Statement(
    _ALL.select_from(_some_sold.join(orders, ORDER.id == _some_sold.c.order_id)).order_by(
        _some_sold.c.sold_at.desc(), ORDER.id.desc()
    ),
    Order,
    heavy=True,
)
_SOLD_COUNT = Statement(
    sa.select(sa.func.count()).select_from(_sold.limit(MOST_COUNTED + 1).subquery()), int, heavy=True
)
_OF_BUYER = Statement(_ALL.where(_mine).order_by(ORDER.created_at, ORDER.id), Order)
_ADDRESSEE = Statement(
    sa.select(users.c.username, users.c.email, users.c.email_verified).where(
        users.c.id == sa.bindparam("user")
    ),
    Addressee,
)
# A file that was sold, or delivered, and that there is a licence of.
_sold_file = sa.exists(
    sa.select(1)
    .select_from(product_files.join(licences, licences.c.product_id == product_files.c.product_id))
    .where(product_files.c.key == sa.bindparam("key"))
)
_delivered_file = sa.exists(
    sa.select(1)
    .select_from(
        deliveries.join(
            order_items,
            sa.and_(
                LINE.order_id == deliveries.c.order_id,
                LINE.position == deliveries.c.position,
            ),
        ).join(
            licences,
            sa.and_(licences.c.order_id == LINE.order_id, licences.c.product_id == LINE.product_id),
        )
    )
    .where(deliveries.c.key == sa.bindparam("key"))
)
_IS_NEEDED = Statement(sa.select(sa.literal(1)).where(sa.or_(_sold_file, _delivered_file)), int)


async def find(tx: Tx, order_id: UUID) -> Order | None:
    """The order, whoever asks."""
    return await tx.first(_FIND, id=order_id)


async def lock(tx: Tx, order_id: UUID) -> Order | None:
    """The same; nobody else changes it until ``tx`` is over."""
    return await tx.first(_LOCK, id=order_id)


async def lock_pending(tx: Tx, buyer_id: UUID) -> list[Order]:
    """Those orders of somebody's that are not paid for yet."""
    return await tx.all(_LOCK_PENDING, buyer=buyer_id)


async def pending_with(tx: Tx, buyer_id: UUID, product_ids: Sequence[UUID]) -> list[UUID]:
    """Those orders of somebody's that are not paid for yet and have one of these products in them."""
    return await tx.all(_PENDING_WITH, buyer=buyer_id, products=product_ids)


async def pending_since(tx: Tx, before: datetime, after: UUID, most: int) -> list[Order]:
    """The next orders by id that have not been paid for since then."""
    return await tx.all(_PENDING_SINCE, before=before, after=after, most=most)


async def add(tx: Tx, order: Order, items: Sequence[Item]) -> None:
    """Write a new order with its lines."""
    await tx.run(_INSERT, **msgspec.structs.asdict(order))
    await tx.run_many(_ADD_ITEM, [msgspec.structs.asdict(item) for item in items])


async def items_of(tx: Tx, order_ids: Iterable[UUID]) -> list[Item]:
    """The lines of these orders."""
    return await tx.all(_ITEMS_OF, ids=list(order_ids))


async def set_status(tx: Tx, order: Order, status: str) -> Order:
    """Give an order that is locked another status; what it is afterwards."""
    done = clock.now() if status == "completed" else order.completed_at
    after = msgspec.structs.replace(order, status=status, completed_at=done)
    await tx.run(_SET, id=order.id, new_status=status, new_completed_at=done)
    return after


async def sell(tx: Tx, order_id: UUID) -> None:
    """Every line of an order is paid for."""
    await tx.run(_SELL, id=order_id, at=clock.now())


async def refund(tx: Tx, items: Sequence[Item]) -> None:
    """These lines are given back."""
    now = clock.now()
    await tx.run_many(_REFUND, [{"id": item.order_id, "line": item.position, "at": now} for item in items])


async def page(tx: Tx, buyer_id: UUID, page: Page) -> list[Order]:
    """One page of what somebody ordered, the latest first."""
    statement = _PAGE if page.offset < DEEP else _DEEP_PAGE
    return await tx.all(statement, buyer=buyer_id, limit=page.limit, offset=page.offset)


async def count(tx: Tx, buyer_id: UUID) -> int:
    """How many orders somebody has made."""
    return await tx.first(_COUNT, buyer=buyer_id) or 0


async def page_sold(tx: Tx, seller_id: UUID, page: Page) -> list[Order]:
    """One page of the orders with something in them that somebody sold, the latest first."""
    return await tx.all(_SOLD_PAGE, seller=seller_id, limit=page.limit, offset=page.offset)


async def count_sold(tx: Tx, seller_id: UUID) -> int:
    """How many these are; one more than are counted where they are more."""
    return await tx.first(_SOLD_COUNT, seller=seller_id) or 0


async def list_of(tx: Tx, buyer_id: UUID) -> list[Order]:
    """Everything that somebody ordered."""
    return await tx.all(_OF_BUYER, buyer=buyer_id)


async def find_addressee(tx: Tx, user_id: UUID) -> Addressee | None:
    """Where somebody is written to; None once the account is gone."""
    return await tx.first(_ADDRESSEE, user=user_id)


async def is_needed(tx: Tx, key: str) -> bool:
    """Whether somebody has a licence for what has this file in it."""
    return await tx.first(_IS_NEEDED, key=key) is not None
