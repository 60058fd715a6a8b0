"""Following users, and taking it back: each as often as one will, to the same effect.

Whoever follows somebody finds in the feed what these make public. What is left of an account that is gone is
removed by a job, in pieces; the counts of the others are those of the rows, at each moment.
"""

from datetime import datetime
from uuid import UUID

from veza.access.actor import Actor, Member
from veza.core.db import Tx
from veza.core.pages import Page
from veza.rooms.accounts import counts, profiles
from veza.rooms.accounts import service as accounts
from veza.rooms.following import blocks, blocks_store, store
from veza.rooms.following.errors import OwnAccount, TooManyFollowed
from veza.rooms.following.events import UserFollowed, UserUnfollowed
from veza.rooms.following.schemas import Between, Follow, Followers, Following, FollowOrder

# Enough for anybody who listens to what comes of it; a feed looks at each of them.
MOST_FOLLOWED = 5_000
# So many are counted one by one as they are listed: 1 ms at most. Of more, all who are suspended are read.
FEW = 1_000


async def follow(tx: Tx, actor: Member, user_id: UUID) -> None:
    """From now on ``actor`` follows a user.

    Raises :class:`veza.rooms.accounts.errors.UserNotFound`, :class:`OwnAccount`, :class:`TooManyFollowed`.
    """
    if user_id == actor.id:
        raise OwnAccount
    before = await counts.hold_both(tx, actor, user_id)
    await blocks.refuse_blocked(tx, actor, user_id)
    await profiles.get_visible(tx, actor, user_id)  # not while they are suspended
    if not await store.add(tx, actor.id, user_id):
        return
    if before.following_count >= MOST_FOLLOWED:
        raise TooManyFollowed
    await counts.add_follows(tx, actor.id, user_id, 1)
    tx.emit(UserFollowed(user_id, actor.id))


async def unfollow(tx: Tx, actor: Member, user_id: UUID) -> None:
    """``actor`` follows a user no longer. Raises :class:`veza.rooms.accounts.errors.UserNotFound`."""
    await profiles.get_visible(tx, actor, user_id)
    await counts.hold_both(tx, actor, user_id)
    if await store.remove(tx, actor.id, user_id):
        await counts.add_follows(tx, actor.id, user_id, -1)
        tx.emit(UserUnfollowed(user_id, actor.id))


async def find(tx: Tx, actor: Member, user_id: UUID) -> Between:
    """Who of both follows the other. Raises :class:`veza.rooms.accounts.errors.UserNotFound`."""
    await profiles.get_visible(tx, actor, user_id)
    found = await store.find_between(tx, actor.id, user_id)
    return Between(actor.id in found, user_id in found)


async def follows(tx: Tx, follower_id: UUID, followed_id: UUID) -> bool:
    """Whether a user follows another now."""
    return follower_id in await store.find_between(tx, follower_id, followed_id)


async def list_since(
    tx: Tx, user_id: UUID, after: tuple[datetime, UUID] | None, before: datetime, most: int
) -> list[Follow]:
    """So many of those who follow a user, in the order in which they began to, until a moment.

    ``after`` is when the last one before these began, and who it was.
    """
    return await store.list_since(tx, user_id, after, before, most)


async def list_followers(tx: Tx, actor: Actor, user_id: UUID, page: Page, order: FollowOrder) -> Followers:
    """A page of those who follow a user. Raises :class:`veza.rooms.accounts.errors.UserNotFound`."""
    total = (await profiles.get_visible(tx, actor, user_id)).follower_count
    found, total = await _page(tx, actor, user_id, "followed_id", page, order, total)
    return Followers(found, total, page.of(total))


async def list_following(tx: Tx, actor: Actor, user_id: UUID, page: Page, order: FollowOrder) -> Following:
    """A page of those whom a user follows. Raises :class:`veza.rooms.accounts.errors.UserNotFound`."""
    total = (await profiles.get_visible(tx, actor, user_id)).following_count
    found, total = await _page(tx, actor, user_id, "follower_id", page, order, total)
    return Following(found, total, page.of(total))


async def _page(
    tx: Tx, actor: Actor, user_id: UUID, end: store.End, page: Page, order: FollowOrder, total: int
) -> tuple[list[Follow], int]:
    """A page of one end of a user's follows, and how many of the ``total`` are listed for ``actor``."""
    if 0 < total <= FEW:
        total = await store.count_listed(tx, user_id, end, total, hidden=actor.hidden)
    elif total:
        unlisted = actor.hidden | await accounts.list_all_suspended(tx)
        total -= await store.count_some(tx, user_id, end, unlisted)
    if page.offset >= total:
        return [], total
    return await store.page(tx, user_id, end, page, order, hidden=actor.hidden), total


async def forget(tx: Tx, user_id: UUID, most: int) -> bool:
    """Remove so many follows and blocks of an account that is gone; whether there may be more.

    What is counted of the others goes down with each.
    """
    followers = await store.some(tx, user_id, "followed_id", most)
    followed = await store.some(tx, user_id, "follower_id", most - len(followers))
    await counts.hold(tx, {*followers, *followed})
    await counts.lose(
        tx,
        following_of=await store.part(tx, user_id, "followed_id", followers),
        followers_of=await store.part(tx, user_id, "follower_id", followed),
    )
    more = await blocks_store.forget(tx, user_id, most)
    return more or len(followers) + len(followed) >= most
