"""Which events are told to whom: one table, from the event to what is told, or taken back."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any
from uuid import UUID

import msgspec

from veza.core.db import Tx
from veza.core.events import Event, EventJob, find_source
from veza.core.hearing import Heard
from veza.core.live import Live
from veza.rooms.chat.events import MessageSent
from veza.rooms.comments.events import CommentDeleted, TrackCommented
from veza.rooms.following.events import UserFollowed, UserUnfollowed
from veza.rooms.likes.events import TrackLiked, TrackUnliked
from veza.rooms.marketplace.events import OrderCompleted
from veza.rooms.notifications import acts_store
from veza.rooms.notifications.telling import Tale, tell_all
from veza.rooms.playlists.events import (
    PlaylistCollaboratorAdded,
    PlaylistCollaboratorRemoved,
    PlaylistFollowed,
    PlaylistUnfollowed,
)
from veza.rooms.sessions import events as session_events
from veza.rooms.tracks.events import TrackFailed, TrackProcessed
from veza.rooms.webhooks.events import WebhookDisabled

# From an event, and who caused it, to what is told.
Tales = Callable[[Any, UUID | None], Sequence[Tale]]


def _liked(event: TrackLiked | TrackUnliked, _by: UUID | None) -> list[Tale]:
    return [Tale(event.user_id, "track_liked", event.liked_by, event.track_id, event.liked_by)]


def _commented(event: TrackCommented, _by: UUID | None) -> list[Tale]:
    said, words = (event.author_id, event.track_id, event.comment_id), str(event.comment_id)
    told = [] if event.replied_to is None else [Tale(event.replied_to, "comment_replied", *said, words)]
    if event.replied_to != event.user_id:
        told.append(Tale(event.user_id, "track_commented", *said, words))
    return told


def _followed(event: UserFollowed | UserUnfollowed, _by: UUID | None) -> list[Tale]:
    return [Tale(event.user_id, "user_followed", event.followed_by, event.user_id, event.followed_by)]


def _playlist_followed(event: PlaylistFollowed | PlaylistUnfollowed, _by: UUID | None) -> list[Tale]:
    return [Tale(event.user_id, "playlist_followed", event.followed_by, event.playlist_id, event.followed_by)]


def _collaborator(event: PlaylistCollaboratorAdded, by: UUID | None) -> list[Tale]:
    return [
        Tale(
            event.collaborator_id,
            "playlist_collaborator_added",
            by or event.user_id,
            event.playlist_id,
            event.playlist_id,
            event.permission,
        )
    ]


def _ready(event: TrackProcessed, _by: UUID | None) -> list[Tale]:
    return [Tale(event.user_id, "track_ready", subject_id=event.track_id)]


def _failed(event: TrackFailed, _by: UUID | None) -> list[Tale]:
    return [Tale(event.user_id, "track_failed", subject_id=event.track_id, detail=event.error)]


def _ordered(event: OrderCompleted, _by: UUID | None) -> list[Tale]:
    order = event.order_id
    return [
        Tale(event.user_id, "order_completed", subject_id=order),
        *(Tale(seller, "sale_made", subject_id=order) for seller in sorted(event.seller_ids)),
    ]


def _disabled(event: WebhookDisabled, _by: UUID | None) -> list[Tale]:
    return [Tale(event.user_id, "webhook_disabled", subject_id=event.webhook_id)]


def _alert(event: Any, _by: UUID | None) -> list[Tale]:
    return [Tale(event.user_id, "security_alert", detail=event.kind)] if event.user_id else []


def _messaged(event: MessageSent, _by: UUID | None) -> list[Tale]:
    said = (event.user_id, event.room_id, event.message_id)
    return [Tale(one, "message_received", *said) for one in event.told]


_SECURITY: Sequence[type[Event]] = (
    session_events.RefreshReused,
    session_events.LoginSlowed,
    session_events.TwoFactorEnabled,
    session_events.TwoFactorDisabled,
    session_events.TwoFactorReset,
    session_events.RecoveryCodeUsed,
    session_events.PasswordChanged,
)

TOLD: Mapping[type[Event], Tales] = {
    TrackLiked: _liked,
    TrackCommented: _commented,
    UserFollowed: _followed,
    PlaylistFollowed: _playlist_followed,
    PlaylistCollaboratorAdded: _collaborator,
    TrackProcessed: _ready,
    TrackFailed: _failed,
    OrderCompleted: _ordered,
    WebhookDisabled: _disabled,
    MessageSent: _messaged,
    **dict.fromkeys(_SECURITY, _alert),
}


def _uncommented(event: CommentDeleted, _by: UUID | None) -> list[Tale]:
    if event.author_id is None:
        return []
    said = (event.author_id, event.track_id, event.comment_id)
    return [Tale(event.user_id, "track_commented", *said, str(event.comment_id))]


def _uncollaborator(event: PlaylistCollaboratorRemoved, _by: UUID | None) -> list[Tale]:
    playlist = event.playlist_id
    return [Tale(event.collaborator_id, "playlist_collaborator_added", None, playlist, playlist)]


# What was told of it is told no longer; an actor of None stands for whoever did it.
TAKEN_BACK: Mapping[type[Event], Tales] = {
    TrackUnliked: _liked,
    CommentDeleted: _uncommented,
    UserUnfollowed: _followed,
    PlaylistUnfollowed: _playlist_followed,
    PlaylistCollaboratorRemoved: _uncollaborator,
}
_KINDS = {kind.kind: kind for kind in (*TOLD, *TAKEN_BACK)}


async def hear(tx: Tx, live: Live, told: EventJob) -> None:
    """Tell whoever is to be told of an event, or take back what it has undone."""
    source = await find_source(tx, told.event_id)
    data = msgspec.json.encode(told.data).decode()
    await hear_all(tx, live, [Heard(told.event_id, told.kind, data, source.actor_id if source else None)])


async def hear_all(tx: Tx, live: Live, heard: Sequence[Heard]) -> None:
    """The same, of many events."""
    await tell_all(tx, live, [tale for one in heard for tale in await _tales(tx, one)])


async def _tales(tx: Tx, heard: Heard) -> Sequence[Tale]:
    kind = _KINDS[heard.kind]
    event = msgspec.json.decode(heard.data, type=kind)
    if kind in TOLD:
        return TOLD[kind](event, heard.actor_id)
    tales = list(TAKEN_BACK[kind](event, None))
    if isinstance(event, CommentDeleted) and event.author_id is not None:
        # Whom it had answered the event does not say.
        for act in await acts_store.list_of_act(tx, event.author_id, event.comment_id):
            said = (event.author_id, event.track_id, event.comment_id)
            tales.append(Tale(act.user_id, "comment_replied", *said, str(event.comment_id)))
    return [msgspec.structs.replace(tale, undone=True) for tale in tales]
