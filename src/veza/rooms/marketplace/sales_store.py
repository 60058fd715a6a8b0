"""SQL about what somebody sells: sums, days, and what sold best."""

from datetime import datetime
from uuid import UUID

import msgspec
import sqlalchemy as sa

from veza.core.db import Statement, Tx
from veza.rooms.marketplace.orders_store import Item
from veza.rooms.marketplace.tables import order_items, orders

LINE = order_items.c
MICROS_OF_A_DAY = 86_400_000_000
MOST_TOP = 10


class Total(msgspec.Struct, frozen=True):
    """What was sold in one currency; amounts in minor units, those that were refunded counted apart."""

    currency: str
    sales: int
    gross: int
    fees: int
    refunds: int
    refunded: int


class Day(msgspec.Struct, frozen=True):
    """What was sold on a day (counted since 1970), what of it was refunded since counted apart."""

    day: int
    currency: str
    sales: int
    gross: int
    fees: int
    refunds: int
    refunded: int


class Top(msgspec.Struct, frozen=True):
    """A product and what it brought."""

    product_id: UUID
    title: str
    currency: str
    sales: int
    gross: int


def _sum(amount: sa.ColumnElement[int], when: sa.ColumnElement[bool]) -> sa.ColumnElement[int]:
    found = sa.func.coalesce(sa.func.sum(sa.case((when, amount), else_=0)), 0)
    return sa.cast(found, sa.BigInteger)


_currency = orders.c.currency
_kept, _back = LINE.refunded_at.is_(None), LINE.refunded_at.is_not(None)
_one: sa.ColumnElement[int] = sa.literal_column("1", sa.BigInteger)
_sales = _sum(_one, _kept).label("sales")
_gross = _sum(LINE.price, _kept).label("gross")
_fees = _sum(LINE.fee, _kept).label("fees")
_refunds = _sum(_one, _back).label("refunds")
_refunded = _sum(LINE.price, _back).label("refunded")
_sold = order_items.join(orders, orders.c.id == LINE.order_id)
_mine = sa.and_(LINE.seller_id == sa.bindparam("seller"), LINE.sold_at >= sa.bindparam("since"))
_TOTALS = Statement(
    sa.select(_currency, _sales, _gross, _fees, _refunds, _refunded)
    .select_from(_sold)
    .where(_mine)
    .group_by(_currency)
    .order_by(_currency),
    Total,
    heavy=True,
)
# Whole days: both databases divide whole numbers without a rest.
_day = sa.type_coerce(LINE.sold_at, sa.BigInteger).op("/")(sa.literal_column(str(MICROS_OF_A_DAY)))
_DAYS = Statement(
    sa.select(
        sa.type_coerce(_day, sa.BigInteger).label("day"),
        _currency,
        _sales,
        _gross,
        _fees,
        _refunds,
        _refunded,
    )
    .select_from(_sold)
    .where(_mine)
    .group_by(sa.literal_column("day"), _currency)
    .order_by(sa.literal_column("day"), _currency),
    Day,
    heavy=True,
)
_TOP = Statement(
    sa.select(LINE.product_id, sa.func.max(LINE.title).label("title"), _currency, _sales, _gross)
    .select_from(_sold)
    .where(_mine, _kept)
    .group_by(LINE.product_id, _currency)
    .order_by(sa.literal_column("gross").desc(), sa.literal_column("sales").desc(), LINE.product_id)
    .limit(MOST_TOP),
    Top,
    heavy=True,
)
_LINES = Statement(
    sa.select(*(order_items.c[name] for name in Item.__struct_fields__))
    .where(LINE.seller_id == sa.bindparam("seller"), LINE.sold_at.is_not(None))
    .order_by(LINE.sold_at, LINE.order_id, LINE.position),
    Item,
)


async def totals(tx: Tx, seller_id: UUID, since: datetime) -> list[Total]:
    """What somebody sold since then, by currency."""
    return await tx.all(_TOTALS, seller=seller_id, since=since)


async def days(tx: Tx, seller_id: UUID, since: datetime) -> list[Day]:
    """The same day by day; days without a sale are left out."""
    return await tx.all(_DAYS, seller=seller_id, since=since)


async def top(tx: Tx, seller_id: UUID, since: datetime) -> list[Top]:
    """What brought most."""
    return await tx.all(_TOP, seller=seller_id, since=since)


async def lines_of(tx: Tx, seller_id: UUID) -> list[Item]:
    """Every line that somebody ever sold."""
    return await tx.all(_LINES, seller=seller_id)
