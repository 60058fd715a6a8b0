"""Talking about tracks.

Threads have one level: an answer to a reply joins the thread of its first comment. A comment that is deleted
takes the replies to it along. Those of an account that is gone stay, under a stand-in for its name. The owner
of a track sees all that is said about it, whoever has blocked whom: so they can remove it.
"""

from datetime import timedelta
from typing import NoReturn
from uuid import UUID

import msgspec

from veza.access.actor import Actor, Member
from veza.access.policy import Action, may, require
from veza.core import clock
from veza.core.db import Tx
from veza.core.errors import Detail, ValidationFailed
from veza.core.ids import new_id
from veza.core.pages import Page
from veza.rooms.accounts import service as accounts
from veza.rooms.comments import store
from veza.rooms.comments.errors import CommentNotFound, DuplicateComment
from veza.rooms.comments.events import CommentDeleted, CommentEdited, TrackCommented
from veza.rooms.comments.schemas import (
    Comment,
    CommentDraft,
    CommentList,
    CommentOrder,
    CommentSort,
)
from veza.rooms.tracks import counts
from veza.rooms.tracks import service as tracks
from veza.rooms.tracks.errors import TrackNotFound
from veza.rooms.tracks.schemas import Track

SAME_AGAIN = timedelta(seconds=10)


class Remark(msgspec.Struct, frozen=True):
    """A comment for the policy: its author, and whose track it is about."""

    user_id: UUID | None
    track_owner: UUID | None


async def post(tx: Tx, actor: Member, track_id: UUID, draft: CommentDraft) -> Comment:
    """Whoever can hear a track may talk about it.

    Raises :class:`veza.rooms.tracks.errors.TrackNotFound`, ``TrackNotReady``, :class:`DuplicateComment`, and
    :class:`ValidationFailed` for a place after the track's end or a parent that is not there.
    """
    await accounts.stay_signed_in(tx, actor)
    track = await tracks.get_ready(tx, actor, track_id)
    if draft.timestamp is not None and draft.timestamp > track.duration:
        _refuse("timestamp", f"The track has only {track.duration:.1f} seconds.")
    # First, for it makes others who comment on this track wait: so the same words are not said twice at once.
    await counts.add_comments(tx, track.id, 1)
    parent = None if draft.parent_id is None else await _find_parent(tx, actor, track, draft.parent_id)
    if await store.was_said(tx, track.id, actor.id, draft.content, SAME_AGAIN):
        raise DuplicateComment
    comment = Comment(
        id=new_id(),
        track_id=track.id,
        user_id=actor.id,
        username=actor.username,
        parent_id=(parent.parent_id or parent.id) if parent else None,
        content=draft.content,
        timestamp=draft.timestamp,
        created_at=clock.now(),
        edited_at=None,
    )
    await store.add(tx, comment)
    replied_to = parent.user_id if parent else None
    tx.emit(TrackCommented(comment.id, track.id, track.user_id, actor.id, replied_to))
    return comment


async def _find_parent(tx: Tx, actor: Member, track: Track, parent_id: UUID) -> Comment:
    parent = await store.find(tx, parent_id)
    if parent is None or parent.track_id != track.id or parent.user_id in actor.hidden:
        _refuse("parent_id", "There is no such comment on this track.")
    return parent


def _refuse(field: str, said: str) -> NoReturn:
    raise ValidationFailed(details=[Detail(field, said, "INVALID")])


async def is_there(tx: Tx, comment_id: UUID) -> bool:
    """Whether there is this comment still."""
    return await store.find(tx, comment_id) is not None


async def list_comments(
    tx: Tx, actor: Actor, track_id: UUID, page: Page, sort: CommentSort, order: CommentOrder
) -> CommentList:
    """A page of the comments on a track that ``actor`` may see, but for those of hidden users.

    To the owner of the track nobody is hidden there.
    """
    track = await tracks.get_visible(tx, actor, track_id)
    total, hidden = track.comment_count, _hidden_on(track, actor)
    if hidden:
        total -= await store.count_by(tx, track_id, hidden)
    if page.offset >= total:
        return CommentList([], page.of(total))
    found = await store.page(tx, track_id, page, sort, order, hidden=hidden)
    return CommentList(found, page.of(total))


def _hidden_on(track: Track, actor: Actor) -> frozenset[UUID]:
    """Whose words on a track ``actor`` does not see; who may remove whatever is said there sees all of it."""
    anybody_s = Remark(None, track.user_id)
    return frozenset() if may(actor, Action.DELETE_COMMENT, anybody_s) else actor.hidden


async def edit(tx: Tx, actor: Member, comment_id: UUID, content: str) -> Comment:
    """Its author gives a comment other words. Raises :class:`CommentNotFound`."""
    comment, track = await _get_visible(tx, actor, comment_id)
    require(actor, Action.EDIT_COMMENT, comment)
    edited = await store.edit(tx, comment, content)
    tx.emit(CommentEdited(comment.id, comment.track_id, track.user_id, actor.id))
    return edited


async def delete(tx: Tx, actor: Member, comment_id: UUID) -> None:
    """Its author, the owner of the track or a moderator removes a comment and the replies to it.

    Raises :class:`CommentNotFound`.
    """
    comment, track = await _get_visible(tx, actor, comment_id)
    require(actor, Action.DELETE_COMMENT, Remark(comment.user_id, track.user_id))
    await counts.add_comments(tx, track.id, -1)  # and nobody replies meanwhile
    replies = await store.delete_replies(tx, comment.id)
    if not await store.delete(tx, comment.id):  # gone in this moment, by somebody else
        raise CommentNotFound
    if replies:
        await counts.add_comments(tx, track.id, -replies)
    tx.emit(CommentDeleted(comment.id, track.id, track.user_id, comment.user_id, replies))


async def find_visible(tx: Tx, actor: Actor, comment_id: UUID) -> Comment | None:
    """The comment, if there is one that ``actor`` may see."""
    try:
        return (await _get_visible(tx, actor, comment_id))[0]
    except CommentNotFound:
        return None


async def find_author(tx: Tx, actor: Member, comment_id: UUID) -> UUID | None:
    """Who said something that ``actor`` sees; None where the account is gone. Raises CommentNotFound."""
    comment, _ = await _get_visible(tx, actor, comment_id)
    return comment.user_id


async def _get_visible(tx: Tx, actor: Actor, comment_id: UUID) -> tuple[Comment, Track]:
    comment = await store.find(tx, comment_id)
    if comment is None:
        raise CommentNotFound
    try:
        track = await tracks.get_visible(tx, actor, comment.track_id)
    except TrackNotFound:
        raise CommentNotFound from None
    if comment.user_id in _hidden_on(track, actor):
        raise CommentNotFound
    return comment, track
