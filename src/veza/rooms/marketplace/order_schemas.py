"""Orders as callers send and see them."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Annotated, Literal
from uuid import UUID

import msgspec

from veza.rooms.marketplace.schemas import Standing

MOST_ITEMS = 100
MOST_DAYS = 366


class ItemDraft(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One thing that somebody wants to buy; it is refused where its price is not ``expected_price``."""

    product_id: UUID
    expected_price: Decimal | int | None = None


class OrderDraft(msgspec.Struct, frozen=True):
    """What somebody wants to buy, all of it or nothing."""

    items: Annotated[list[ItemDraft], msgspec.Meta(min_length=1, max_length=MOST_ITEMS)]


class ItemView(msgspec.Struct, frozen=True):
    """One line of an order, as it was when it was made; ``formats`` are those that it is downloaded in.

    ``delivery`` says of a service how far it is.
    """

    product_id: UUID
    price: float
    title: str
    product_type: str
    license_type: str
    seller_id: UUID
    refunded: bool
    formats: Sequence[str]
    delivery: str | None


class OrderView(msgspec.Struct, frozen=True):
    """An order; to a seller only their own lines, and what these cost."""

    id: UUID
    buyer_id: UUID
    total_amount: float
    currency: str
    status: str
    payment_url: str | None
    items: Sequence[ItemView]
    created_at: datetime
    completed_at: datetime | None


class OrderList(msgspec.Struct, frozen=True, kw_only=True):
    """A page of orders, the latest first; the list itself is ``data``, and beside it stands where it is."""

    success: Literal[True] = True
    data: Sequence[OrderView]
    pagination: Standing


class Sum(msgspec.Struct, frozen=True):
    """What was sold in one currency: ``gross`` in all, ``fees`` the platform's, ``net`` the seller's."""

    currency: str
    sales: int
    gross: float
    fees: float
    net: float
    refunds: int
    refunded: float


class Point(msgspec.Struct, frozen=True):
    """What was sold on one day in one currency, what of it was refunded since counted apart."""

    date: date
    currency: str
    sales: int
    gross: float
    net: float
    refunds: int
    refunded: float


class TopProduct(msgspec.Struct, frozen=True):
    """A product among those that brought most."""

    product_id: UUID
    title: str
    currency: str
    sales: int
    gross: float


class Sales(msgspec.Struct, frozen=True):
    """What somebody sold in so many days; ``balance`` is by currency what they can be paid out."""

    days: int
    totals: Sequence[Sum]
    series: Sequence[Point]
    top_products: Sequence[TopProduct]
    balance: Mapping[str, float]


class Link(msgspec.Struct, frozen=True):
    """An address from which the buyer downloads until it expires; a pack comes as one ZIP."""

    url: str
    expires_at: datetime
    filename: str
    format: str
    status: Literal["ready"] = "ready"


class Preparing(msgspec.Struct, frozen=True):
    """A download that is being made: so many of its files are there, of so many. Ask again soon."""

    format: str
    ready: int
    files: int
    status: Literal["preparing"] = "preparing"
