"""All SQL about the ledger."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

import msgspec
import sqlalchemy as sa

from veza.core.db import Statement, Tx
from veza.rooms.accounts.tables import users
from veza.rooms.marketplace.tables import ledger, licences, order_items, orders

G = ledger.c
LINE = order_items.c
ORDER = orders.c


class Entry(msgspec.Struct, frozen=True):
    """One side of an amount, in minor units."""

    id: UUID
    order_id: UUID
    position: int
    kind: str
    account: str
    owner_id: UUID | None
    amount: int
    currency: str
    created_at: datetime


class Balance(msgspec.Struct, frozen=True):
    """What somebody has in one currency, in minor units."""

    currency: str
    amount: int


def _sum(amounts: sa.ColumnElement[int]) -> sa.ColumnElement[int]:
    """A sum that is a whole number on both databases."""
    return sa.cast(sa.func.coalesce(sa.func.sum(amounts), 0), sa.BigInteger)


_ADD: Statement[None] = Statement(sa.insert(ledger))
_BALANCES = Statement(
    sa.select(G.currency, _sum(G.amount).label("amount"))
    .where(G.owner_id == sa.bindparam("owner"))
    .group_by(G.currency)
    .order_by(G.currency),
    Balance,
)
_OF_OWNER = Statement(
    sa.select(*(ledger.c[name] for name in Entry.__struct_fields__))
    .where(G.owner_id == sa.bindparam("owner"))
    .order_by(G.created_at, G.id),
    Entry,
)
_OF_ORDER = Statement(
    sa.select(*(ledger.c[name] for name in Entry.__struct_fields__))
    .where(G.order_id == sa.bindparam("order"))
    .order_by(G.position, G.id),
    Entry,
)
_LAST_POSITION = Statement(sa.select(sa.func.max(G.position)).where(G.order_id == sa.bindparam("order")), int)
_UNBALANCED = Statement(
    sa.select(G.order_id)
    .group_by(G.order_id, G.currency, G.kind)
    .having(sa.func.sum(G.amount) != 0)
    .distinct(),
    UUID,
    heavy=True,
)
# Of each order that is paid for, what was paid is what its lines cost, and what was given back is of the
# lines that were refunded. What is pending stands nowhere.
_lines = (
    sa.select(
        LINE.order_id,
        _sum(sa.case((LINE.sold_at.is_not(None), LINE.price), else_=0)).label("sold"),
        _sum(sa.case((LINE.refunded_at.is_not(None), LINE.price), else_=0)).label("back"),
    )
    .group_by(LINE.order_id)
    .subquery()
)
_paid = (
    sa.select(
        G.order_id,
        _sum(sa.case((G.kind == "sale", -G.amount), else_=0)).label("sold"),
        _sum(sa.case((G.kind == "refund", G.amount), else_=0)).label("back"),
    )
    .where(G.account == "payments")
    .group_by(G.order_id)
    .subquery()
)
_NOT_AS_ORDERED = Statement(
    sa.select(ORDER.id)
    .select_from(
        orders.join(_lines, _lines.c.order_id == ORDER.id).outerjoin(_paid, _paid.c.order_id == ORDER.id)
    )
    .where(
        sa.or_(
            sa.func.coalesce(_paid.c.sold, 0) != _lines.c.sold,
            sa.func.coalesce(_paid.c.back, 0) != _lines.c.back,
            sa.and_(ORDER.status == "pending", _lines.c.sold != 0),
            sa.and_(ORDER.status == "completed", _lines.c.sold != ORDER.total),
        )
    ),
    UUID,
    heavy=True,
)
_licence = sa.exists(
    sa.select(1).where(licences.c.order_id == LINE.order_id, licences.c.product_id == LINE.product_id)
)
# Who has left has no licences any more.
_there = sa.exists(sa.select(1).where(users.c.id == ORDER.buyer_id))
_WITHOUT_LICENCE = Statement(
    sa.select(ORDER.id)
    .select_from(orders.join(order_items, LINE.order_id == ORDER.id))
    .where(
        _there,
        sa.or_(
            sa.and_(LINE.sold_at.is_not(None), LINE.refunded_at.is_(None), ~_licence),
            sa.and_(sa.or_(LINE.sold_at.is_(None), LINE.refunded_at.is_not(None)), _licence),
        ),
    )
    .distinct(),
    UUID,
    heavy=True,
)


async def add(tx: Tx, entries: Sequence[Entry]) -> None:
    """Write entries down."""
    await tx.run_many(_ADD, [msgspec.structs.asdict(entry) for entry in entries])


async def list_of_order(tx: Tx, order_id: UUID) -> list[Entry]:
    """Everything that stands there of an order."""
    return await tx.all(_OF_ORDER, order=order_id)


async def next_position(tx: Tx, order_id: UUID, least: int) -> int:
    """Where the next entry of an order, which is locked, stands: at ``least`` or behind all others."""
    last = await tx.first(_LAST_POSITION, order=order_id)
    return least if last is None else max(last + 1, least)


async def balances(tx: Tx, owner_id: UUID) -> list[Balance]:
    """What somebody's account adds up to."""
    return await tx.all(_BALANCES, owner=owner_id)


async def list_of(tx: Tx, owner_id: UUID) -> list[Entry]:
    """Everything that stands in somebody's account."""
    return await tx.all(_OF_OWNER, owner=owner_id)


async def unbalanced(tx: Tx) -> list[UUID]:
    """Orders of which the ledger does not sum to zero."""
    return await tx.all(_UNBALANCED)


async def not_as_ordered(tx: Tx) -> list[UUID]:
    """Orders of which it says something else than they do."""
    return await tx.all(_NOT_AS_ORDERED)


async def without_licence(tx: Tx) -> list[UUID]:
    """Orders with a line that is paid for and has no licence, or has one and is not."""
    return await tx.all(_WITHOUT_LICENCE)
