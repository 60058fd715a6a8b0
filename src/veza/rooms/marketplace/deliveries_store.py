"""SQL about services that were ordered, and what was handed over for them."""

from collections.abc import Sequence
from datetime import datetime
from functools import cache
from uuid import UUID

import msgspec
import sqlalchemy as sa

from veza.core.db import Statement, Tx
from veza.core.pages import Page
from veza.rooms.marketplace.orders_store import Item
from veza.rooms.marketplace.products_store import MOST_COUNTED, ProductFile
from veza.rooms.marketplace.tables import deliveries, disputes, order_items

D = deliveries.c
LINE = order_items.c


class Handed(msgspec.Struct, frozen=True):
    """What was handed over once, and what the buyer then wanted changed; ``size`` in bytes."""

    order_id: UUID
    position: int
    number: int
    note: str
    delivered_at: datetime
    upload_id: UUID | None = None
    key: str | None = None
    filename: str | None = None
    mime: str | None = None
    size: int | None = None
    reason: str | None = None
    returned_at: datetime | None = None


class Place(msgspec.Struct, frozen=True):
    """A line of an order."""

    order_id: UUID
    position: int


_line = sa.and_(LINE.order_id == sa.bindparam("order"), LINE.position == sa.bindparam("line"))
_of_line = sa.and_(D.order_id == sa.bindparam("order"), D.position == sa.bindparam("line"))
_SET: Statement[None] = Statement(
    sa.update(order_items)
    .where(_line)
    .values(delivery=sa.bindparam("new_delivery"), due_at=sa.bindparam("new_due_at"))
)
_ADD: Statement[None] = Statement(sa.insert(deliveries))
_RETURN: Statement[None] = Statement(
    sa.update(deliveries)
    .where(_of_line, D.number == sa.bindparam("which"))
    .values(reason=sa.bindparam("new_reason"), returned_at=sa.bindparam("at"))
)
_HANDED = Statement(
    sa.select(*(deliveries.c[name] for name in Handed.__struct_fields__)).where(_of_line).order_by(D.number),
    Handed,
)
_HANDED_BY = Statement(
    sa.select(*(deliveries.c[name] for name in Handed.__struct_fields__))
    .select_from(
        deliveries.join(order_items, sa.and_(D.order_id == LINE.order_id, D.position == LINE.position))
    )
    .where(LINE.seller_id == sa.bindparam("seller"))
    .order_by(D.delivered_at, D.order_id, D.position),
    Handed,
)
_LATEST = Statement(
    sa.select(
        LINE.product_id,
        D.number.label("position"),
        sa.literal_column("NULL", D.upload_id.type).label("track_id"),
        *(deliveries.c[name] for name in ("upload_id", "key", "filename", "mime", "size")),
    )
    .select_from(
        order_items.join(deliveries, sa.and_(D.order_id == LINE.order_id, D.position == LINE.position))
    )
    .where(
        LINE.order_id == sa.bindparam("order"),
        LINE.product_id == sa.bindparam("product"),
        D.key.is_not(None),
    )
    .order_by(D.number.desc())
    .limit(1),
    ProductFile,
)
_disputed = sa.exists(
    sa.select(1).where(disputes.c.order_id == LINE.order_id, disputes.c.state == sa.literal_column("'open'"))
)
_DUE = Statement(
    sa.select(LINE.order_id, LINE.position)
    .where(LINE.delivery == sa.literal_column("'delivered'"), LINE.due_at <= sa.bindparam("now"), ~_disputed)
    .order_by(LINE.due_at, LINE.order_id, LINE.position)
    .limit(sa.bindparam("most", type_=sa.BigInteger)),
    Place,
)
_OPEN_OF = Statement(
    sa.select(LINE.order_id)
    .where(
        LINE.seller_id == sa.bindparam("seller"),
        LINE.sold_at.is_not(None),
        sa.or_(*(LINE.delivery == state for state in ("ordered", "delivered", "revision"))),
    )
    .distinct()
    .order_by(LINE.order_id),
    UUID,
)


async def set_state(tx: Tx, item: Item, state: str, due_at: datetime | None = None) -> Item:
    """Say how far a service is, whose order is locked; what it is afterwards."""
    await tx.run(_SET, order=item.order_id, line=item.position, new_delivery=state, new_due_at=due_at)
    return msgspec.structs.replace(item, delivery=state, due_at=due_at)


async def add(tx: Tx, handed: Handed) -> None:
    """Write down what was handed over."""
    await tx.run(_ADD, **msgspec.structs.asdict(handed))


async def give_back(tx: Tx, handed: Handed, reason: str, at: datetime) -> None:
    """Write down what is to be changed about it."""
    await tx.run(
        _RETURN, order=handed.order_id, line=handed.position, which=handed.number, new_reason=reason, at=at
    )


async def list_handed(tx: Tx, item: Item) -> list[Handed]:
    """All that was handed over for a line, the first first."""
    return await tx.all(_HANDED, order=item.order_id, line=item.position)


async def waits_since(tx: Tx, item: Item) -> datetime:
    """Since when a service that was sold waits for its seller: it was ordered then, or last sent back."""
    assert item.sold_at is not None  # else nobody waits
    return max([item.sold_at, *(one.returned_at for one in await list_handed(tx, item) if one.returned_at)])


async def latest_files(tx: Tx, order_id: UUID, product_id: UUID) -> list[ProductFile]:
    """The file that was handed over last for a service of an order, if there is one."""
    return await tx.all(_LATEST, order=order_id, product=product_id)


async def list_by(tx: Tx, seller_id: UUID) -> list[Handed]:
    """All that a seller ever handed over."""
    return await tx.all(_HANDED_BY, seller=seller_id)


async def list_due(tx: Tx, now: datetime, most: int) -> list[Place]:
    """Services whose buyers have had their time, the longest ago first; none whose payment is disputed."""
    return await tx.all(_DUE, now=now, most=most)


async def list_open_of(tx: Tx, seller_id: UUID) -> list[UUID]:
    """The orders in which a seller has services that are not accepted."""
    return await tx.all(_OPEN_OF, seller=seller_id)


async def page(tx: Tx, seller_id: UUID, state: str | None, page: Page) -> list[Item]:
    """One page of the services that somebody sold, those that wait longest first."""
    return await tx.all(
        _page_statement(by_state=state is not None),
        seller=seller_id, state=state, limit=page.limit, offset=page.offset,
    )  # fmt: skip


async def count(tx: Tx, seller_id: UUID, state: str | None) -> int:
    """How many these are; one more than are counted where they are more."""
    return await tx.first(_count_statement(by_state=state is not None), seller=seller_id, state=state) or 0


def _sold(*, by_state: bool) -> Sequence[sa.ColumnElement[bool]]:
    found = [
        LINE.seller_id == sa.bindparam("seller"), LINE.delivery.is_not(None), LINE.sold_at.is_not(None),
    ]  # fmt: skip
    return [*found, LINE.delivery == sa.bindparam("state")] if by_state else found


@cache
def _page_statement(*, by_state: bool) -> Statement[Item]:
    chosen = sa.select(*(order_items.c[name] for name in Item.__struct_fields__)).where(
        *_sold(by_state=by_state)
    )
    ordered = chosen.order_by(LINE.sold_at, LINE.order_id, LINE.position)
    limit, offset = [sa.bindparam(name, type_=sa.BigInteger) for name in ("limit", "offset")]
    return Statement(ordered.limit(limit).offset(offset), Item, heavy=True)


@cache
def _count_statement(*, by_state: bool) -> Statement[int]:
    some = sa.select(LINE.order_id).where(*_sold(by_state=by_state)).limit(MOST_COUNTED + 1).subquery()
    return Statement(sa.select(sa.func.count()).select_from(some), int, heavy=True)
