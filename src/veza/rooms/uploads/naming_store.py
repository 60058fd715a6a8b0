"""SQL about which files there are of uploads, for all of them."""

from uuid import UUID

import msgspec
import sqlalchemy as sa

from veza.core.db import Statement, Tx
from veza.rooms.uploads.tables import uploads

U = uploads.c


class Whole(msgspec.Struct, frozen=True):
    """An upload whose file is there."""

    id: UUID
    size: int


_WHOLE = Statement(
    sa.select(U.id, U.size)
    .where(U.status != "failed", U.id > sa.bindparam("after"))
    .order_by(U.id)
    .limit(sa.bindparam("count")),
    Whole,
    heavy=True,
)


async def list_whole(view: Tx, after: UUID, most: int) -> list[Whole]:
    """So many uploads that have not failed after this one, in order."""
    return await view.all(_WHOLE, after=after, count=most)
