"""Blocking users, and taking it back: each as often as one will, to the same effect.

A block ends the follows between two users, and from then on neither is there for the other: whatever has an
owner asks ``Actor.hidden``. Only whoever made it can take it back, and whoever is blocked is not told.
"""

from collections.abc import Callable, Iterable
from typing import Annotated
from uuid import UUID

import msgspec
from litestar.params import Dependency

from veza.access.actor import Actor, Member
from veza.access.policy import Action, may
from veza.core.db import Tx
from veza.core.errors import Forbidden, InvalidToken
from veza.core.pages import Page
from veza.rooms.accounts import counts, profiles
from veza.rooms.accounts.errors import UserNotFound
from veza.rooms.following import blocks_store as store
from veza.rooms.following import store as follows
from veza.rooms.following.errors import OwnAccount, TooManyBlocked
from veza.rooms.following.events import UserBlocked, UserUnblocked, UserUnfollowed
from veza.rooms.following.schemas import Blocks

# Each makes whatever both of them ask for a little slower.
MOST_BLOCKED = 1_000

# Forgets whatever is remembered of who somebody is, as soon as that has changed.
ForgetMember = Annotated[Callable[[UUID], None], Dependency(skip_validation=True)]


async def block(tx: Tx, actor: Member, user_id: UUID, forget: ForgetMember) -> None:
    """From now on ``actor`` and a user are not there for each other.

    Raises :class:`veza.rooms.accounts.errors.UserNotFound`, also for whoever has blocked the actor first,
    :class:`OwnAccount`, :class:`TooManyBlocked`.
    """
    if user_id == actor.id:
        raise OwnAccount
    await counts.hold_both(tx, actor, user_id)
    blockers = await store.between(tx, actor.id, user_id)
    if actor.id in blockers:
        return
    if blockers and not may(actor, Action.SEE_HIDDEN):
        raise UserNotFound
    await profiles.get_visible(tx, actor, user_id)  # not while they are suspended
    if await store.count(tx, actor.id) >= MOST_BLOCKED:
        raise TooManyBlocked
    await store.add(tx, actor.id, user_id)
    await counts.mark_blocks(tx, [actor.id, user_id])
    for follower_id, followed_id in ((actor.id, user_id), (user_id, actor.id)):
        if await follows.remove(tx, follower_id, followed_id):
            await counts.add_follows(tx, follower_id, followed_id, -1)
            tx.emit(UserUnfollowed(followed_id, follower_id))
    tx.emit(UserBlocked(actor.id, user_id))
    _forget_both(tx, actor.id, user_id, forget)


async def unblock(tx: Tx, actor: Member, user_id: UUID, forget: ForgetMember) -> None:
    """``actor`` has not blocked a user any more. Raises :class:`veza.rooms.accounts.errors.UserNotFound`."""
    await counts.hold_both(tx, actor, user_id)
    if await store.remove(tx, actor.id, user_id):
        tx.emit(UserUnblocked(actor.id, user_id))
        _forget_both(tx, actor.id, user_id, forget)
    else:  # nothing is there to take back from whom the actor does not see
        await profiles.get_visible(tx, actor, user_id)


def _forget_both(tx: Tx, one: UUID, other: UUID, forget: ForgetMember) -> None:
    tx.on_commit(lambda: forget(one))
    tx.on_commit(lambda: forget(other))


async def refuse_blocked(tx: Tx, actor: Member, user_id: UUID) -> None:
    """Raise if there is a block between these two, who are held: so none comes meanwhile.

    :class:`veza.rooms.accounts.errors.UserNotFound`, or :class:`Forbidden` for who moderates and sees both.
    """
    if await store.between(tx, actor.id, user_id):
        raise Forbidden if may(actor, Action.SEE_HIDDEN) else UserNotFound


async def keep_as_they_are(tx: Tx, actor: Member, user_ids: Iterable[UUID]) -> set[UUID]:
    """``actor`` and those of these users whom there is: none leaves, and no block comes between two of them.

    Until ``tx`` is over. Raises :class:`veza.core.errors.InvalidToken` where the actor's account is gone.
    """
    found = await counts.hold(tx, {actor.id, *user_ids})
    if actor.id not in found:
        raise InvalidToken
    return set(found)


async def stands_between(tx: Tx, one: UUID, other: UUID) -> bool:
    """Whether one of these two has blocked the other."""
    return bool(await store.between(tx, one, other))


async def list_between(tx: Tx, pairs: Iterable[tuple[UUID, UUID]]) -> set[tuple[UUID, UUID]]:
    """Those of these pairs of which one has blocked the other."""
    asked = set(pairs)
    marked = await counts.list_marked(tx, {one for one, _ in asked})
    return {(one, other) for one, other in asked if one in marked and await stands_between(tx, one, other)}


async def as_they_ask(tx: Tx, user_id: UUID) -> Actor | None:
    """A user as they would ask by themselves, who is told of something while they do not; None if gone."""
    found = await profiles.list_by_ids(tx, [user_id])
    if not found:
        return None
    user = found[0]
    actor = Actor(id=user.id, username=user.username, role=user.role, email_verified=user.email_verified)
    if may(actor, Action.SEE_HIDDEN):
        return actor
    return msgspec.structs.replace(actor, hidden=frozenset(await store.list_hidden(tx, user.id)))


async def list_blocks(tx: Tx, actor: Actor, user_id: UUID, page: Page) -> Blocks:
    """A page of those whom a user has blocked: for themselves and admins.

    Raises :class:`veza.rooms.accounts.errors.UserNotFound` and :class:`Forbidden`.
    """
    await profiles.get_own(tx, actor, Action.SEE_BLOCKS, user_id)
    total = await store.count(tx, user_id)
    found = await store.page(tx, user_id, page) if page.offset < total else []
    return Blocks(found, total, page.of(total))
