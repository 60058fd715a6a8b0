"""Follows as callers see them."""

from collections.abc import Sequence
from datetime import datetime
from typing import Literal
from uuid import UUID

import msgspec

from veza.core.pages import Pagination

FollowOrder = Literal["asc", "desc"]


class Follow(msgspec.Struct, frozen=True):
    """Somebody who follows or is followed, and since when."""

    user_id: UUID
    username: str
    followed_at: datetime


class Between(msgspec.Struct, frozen=True):
    """Whether you follow a user, and whether they follow you."""

    following: bool
    follows_you: bool


class Followers(msgspec.Struct, frozen=True):
    """A page of those who follow a user; ``total`` of all of them."""

    followers: Sequence[Follow]
    total: int
    pagination: Pagination


class Following(msgspec.Struct, frozen=True):
    """A page of those whom a user follows; ``total`` of all of them."""

    following: Sequence[Follow]
    total: int
    pagination: Pagination


class Block(msgspec.Struct, frozen=True):
    """Somebody who is blocked, and since when."""

    user_id: UUID
    username: str
    blocked_at: datetime


class Blocks(msgspec.Struct, frozen=True):
    """A page of those whom a user has blocked, the latest first; ``total`` of all of them."""

    blocks: Sequence[Block]
    total: int
    pagination: Pagination
