"""The kinds of jobs of this room."""

from datetime import datetime, timedelta
from uuid import UUID

import msgspec

from veza.core.events import EventJob
from veza.core.jobs import JobKind, NoPayload


class Hooked(msgspec.Struct, frozen=True):
    """Which hook."""

    webhook_id: UUID


class SkipBefore(msgspec.Struct, frozen=True):
    """A hook: nothing is delivered that was queued before it was turned on; while it is off, nothing at all.

    ``until`` is read by workers of earlier versions alone: they skip what was queued before then.
    """

    webhook_id: UUID
    until: datetime


class Replay(msgspec.Struct, frozen=True):
    """A hook, and from when to when its events are to be delivered once more."""

    webhook_id: UUID
    since: datetime
    until: datetime
    undelivered_only: bool


class Retry(msgspec.Struct, frozen=True):
    """A hook of which what waits is due at once, and what was not delivered since then is, once more.

    ``since`` is None where nothing fails, and ``until`` is when that was wanted.
    """

    webhook_id: UUID
    since: datetime | None
    until: datetime


FORGET = JobKind("webhooks.forget", Hooked)
SKIP = JobKind("webhooks.skip", SkipBefore)
REPLAY = JobKind("webhooks.replay", Replay)
RETRY = JobKind("webhooks.retry", Retry)
SEND_DISABLED = JobKind("webhooks.send_disabled", EventJob, lane="mail", attempts=50)
PURGE = JobKind("webhooks.purge", NoPayload, every=timedelta(hours=6))
