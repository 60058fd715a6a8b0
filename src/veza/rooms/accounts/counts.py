"""How many users follow each, and how many each follows: kept in the transaction that makes it so."""

from collections.abc import Iterable
from uuid import UUID

from veza.access.actor import Member
from veza.core.db import Tx
from veza.core.errors import InvalidToken
from veza.rooms.accounts import counts_store as store
from veza.rooms.accounts.counts_store import Counts
from veza.rooms.accounts.errors import UserNotFound

__all__ = ["Counts"]


async def hold(tx: Tx, user_ids: Iterable[UUID]) -> dict[UUID, Counts]:
    """Those of these users who have an account, which none loses, and whom nobody else counts meanwhile."""
    return await store.hold(tx, user_ids)


async def hold_both(tx: Tx, actor: Member, user_id: UUID) -> Counts:
    """``actor`` and somebody else, held as by :func:`hold`; what is counted of ``actor``.

    Raises :class:`UserNotFound`, and :class:`veza.core.errors.InvalidToken` where the actor's is gone.
    """
    found = await hold(tx, {actor.id, user_id})
    if actor.id not in found:
        raise InvalidToken
    if user_id not in found:
        raise UserNotFound
    return found[actor.id]


async def add_follows(tx: Tx, follower_id: UUID, followed_id: UUID, change: int) -> None:
    """One follow more (``change`` 1), or less (-1); both are held."""
    await store.add(tx, [follower_id], followers=0, following=change)
    await store.add(tx, [followed_id], followers=change, following=0)


async def lose(tx: Tx, *, followers_of: Iterable[UUID] = (), following_of: Iterable[UUID] = ()) -> None:
    """One follower less for each of the former, and one whom they follow for each of the latter; all held."""
    await store.add(tx, followers_of, followers=-1, following=0)
    await store.add(tx, following_of, followers=0, following=-1)


async def mark_blocks(tx: Tx, user_ids: Iterable[UUID]) -> None:
    """From now on it is looked whether a block stands between these users, who are held, and others."""
    await store.mark(tx, user_ids)


async def list_marked(tx: Tx, user_ids: Iterable[UUID]) -> set[UUID]:
    """Those of these users for whom it has to be looked whether a block stands between them and others."""
    return set(await store.list_marked(tx, user_ids))
