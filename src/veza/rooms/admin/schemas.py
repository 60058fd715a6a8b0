"""The platform as its operators see it."""

from collections.abc import Sequence
from datetime import datetime
from functools import partial
from typing import Annotated, Literal
from uuid import UUID

import msgspec

from veza.core.body import checked
from veza.core.pages import Pagination
from veza.core.text import clean_text

MOST_OF_A_REASON = 1_000

State = Literal["active", "suspended"]


class ManagedUser(msgspec.Struct, frozen=True):
    """Somebody with an account, as admins see them."""

    id: UUID
    username: str
    email: str
    email_verified: bool
    role: str
    storage_used: int
    suspended_at: datetime | None
    suspended_reason: str | None
    created_at: datetime


class ManagedUsers(msgspec.Struct, frozen=True):
    """A page of users, by name."""

    users: Sequence[ManagedUser]
    pagination: Pagination


class UserBody(msgspec.Struct, frozen=True):
    """One of them."""

    user: ManagedUser


class Suspension(msgspec.Struct, frozen=True):
    """Why somebody is suspended."""

    reason: Annotated[
        str,
        checked(
            partial(clean_text, max_chars=MOST_OF_A_REASON, min_chars=1, multiline=True),
            minLength=1,
            maxLength=MOST_OF_A_REASON,
        ),
    ]


class Lane(msgspec.Struct, frozen=True):
    """A lane of jobs: how many wait or run, how many are due by now, since when the oldest, how many died."""

    lane: str
    waiting: int
    due: int
    oldest_due: datetime | None
    dead: int


class Failing(msgspec.Struct, frozen=True):
    """A kind of job of which some are tried again, or were given up; ``error`` is why one of them failed."""

    kind: str
    retrying: int
    dead: int
    error: str | None


class Work(msgspec.Struct, frozen=True):
    """All work that is to be done, and what fails of it."""

    lanes: Sequence[Lane]
    failing: Sequence[Failing]


class DeadJob(msgspec.Struct, frozen=True):
    """A job that was given up."""

    id: UUID
    kind: str
    lane: str
    attempt: int
    error: str | None
    created_at: datetime
    dead_at: datetime


class DeadJobs(msgspec.Struct, frozen=True):
    """A page of them, the latest first."""

    jobs: Sequence[DeadJob]
    pagination: Pagination


class RetryDraft(msgspec.Struct, frozen=True):
    """Which kind of job is tried again."""

    kind: Annotated[str, checked(partial(clean_text, max_chars=64, min_chars=1), minLength=1, maxLength=64)]


class Retried(msgspec.Struct, frozen=True):
    """How many jobs are tried again."""

    retried: int


class Kept(msgspec.Struct, frozen=True):
    """Tracks in one state: how many, and the bytes of what was uploaded."""

    status: str
    tracks: int
    bytes: int


class Holder(msgspec.Struct, frozen=True):
    """Somebody and the bytes that count to their quota."""

    id: UUID
    username: str
    role: str
    storage_used: int


class StorageOverview(msgspec.Struct, frozen=True):
    """What is stored, and who stores most; ``used`` and all sizes in bytes."""

    users: int
    used: int
    tracks: Sequence[Kept]
    largest: Sequence[Holder]
