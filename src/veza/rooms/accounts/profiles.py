"""Profiles: what people say about themselves."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

import msgspec

from veza.access.actor import Actor
from veza.access.policy import Action, may, require
from veza.core import clock
from veza.core.db import Tx, UniqueViolation
from veza.core.text import username_key
from veza.rooms.accounts import store
from veza.rooms.accounts.errors import TooManyUsernames, UserNotFound
from veza.rooms.accounts.events import CHANGED, UsernameChanged, UserUpdated
from veza.rooms.accounts.schemas import Completion, ProfileChanges
from veza.rooms.accounts.service import NAME_HELD, refuse_held, taken
from veza.rooms.accounts.store import User

# As many names may be held for one person at a time: enough to change one's mind, too few to hoard.
MOST_HELD = 5

# What makes a profile complete, as the field of the user that tells.
_PARTS = ("username", "email", "bio", "avatar", "first_name", "last_name", "location", "email_verified")


async def get_user(tx: Tx, user_id: UUID) -> User:
    """The user with this id. Raises :class:`UserNotFound`."""
    user = await store.find(tx, user_id)
    if user is None:
        raise UserNotFound
    return user


async def list_by_ids(tx: Tx, ids: Sequence[UUID]) -> list[User]:
    """Of these users those that there are, in the order of ``ids``."""
    found = {user.id: user for user in await store.list_some(tx, ids)}
    return [found[user_id] for user_id in ids if user_id in found]


async def get_visible(tx: Tx, actor: Actor, user_id: UUID) -> User:
    """The user with this id, if no block stands between them and ``actor``. Raises :class:`UserNotFound`."""
    return _seen_by(actor, await store.find(tx, user_id))


async def get_by_username(tx: Tx, actor: Actor, username: str) -> User:
    """As :func:`get_visible`, the user with this name, however it is capitalised."""
    return _seen_by(actor, await store.find_by_username(tx, username))


def _seen_by(actor: Actor, user: User | None) -> User:
    if user is None or user.id in actor.hidden:
        raise UserNotFound
    if user.suspended_at is not None and not may(actor, Action.SEE_HIDDEN):
        raise UserNotFound
    return user


async def get_own(tx: Tx, actor: Actor, action: Action, user_id: UUID) -> User:
    """The user, with whose account ``actor`` may do this. Raises :class:`UserNotFound`."""
    user = await get_visible(tx, actor, user_id)
    require(actor, action, user)
    return user


async def lock_for_edit(tx: Tx, actor: Actor, user_id: UUID) -> User:
    """The user, whom ``actor`` may edit, and nobody else until ``tx`` ends. Raises :class:`UserNotFound`."""
    user = _seen_by(actor, await store.lock(tx, user_id))
    require(actor, Action.EDIT_PROFILE, user)
    return user


async def update(tx: Tx, user: User, changes: ProfileChanges) -> User:
    """Change what a locked user says about themselves.

    Raises :class:`veza.rooms.accounts.errors.UsernameTaken` and :class:`TooManyUsernames`.
    """
    given: Mapping[str, Any] = {
        name: value
        for name, value in msgspec.structs.asdict(changes).items()
        if value is not msgspec.UNSET and value != getattr(user, name)
    }
    if not given:
        return user
    changed = msgspec.structs.replace(user, **given, updated_at=clock.now())
    try:
        await store.save(tx, changed)
    except UniqueViolation as clash:
        raise taken(clash) from None
    if "username" in given:
        await _rename(tx, user, changed)
    tx.emit(UserUpdated(user.id, tuple(given)))
    return changed


async def _rename(tx: Tx, user: User, changed: User) -> None:
    if username_key(user.username) != username_key(changed.username):
        await refuse_held(tx, changed)
        await store.free(tx, changed.username)
        await store.hold(tx, user.username, user.id, clock.now() + NAME_HELD)
        if len(await store.list_held(tx, user.id)) > MOST_HELD:
            raise TooManyUsernames
    tx.emit(UsernameChanged(user.id))
    tx.notify(CHANGED)


def completion(user: User) -> Completion:
    """How much of a profile is there."""
    missing = [part for part in _PARTS if not getattr(user, part)]
    return Completion(100 * (len(_PARTS) - len(missing)) // len(_PARTS), missing)
