"""SQL about which avatars there are, for everybody."""

from uuid import UUID

import msgspec
import sqlalchemy as sa

from veza.core.db import Statement, Tx
from veza.rooms.accounts.tables import users


class Pictured(msgspec.Struct, frozen=True):
    """A user, and the folder of their avatar."""

    id: UUID
    avatar: str


_AVATARS = Statement(
    sa.select(users.c.id, users.c.avatar)
    .where(users.c.avatar.is_not(None), users.c.id > sa.bindparam("after"))
    .order_by(users.c.id)
    .limit(sa.bindparam("count")),
    Pictured,
    heavy=True,
)


async def list_pictured(view: Tx, after: UUID, most: int) -> list[Pictured]:
    """So many users with an avatar after this one, in order."""
    return await view.all(_AVATARS, after=after, count=most)
