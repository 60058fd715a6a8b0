"""SQL about what changed a seller's balance."""

from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
import sqlalchemy as sa

from veza.core.db import Statement, Tx
from veza.rooms.marketplace.ledger_store import whole
from veza.rooms.marketplace.products_store import MOST_COUNTED
from veza.rooms.marketplace.tables import ledger, order_items

G = ledger.c
LINE = order_items.c


class Change(msgspec.Struct, frozen=True):
    """One change, in minor units; without a product it is of a payout, or of a share of an order."""

    id: UUID
    created_at: datetime
    kind: str
    subject_id: UUID
    currency: str
    amount: int
    product_id: UUID | None
    title: str | None
    price: int | None
    fee: int | None


class Span(msgspec.Struct, frozen=True):
    """A seller and a time, from its first moment to its last."""

    owner: UUID
    since: datetime
    until: datetime

    @property
    def values(self) -> dict[str, Any]:
        """The parameters of statements."""
        return msgspec.structs.asdict(self)


class Opening(msgspec.Struct, frozen=True):
    """What there was before, in one currency."""

    currency: str
    amount: int


_mine = sa.and_(G.owner_id == sa.bindparam("owner"), G.account == sa.literal_column("'seller'"))
_within = sa.and_(_mine, G.created_at >= sa.bindparam("since"), G.created_at <= sa.bindparam("until"))
_changes = (
    sa.select(
        G.id,
        G.created_at,
        G.kind,
        G.order_id.label("subject_id"),
        G.currency,
        G.amount,
        LINE.product_id,
        LINE.title,
        LINE.price,
        LINE.fee,
    )
    .select_from(
        ledger.outerjoin(order_items, sa.and_(LINE.order_id == G.order_id, LINE.position == G.position))
    )
    .order_by(G.created_at, G.id)
    .limit(sa.bindparam("limit", type_=sa.BigInteger))
)
_offset = sa.bindparam("offset", type_=sa.BigInteger)
_PAGE = Statement(_changes.where(_within).offset(_offset), Change, heavy=True)
_later = sa.or_(
    G.created_at > sa.bindparam("since"),
    sa.and_(G.created_at == sa.bindparam("since"), G.id > sa.bindparam("after")),
)
_NEXT = Statement(
    _changes.where(
        _mine, G.created_at >= sa.bindparam("since"), G.created_at <= sa.bindparam("until"), _later
    ),
    Change,
    heavy=True,
)
_COUNT = Statement(
    sa.select(sa.func.count()).select_from(sa.select(G.id).where(_within).limit(MOST_COUNTED + 1).subquery()),
    int,
    heavy=True,
)
_OPENING = Statement(
    sa.select(G.currency, whole(G.amount).label("amount"))
    .where(_mine, G.created_at < sa.bindparam("since"))
    .group_by(G.currency),
    Opening,
    heavy=True,
)
_skipped = (
    sa.select(G.currency, G.amount).where(_within).order_by(G.created_at, G.id).limit(_offset).subquery()
)
_SKIPPED = Statement(
    sa.select(_skipped.c.currency, whole(_skipped.c.amount).label("amount")).group_by(_skipped.c.currency),
    Opening,
    heavy=True,
)


async def page(tx: Tx, span: Span, limit: int, offset: int) -> list[Change]:
    """So many changes after the first ``offset`` ones."""
    return await tx.all(_PAGE, **span.values, limit=limit, offset=offset)


async def following(tx: Tx, span: Span, after: UUID, limit: int) -> list[Change]:
    """The next changes of a span that begins with the change ``after``, which is not among them."""
    return await tx.all(_NEXT, **span.values, after=after, limit=limit)


async def count(tx: Tx, span: Span) -> int:
    """How many changes there are; one more than are counted where they are more."""
    return await tx.first(_COUNT, **span.values) or 0


async def opening(tx: Tx, span: Span, offset: int = 0) -> dict[str, int]:
    """By currency what there was before the span, and after its first ``offset`` changes."""
    rows = await tx.all(_OPENING, owner=span.owner, since=span.since)
    rows += await tx.all(_SKIPPED, **span.values, offset=offset) if offset else []
    found: dict[str, int] = {}
    for row in rows:
        found[row.currency] = found.get(row.currency, 0) + row.amount
    return found
