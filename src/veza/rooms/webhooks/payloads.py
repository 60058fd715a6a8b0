"""What receivers are told of each event: things in the shapes in which the API shows them.

A thing is read when it is sent, as the hook's owner sees it then; where it is gone by then it is null, and
its id tells what it was.
"""

from collections.abc import Sequence
from uuid import UUID

import msgspec

from veza.rooms.chat.schemas import Message
from veza.rooms.comments.schemas import Comment
from veza.rooms.marketplace.order_schemas import OrderView
from veza.rooms.marketplace.schemas import ProductView
from veza.rooms.playlists.schemas import Playlist
from veza.rooms.tracks.schemas import Track


class Person(msgspec.Struct, frozen=True):
    """Whoever did it."""

    id: UUID
    username: str


class TrackTold(msgspec.Struct, frozen=True):
    """A track."""

    track_id: UUID
    track: Track | None


class TrackFailure(msgspec.Struct, frozen=True):
    """A track, and why it cannot be heard."""

    track_id: UUID
    error: str
    track: Track | None


class TrackGone(msgspec.Struct, frozen=True):
    """Which track there was."""

    track_id: UUID


class LikeTold(msgspec.Struct, frozen=True):
    """A track, and who likes it; null where that account is gone."""

    track_id: UUID
    user: Person | None
    track: Track | None


class CommentTold(msgspec.Struct, frozen=True):
    """What was said about a track, and by whom."""

    comment_id: UUID
    track_id: UUID
    user: Person | None
    comment: Comment | None
    track: Track | None


class PlaylistTold(msgspec.Struct, frozen=True):
    """A playlist."""

    playlist_id: UUID
    playlist: Playlist | None


class PlaylistChange(msgspec.Struct, frozen=True):
    """A playlist, and what has changed: title, description, is_public, cover, tracks, user_id, closed."""

    playlist_id: UUID
    changed: Sequence[str]
    playlist: Playlist | None


class PlaylistGone(msgspec.Struct, frozen=True):
    """Which playlist there was."""

    playlist_id: UUID


class PlaylistFollow(msgspec.Struct, frozen=True):
    """A playlist, and who follows it; null where that account is gone."""

    playlist_id: UUID
    user: Person | None
    playlist: Playlist | None


class ProductTold(msgspec.Struct, frozen=True):
    """A product."""

    product_id: UUID
    product: ProductView | None


class OrderTold(msgspec.Struct, frozen=True):
    """An order: whole to its buyer (``role``), to a `seller` what they sold in it."""

    order_id: UUID
    role: str
    order: OrderView | None


class RefundTold(msgspec.Struct, frozen=True):
    """An order, and what of it was given back: to its buyer all of it, to a `seller` what was theirs."""

    order_id: UUID
    role: str
    product_ids: Sequence[UUID]
    amount: float
    currency: str
    order: OrderView | None


class FollowTold(msgspec.Struct, frozen=True):
    """Who follows; null where that account is gone."""

    user: Person | None


class MessageTold(msgspec.Struct, frozen=True):
    """Something said to the hook's owner; null where it is gone, and who said it where their account is."""

    message_id: UUID
    room_id: UUID
    user: Person | None
    message: Message | None


class TestTold(msgspec.Struct, frozen=True):
    """That somebody tried their webhook."""

    webhook_id: UUID
    message: str
