"""Closing an account for now, and opening it again: nothing of it is removed."""

from uuid import UUID

from veza.access.actor import Actor
from veza.access.policy import Action, require
from veza.core import clock
from veza.core.db import Tx
from veza.core.errors import Forbidden
from veza.rooms.accounts import store
from veza.rooms.accounts.errors import UserNotFound
from veza.rooms.accounts.events import CHANGED, UserRestored, UserSuspended
from veza.rooms.accounts.service import lock_keeping_an_admin
from veza.rooms.accounts.store import User


async def suspend(tx: Tx, actor: Actor, user_id: UUID, reason: str) -> User:
    """From now on somebody's tokens and password open nothing, until they are restored.

    Suspended again, the reason is another. Raises UserNotFound, :class:`Forbidden` for oneself, and
    :class:`veza.rooms.accounts.errors.LastAdmin`.
    """
    require(actor, Action.SUSPEND_USER)
    if actor.id == user_id:
        raise Forbidden("You cannot suspend yourself.")
    user = await lock_keeping_an_admin(tx, user_id)
    await store.set_suspended(tx, user.id, user.suspended_at or clock.now(), reason)
    if user.suspended_at is None:
        tx.emit(UserSuspended(user.id))
    tx.notify(CHANGED)
    return await store.find(tx, user.id) or user


async def restore(tx: Tx, actor: Actor, user_id: UUID) -> User:
    """Somebody may sign in again. Raises UserNotFound."""
    require(actor, Action.SUSPEND_USER)
    user = await store.lock(tx, user_id)
    if user is None:
        raise UserNotFound
    if user.suspended_at is not None:
        await store.set_suspended(tx, user.id, None, None)
        tx.emit(UserRestored(user.id))
        tx.notify(CHANGED)
    return await store.find(tx, user.id) or user
