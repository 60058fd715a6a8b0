"""SQL about who owns what."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

import msgspec
import sqlalchemy as sa

from veza.access.actor import Actor
from veza.core import clock
from veza.core.db import Statement, Tx, any_of
from veza.rooms.marketplace.tables import licences

L = licences.c


class Licence(msgspec.Struct, frozen=True):
    """What somebody has bought and not given back; ``frozen_at`` while its payment is disputed."""

    buyer_id: UUID
    product_id: UUID
    order_id: UUID
    license_type: str
    created_at: datetime
    frozen_at: datetime | None = None


_ALL = sa.select(*(licences.c[name] for name in Licence.__struct_fields__))
_mine = L.buyer_id == sa.bindparam("buyer")
_FIND = Statement(_ALL.where(_mine, L.product_id == sa.bindparam("product")), Licence)
_FIND_OF = Statement(
    _ALL.where(L.order_id == sa.bindparam("order_id"), L.product_id == sa.bindparam("product")), Licence
)
_OWNED = Statement(sa.select(L.product_id).where(_mine, any_of(L.product_id, "products")), UUID)
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
    """Somebody's licence for a product."""
    return await tx.first(_FIND, buyer=buyer_id, product=product_id)


async def find_of(tx: Tx, order_id: UUID, product_id: UUID) -> Licence | None:
    """The licence for a product that came of an order."""
    return await tx.first(_FIND_OF, order_id=order_id, product=product_id)


async def owns(tx: Tx, actor: Actor, product_id: UUID) -> bool:
    """Whether the actor has bought a product."""
    return actor.id is not None and await find(tx, actor.id, product_id) is not None


async def owned(tx: Tx, buyer_id: UUID, product_ids: Sequence[UUID]) -> set[UUID]:
    """Which of these products somebody has bought."""
    return set(await tx.all(_OWNED, buyer=buyer_id, products=product_ids))


async def list_of(tx: Tx, buyer_id: UUID) -> list[Licence]:
    """Everything that somebody has bought."""
    return await tx.all(_OF_BUYER, buyer=buyer_id)


async def add(tx: Tx, new: Sequence[tuple[UUID, str]], buyer_id: UUID, order_id: UUID) -> None:
    """Give somebody licences of these kinds for these products."""
    now = clock.now()
    rows = [Licence(buyer_id, product_id, order_id, kind, now) for product_id, kind in new]
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
