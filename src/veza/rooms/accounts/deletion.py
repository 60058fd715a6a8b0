"""The end of an account, and what this room itself holds about its user."""

from collections.abc import Awaitable, Callable
from typing import Annotated, Any
from uuid import UUID

import msgspec
from litestar.params import Dependency

from veza.access.actor import Actor
from veza.access.policy import Action, require
from veza.core import clock
from veza.core.db import Database, Tx
from veza.core.events import Context
from veza.core.jobs import enqueue
from veza.rooms.accounts import avatars, profiles, store
from veza.rooms.accounts.events import CHANGED, UserDeleted
from veza.rooms.accounts.holdings import Holding, Holdings
from veza.rooms.accounts.kinds import REMOVE_AVATAR, RemoveAvatar
from veza.rooms.accounts.service import NAME_HELD, lock_keeping_an_admin

# Returns when this is the user's password; raises what the caller is to be told when it is not.
PasswordProof = Annotated[Callable[[UUID, str, Context], Awaitable[None]], Dependency(skip_validation=True)]


async def confirm(
    database: Database,
    prove_password: PasswordProof,
    actor: Actor,
    user_id: UUID,
    password: str,
    origin: Context,
) -> None:
    """Return if ``actor`` may delete this account and, where it is their own, knows its password.

    Raises :class:`veza.rooms.accounts.errors.UserNotFound`, and what the proof raises.
    """
    async with database.read() as view:
        await profiles.get_own(view, actor, Action.DELETE_ACCOUNT, user_id)
    if actor.id == user_id:
        await prove_password(user_id, password, origin)


async def delete(tx: Tx, actor: Actor, user_id: UUID, holdings: Holdings) -> None:
    """Remove an account and what it owns; its name stays held for a while, so that nobody poses as it.

    Raises :class:`veza.rooms.accounts.errors.LastAdmin`.
    """
    user = await lock_keeping_an_admin(tx, user_id)
    require(actor, Action.DELETE_ACCOUNT, user)
    for holding in holdings:
        if holding.erase is not None:
            await holding.erase(tx, user.id)
    await store.delete(tx, user.id)
    await store.hold(tx, user.username, user.id, clock.now() + NAME_HELD)
    await enqueue(tx, REMOVE_AVATAR, RemoveAvatar(avatars.folder_of(user.id)))
    tx.emit(UserDeleted(user.id))
    tx.notify(CHANGED)


async def _export_account(tx: Tx, user_id: UUID) -> dict[str, Any]:
    user = await store.find(tx, user_id)
    return {
        # Why somebody is suspended is written by admins for admins.
        "user": msgspec.structs.replace(user, suspended_reason=None) if user else None,
        "former_usernames": await store.list_held(tx, user_id),
    }


HOLDING = Holding("account", _export_account)
