"""How much a user may store, and how much of it is taken.

Bytes are reserved before anything is kept and released when it is gone, each by one conditional UPDATE: so
uploads that run at once cannot exceed the quota together.
"""

from uuid import UUID

import msgspec
import sqlalchemy as sa

from veza.access.actor import Actor
from veza.access.policy import Action, require
from veza.access.roles import QUOTA_FACTOR
from veza.core.db import Statement, Tx
from veza.rooms.accounts.errors import QuotaExceeded, UserNotFound
from veza.rooms.accounts.tables import users


class Quota(msgspec.Struct, frozen=True):
    """Bytes used, allowed and left; the share used in percent."""

    used: int
    limit: int
    remaining: int
    percentage_used: float


class Usage(msgspec.Struct, frozen=True):
    """The bytes a user holds, and the role that says how many they may."""

    storage_used: int
    role: str


class Holder(msgspec.Struct, frozen=True):
    """Whose quota it is."""

    user_id: UUID


_one = users.c.id == sa.bindparam("user_id")
_size = sa.bindparam("size", type_=sa.BigInteger)
_RESERVE: Statement[None] = Statement(
    sa.update(users)
    .where(_one, users.c.storage_used + _size <= sa.bindparam("most", type_=sa.BigInteger))
    .values(storage_used=users.c.storage_used + _size)
)
# Never below nothing: what was counted twice on the way out must not become room for more.
_RELEASE: Statement[None] = Statement(
    sa.update(users)
    .where(_one)
    .values(storage_used=sa.case((users.c.storage_used > _size, users.c.storage_used - _size), else_=0))
)
_USAGE = Statement(sa.select(users.c.storage_used, users.c.role).where(_one), Usage)


def limit_of(role: str, base: int) -> int:
    """The bytes that somebody with this role may store, where the settings allow a user ``base``."""
    return base * QUOTA_FACTOR.get(role, 1)


async def reserve(tx: Tx, user_id: UUID, size: int, limit: int) -> None:
    """Count ``size`` bytes as the user's. Raises :class:`QuotaExceeded` where that would pass ``limit``."""
    if not await tx.run(_RESERVE, user_id=user_id, size=size, most=limit):
        raise QuotaExceeded


async def release(tx: Tx, user_id: UUID, size: int) -> None:
    """Give ``size`` bytes back; nothing happens where the user is gone."""
    await tx.run(_RELEASE, user_id=user_id, size=size)


async def usage(tx: Tx, user_id: UUID) -> Usage:
    """What the user holds. Raises :class:`UserNotFound`."""
    found = await tx.first(_USAGE, user_id=user_id)
    if found is None:
        raise UserNotFound
    return found


async def get(tx: Tx, actor: Actor, user_id: UUID, base: int) -> Quota:
    """A user's quota, where the settings allow a user ``base`` bytes: for themselves and admins."""
    require(actor, Action.SEE_QUOTA, Holder(user_id))
    found = await usage(tx, user_id)
    limit = limit_of(found.role, base)
    return Quota(
        used=found.storage_used,
        limit=limit,
        remaining=max(limit - found.storage_used, 0),
        percentage_used=round(100 * found.storage_used / limit, 2) if limit else 100.0,
    )
