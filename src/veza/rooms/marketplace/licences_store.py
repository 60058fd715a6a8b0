"""SQL about who owns what."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

import msgspec
import sqlalchemy as sa

from veza.access.actor import Actor
from veza.core import clock
from veza.core.db import Statement, Tx, any_of
from veza.rooms.marketplace.orders_store import OPEN, Item
from veza.rooms.marketplace.tables import licences, order_items

L = licences.c
LINE = order_items.c
# How many licences of somebody's for one service are looked through.
MOST = 100


class Licence(msgspec.Struct, frozen=True):
    """What somebody has bought and not given back; ``frozen_at`` while its payment is disputed.

    Of what is ``repeatable`` they may have several.
    """

    buyer_id: UUID
    product_id: UUID
    order_id: UUID
    license_type: str
    created_at: datetime
    frozen_at: datetime | None = None
    repeatable: bool = False


_ALL = sa.select(*(licences.c[name] for name in Licence.__struct_fields__))
_mine = L.buyer_id == sa.bindparam("buyer")
_LIST_FOR = Statement(
    _ALL.where(_mine, L.product_id == sa.bindparam("product"))
    .order_by(L.created_at.desc(), L.order_id.desc())
    .limit(sa.bindparam("most", type_=sa.BigInteger)),
    Licence,
)
_FIND_OF = Statement(
    _ALL.where(L.order_id == sa.bindparam("order_id"), L.product_id == sa.bindparam("product")), Licence
)
# What was ordered and is not accepted yet.
_open = sa.exists(
    sa.select(1).where(
        LINE.order_id == L.order_id,
        LINE.product_id == L.product_id,
        sa.or_(*(LINE.delivery == state for state in OPEN)),
    )
)
_OWNED = Statement(
    sa.select(L.product_id).where(_mine, any_of(L.product_id, "products"), sa.or_(~L.repeatable, _open)), UUID
)
_OF_BUYER = Statement(_ALL.where(_mine).order_by(L.created_at, L.product_id), Licence)
_ADD: Statement[None] = Statement(sa.insert(licences))
_DROP: Statement[None] = Statement(
    sa.delete(licences).where(L.order_id == sa.bindparam("order_id"), any_of(L.product_id, "products"))
)
_FREEZE: Statement[None] = Statement(
    sa.update(licences).where(L.order_id == sa.bindparam("order")).values(frozen_at=sa.bindparam("at"))
)
_DROP_OF: Statement[None] = Statement(sa.delete(licences).where(_mine))


async def find(tx: Tx, buyer_id: UUID, product_id: UUID) -> Licence | None:
    """Somebody's licence for a product, the latest."""
    return await tx.first(_LIST_FOR, buyer=buyer_id, product=product_id, most=1)


async def list_for(tx: Tx, buyer_id: UUID, product_id: UUID) -> list[Licence]:
    """All of them, the latest first."""
    return await tx.all(_LIST_FOR, buyer=buyer_id, product=product_id, most=MOST)


async def find_of(tx: Tx, order_id: UUID, product_id: UUID) -> Licence | None:
    """The licence for a product that came of an order."""
    return await tx.first(_FIND_OF, order_id=order_id, product=product_id)


async def owns(tx: Tx, actor: Actor, product_id: UUID) -> bool:
    """Whether the actor has bought a product."""
    return actor.id is not None and await find(tx, actor.id, product_id) is not None


async def owned(tx: Tx, buyer_id: UUID, product_ids: Sequence[UUID]) -> set[UUID]:
    """Which of these products somebody has bought, and cannot again: of services those not accepted yet."""
    return set(await tx.all(_OWNED, buyer=buyer_id, products=product_ids))


async def list_of(tx: Tx, buyer_id: UUID) -> list[Licence]:
    """Everything that somebody has bought."""
    return await tx.all(_OF_BUYER, buyer=buyer_id)


async def add(tx: Tx, items: Sequence[Item], buyer_id: UUID) -> None:
    """Give somebody licences for these lines of an order."""
    now = clock.now()
    rows = [
        Licence(
            buyer_id, item.product_id, item.order_id, item.license_type, now,
            repeatable=item.delivery is not None,
        )
        for item in items
    ]  # fmt: skip
    await tx.run_many(_ADD, [msgspec.structs.asdict(row) for row in rows])


async def drop(tx: Tx, order_id: UUID, product_ids: Sequence[UUID]) -> None:
    """Take back what an order gave of these products."""
    await tx.run(_DROP, order_id=order_id, products=product_ids)


async def freeze(tx: Tx, order_id: UUID, at: datetime | None) -> None:
    """What an order gave opens nothing since then; with None it opens everything again."""
    await tx.run(_FREEZE, order=order_id, at=at)


async def drop_of(tx: Tx, buyer_id: UUID) -> None:
    """Forget everything that somebody has bought."""
    await tx.run(_DROP_OF, buyer=buyer_id)
