"""How much a user may store, and how much of it is taken.

Bytes are reserved before anything is kept and released when it is gone, each by one conditional UPDATE: so
uploads that run at once cannot exceed the quota together.
"""

from uuid import UUID

import msgspec

from veza.access.actor import Actor
from veza.access.policy import Action, require
from veza.access.roles import QUOTA_FACTOR
from veza.core.db import Tx
from veza.rooms.accounts import store
from veza.rooms.accounts.errors import QuotaExceeded, UserNotFound
from veza.rooms.accounts.store import Usage

_NO_LIMIT = (1 << 63) - 1


class Quota(msgspec.Struct, frozen=True):
    """Bytes used, allowed and left; the share used in percent."""

    used: int
    limit: int
    remaining: int
    percentage_used: float


class Holder(msgspec.Struct, frozen=True):
    """Whose quota it is."""

    user_id: UUID


def limit_of(role: str, base: int) -> int:
    """The bytes that somebody with this role may store, where the settings allow a user ``base``."""
    return base * QUOTA_FACTOR.get(role, 1)


async def reserve(tx: Tx, user_id: UUID, size: int, limit: int) -> None:
    """Count ``size`` bytes as the user's.

    Raises :class:`QuotaExceeded` where that would pass ``limit``, and :class:`UserNotFound`.
    """
    if not await store.reserve(tx, user_id, size, limit):
        await usage(tx, user_id)
        raise QuotaExceeded


async def add(tx: Tx, user_id: UUID, size: int) -> None:
    """Count ``size`` bytes as the user's, beyond their quota, too. Raises :class:`UserNotFound`."""
    if not await store.reserve(tx, user_id, size, _NO_LIMIT):
        raise UserNotFound


async def hold(tx: Tx, user_id: UUID) -> None:
    """Let nobody else change what the user holds until ``tx`` is over. Raises :class:`UserNotFound`."""
    if await store.lock(tx, user_id) is None:
        raise UserNotFound


async def release(tx: Tx, user_id: UUID, size: int) -> None:
    """Give ``size`` bytes back; nothing happens where the user is gone."""
    await store.release(tx, user_id, size)


async def usage(tx: Tx, user_id: UUID) -> Usage:
    """What the user holds. Raises :class:`UserNotFound`."""
    found = await store.find_usage(tx, user_id)
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
