"""All SQL about copies."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

import msgspec
import sqlalchemy as sa

from veza.core import clock
from veza.core.db import Id, Statement, Time, Tx, any_of
from veza.rooms.marketplace.kinds import MakeCopy
from veza.rooms.marketplace.tables import copies, orders

C = copies.c


class Copy(msgspec.Struct, frozen=True):
    """A file in a format, made by what its ``mark`` says; without a ``key`` it is one that cannot be made."""

    position: int
    mark: str
    key: str | None
    size: int
    used_at: datetime


_whole = (
    C.order_id == sa.bindparam("order_id"),
    C.product_id == sa.bindparam("product_id"),
    C.format == sa.bindparam("form"),
)
_LIST = Statement(sa.select(*(copies.c[name] for name in Copy.__struct_fields__)).where(*_whole), Copy)
_TOUCH: Statement[None] = Statement(sa.update(copies).where(*_whole).values(used_at=sa.bindparam("now")))
_PUT: Statement[None] = Statement(
    sa.text(
        "INSERT INTO copies (order_id, product_id, position, format, mark, key, size, used_at) "
        "VALUES (:order_id, :product_id, :position, :form, :mark, :key, :size, :now) "
        "ON CONFLICT (order_id, product_id, position, format) DO UPDATE SET "
        "mark = excluded.mark, key = excluded.key, size = excluded.size, used_at = excluded.used_at"
    ).bindparams(
        sa.bindparam("order_id", type_=Id),
        sa.bindparam("product_id", type_=Id),
        sa.bindparam("position", type_=sa.Integer),
        sa.bindparam("form", type_=sa.Text),
        sa.bindparam("mark", type_=sa.Text),
        sa.bindparam("key", type_=sa.Text),
        sa.bindparam("size", type_=sa.BigInteger),
        sa.bindparam("now", type_=Time),
    )
)
_DROP_UNUSED: Statement[None] = Statement(
    sa.delete(copies).where(
        sa.or_(
            C.used_at < sa.bindparam("before"),
            sa.and_(C.key.is_(None), C.used_at < sa.bindparam("failed_before")),
        )
    )
)
_NAMED = Statement(sa.select(C.key).where(any_of(C.key, "keys")), str)
_DROP_OF: Statement[None] = Statement(
    sa.delete(copies).where(
        C.order_id.in_(sa.select(orders.c.id).where(orders.c.buyer_id == sa.bindparam("buyer")))
    )
)


async def list_of(tx: Tx, order_id: UUID, product_id: UUID, form: str) -> dict[int, Copy]:
    """What was made of a product for an order in this format, by the places of its files."""
    rows = await tx.all(_LIST, order_id=order_id, product_id=product_id, form=form)
    return {row.position: row for row in rows}


async def touch(tx: Tx, order_id: UUID, product_id: UUID, form: str) -> int:
    """They are used now; how many they are."""
    return await tx.run(_TOUCH, order_id=order_id, product_id=product_id, form=form, now=clock.now())


async def put(tx: Tx, what: MakeCopy, mark: str, key: str | None, size: int) -> None:
    """Write down a copy in the place of the one before, or that it cannot be made."""
    await tx.run(
        _PUT, order_id=what.order_id, product_id=what.product_id, position=what.position, form=what.format,
        mark=mark, key=key, size=size, now=clock.now(),
    )  # fmt: skip


async def drop_unused(tx: Tx, before: datetime, failed_before: datetime) -> int:
    """Forget what was last used before, and what could not be made then; how many they were."""
    return await tx.run(_DROP_UNUSED, before=before, failed_before=failed_before)


async def named(tx: Tx, keys: Sequence[str]) -> set[str]:
    """Those of these files that a copy names."""
    return set(await tx.all(_NAMED, keys=keys))


async def drop_of(tx: Tx, buyer_id: UUID) -> None:
    """Forget all that was made for somebody."""
    await tx.run(_DROP_OF, buyer=buyer_id)
