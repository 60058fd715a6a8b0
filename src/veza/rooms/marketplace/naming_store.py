"""SQL about which copies there are, for all buyers."""

import msgspec
import sqlalchemy as sa

from veza.core.db import Statement, Tx
from veza.rooms.marketplace.tables import copies

C = copies.c


class Made(msgspec.Struct, frozen=True):
    """The file of a copy."""

    key: str
    size: int


_MADE = Statement(
    sa.select(C.key, sa.func.max(C.size).label("size"))
    .where(C.key > sa.bindparam("after"))
    .group_by(C.key)
    .order_by(C.key)
    .limit(sa.bindparam("count")),
    Made,
    heavy=True,
)


async def list_made(view: Tx, after: str, most: int) -> list[Made]:
    """So many copies after this key, in order."""
    return await view.all(_MADE, after=after, count=most)
