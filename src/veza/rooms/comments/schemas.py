"""Comments as callers send and see them."""

from collections.abc import Sequence
from datetime import datetime
from functools import partial
from typing import Annotated, Literal
from uuid import UUID

import msgspec

from veza.core.body import checked
from veza.core.pages import Pagination
from veza.core.text import clean_text

CommentSort = Literal["created_at", "timestamp"]
CommentOrder = Literal["asc", "desc"]

MAX_CONTENT = 2_000
# Whose account is gone.
DELETED_USER = "deleted user"
Content = Annotated[
    str,
    checked(
        partial(clean_text, max_chars=MAX_CONTENT, min_chars=1, multiline=True),
        minLength=1,
        maxLength=MAX_CONTENT,
    ),
]
Seconds = Annotated[float, msgspec.Meta(ge=0)]


class Comment(msgspec.Struct, frozen=True):
    """What somebody said about a track, at so many seconds of it (``timestamp``) if they named a place.

    ``parent_id`` is the first comment of the thread: threads have one level. ``user_id`` is None, and the
    name a stand-in, where the account is gone. ``content`` is text, never HTML.
    """

    id: UUID
    track_id: UUID
    user_id: UUID | None
    username: str
    parent_id: UUID | None
    content: str
    timestamp: float | None
    created_at: datetime
    edited_at: datetime | None


class CommentBody(msgspec.Struct, frozen=True):
    """One comment."""

    comment: Comment


class CommentList(msgspec.Struct, frozen=True):
    """A page of the comments on a track, replies among them."""

    comments: Sequence[Comment]
    pagination: Pagination


class CommentDraft(msgspec.Struct, frozen=True):
    """What somebody wants to say."""

    content: Content
    timestamp: Seconds | None = None
    parent_id: UUID | None = None


class CommentChanges(msgspec.Struct, frozen=True):
    """Other words for a comment."""

    content: Content
