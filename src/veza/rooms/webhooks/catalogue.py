"""Which events hooks hear of, whom each concerns, and what they are told: one table.

Whom an event concerns is asked when it happens; what they are told when it is sent, as the owner of their
things sees them at that time. What they may not hear of by then is not sent at all.
"""

from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import Any, NamedTuple
from uuid import UUID

import msgspec

from veza.access.actor import Actor
from veza.core.db import Tx
from veza.core.errors import NotFound
from veza.core.events import Event
from veza.rooms.accounts import profiles
from veza.rooms.chat import messages
from veza.rooms.chat.events import MessageSent
from veza.rooms.comments import service as comments
from veza.rooms.comments.events import TrackCommented
from veza.rooms.following.events import UserFollowed
from veza.rooms.likes.events import TrackLiked
from veza.rooms.marketplace import orders, products
from veza.rooms.marketplace.events import OrderCompleted, OrderRefunded, ProductCreated, ProductUpdated
from veza.rooms.marketplace.order_schemas import OrderView
from veza.rooms.marketplace.schemas import ProductView
from veza.rooms.playlists import service as playlists
from veza.rooms.playlists.events import PlaylistCreated, PlaylistDeleted, PlaylistFollowed, PlaylistUpdated
from veza.rooms.playlists.schemas import Playlist
from veza.rooms.tracks import service as tracks
from veza.rooms.tracks.events import TrackDeleted, TrackFailed, TrackProcessed, TrackUpdated, TrackUploaded
from veza.rooms.tracks.schemas import Track
from veza.rooms.webhooks import payloads as told

ALL = "*"
TEST = "webhook.test"


class Withheld(Exception):
    """The owner of the hook is not to hear of this, now."""


Whom = Callable[[Any], Collection[UUID]]
Tell = Callable[[Tx, Actor, Any], Awaitable[msgspec.Struct]]


class Entry(NamedTuple):
    """An event that hooks hear of: whom it concerns, what they are told, and in which shape."""

    event: type[Event]
    whom: Whom
    tell: Tell
    shape: type[msgspec.Struct]


def _owner(event: Any) -> Collection[UUID]:
    return (event.user_id,)


def _parties(event: OrderCompleted | OrderRefunded) -> Collection[UUID]:
    return {event.user_id, *event.seller_ids}


async def _person(tx: Tx, owner: Actor, user_id: UUID) -> told.Person | None:
    """Whoever did it, None where the account is gone. Raises :class:`Withheld`."""
    found = await profiles.list_by_ids(tx, [user_id])
    if user_id in owner.hidden or (found and found[0].suspended_at is not None):
        raise Withheld
    return told.Person(user_id, found[0].username) if found else None


async def _track(tx: Tx, owner: Actor, track_id: UUID) -> Track | None:
    try:
        return await tracks.get_visible(tx, owner, track_id)
    except NotFound:
        return None


async def _playlist(tx: Tx, owner: Actor, playlist_id: UUID) -> Playlist | None:
    try:
        return await playlists.get_visible(tx, owner, playlist_id)
    except NotFound:
        return None


async def _product(tx: Tx, owner: Actor, product_id: UUID) -> ProductView | None:
    try:
        return products.view(await products.get_visible(tx, owner, product_id))
    except NotFound:
        return None


async def _order(tx: Tx, owner: Actor, order_id: UUID) -> OrderView | None:
    try:
        return await orders.get_visible(tx, owner, order_id)
    except NotFound:
        return None


async def _tell_track(tx: Tx, owner: Actor, event: TrackUpdated) -> told.TrackTold:
    return told.TrackTold(event.track_id, await _track(tx, owner, event.track_id))


async def _tell_failure(tx: Tx, owner: Actor, event: TrackFailed) -> told.TrackFailure:
    return told.TrackFailure(event.track_id, event.error, await _track(tx, owner, event.track_id))


async def _tell_gone(_tx: Tx, _owner: Actor, event: TrackDeleted) -> told.TrackGone:
    return told.TrackGone(event.track_id)


async def _tell_like(tx: Tx, owner: Actor, event: TrackLiked) -> told.LikeTold:
    person = await _person(tx, owner, event.liked_by)
    return told.LikeTold(event.track_id, person, await _track(tx, owner, event.track_id))


async def _tell_comment(tx: Tx, owner: Actor, event: TrackCommented) -> told.CommentTold:
    return told.CommentTold(
        comment_id=event.comment_id,
        track_id=event.track_id,
        user=await _person(tx, owner, event.author_id),
        comment=await comments.find_visible(tx, owner, event.comment_id),
        track=await _track(tx, owner, event.track_id),
    )


async def _tell_playlist(tx: Tx, owner: Actor, event: PlaylistCreated) -> told.PlaylistTold:
    return told.PlaylistTold(event.playlist_id, await _playlist(tx, owner, event.playlist_id))


async def _tell_change(tx: Tx, owner: Actor, event: PlaylistUpdated) -> told.PlaylistChange:
    playlist = await _playlist(tx, owner, event.playlist_id)
    return told.PlaylistChange(event.playlist_id, event.changed, playlist)


async def _tell_playlist_gone(_tx: Tx, _owner: Actor, event: PlaylistDeleted) -> told.PlaylistGone:
    return told.PlaylistGone(event.playlist_id)


async def _tell_follow(tx: Tx, owner: Actor, event: PlaylistFollowed) -> told.PlaylistFollow:
    person = await _person(tx, owner, event.followed_by)
    return told.PlaylistFollow(event.playlist_id, person, await _playlist(tx, owner, event.playlist_id))


async def _tell_product(tx: Tx, owner: Actor, event: ProductCreated) -> told.ProductTold:
    return told.ProductTold(event.product_id, await _product(tx, owner, event.product_id))


async def _tell_order(tx: Tx, owner: Actor, event: OrderCompleted) -> told.OrderTold:
    order = await _order(tx, owner, event.order_id)
    return told.OrderTold(event.order_id, _role(owner, event), order)


async def _tell_refund(tx: Tx, owner: Actor, event: OrderRefunded) -> told.RefundTold:
    order, role = await _order(tx, owner, event.order_id), _role(owner, event)
    shown = [item for item in (order.items if order else ()) if item.product_id in event.product_ids]
    amount = round(sum(item.price for item in shown), 2)
    ids = [item.product_id for item in shown]
    return told.RefundTold(event.order_id, role, ids, amount, event.currency, order)


def _role(owner: Actor, event: OrderCompleted | OrderRefunded) -> str:
    return "buyer" if owner.id == event.user_id else "seller"


async def _tell_follower(tx: Tx, owner: Actor, event: UserFollowed) -> told.FollowTold:
    return told.FollowTold(await _person(tx, owner, event.followed_by))


def _told(event: MessageSent) -> Collection[UUID]:
    return event.told


async def _tell_message(tx: Tx, owner: Actor, event: MessageSent) -> told.MessageTold:
    person = await _person(tx, owner, event.user_id)
    message = await messages.find_visible(tx, owner, event.message_id)
    return told.MessageTold(event.message_id, event.room_id, person, message)


# What else is to be told of is one more line, once it happens.
CATALOGUE: Mapping[str, Entry] = {
    entry.event.kind: entry
    for entry in (
        Entry(TrackUploaded, _owner, _tell_track, told.TrackTold),
        Entry(TrackProcessed, _owner, _tell_track, told.TrackTold),
        Entry(TrackFailed, _owner, _tell_failure, told.TrackFailure),
        Entry(TrackUpdated, _owner, _tell_track, told.TrackTold),
        Entry(TrackDeleted, _owner, _tell_gone, told.TrackGone),
        Entry(TrackLiked, _owner, _tell_like, told.LikeTold),
        Entry(TrackCommented, _owner, _tell_comment, told.CommentTold),
        Entry(PlaylistCreated, _owner, _tell_playlist, told.PlaylistTold),
        Entry(PlaylistUpdated, _owner, _tell_change, told.PlaylistChange),
        Entry(PlaylistDeleted, _owner, _tell_playlist_gone, told.PlaylistGone),
        Entry(PlaylistFollowed, _owner, _tell_follow, told.PlaylistFollow),
        Entry(ProductCreated, _owner, _tell_product, told.ProductTold),
        Entry(ProductUpdated, _owner, _tell_product, told.ProductTold),
        Entry(OrderCompleted, _parties, _tell_order, told.OrderTold),
        Entry(OrderRefunded, _parties, _tell_refund, told.RefundTold),
        Entry(UserFollowed, _owner, _tell_follower, told.FollowTold),
        Entry(MessageSent, _told, _tell_message, told.MessageTold),
    )
}
TYPES = tuple(CATALOGUE)


async def tell(tx: Tx, owner: Actor, kind: str, data: Any) -> msgspec.Struct:
    """What ``owner`` is told of an event with these fields. Raises :class:`Withheld`."""
    if kind == TEST:
        return msgspec.convert(data, told.TestTold)
    entry = CATALOGUE[kind]
    return await entry.tell(tx, owner, msgspec.convert(data, entry.event))
