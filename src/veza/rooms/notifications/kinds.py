"""The kinds of jobs of this room."""

from datetime import datetime, timedelta
from uuid import UUID

import msgspec

from veza.core.events import EventJob
from veza.core.jobs import JobKind, NoPayload


class FanOut(msgspec.Struct, frozen=True):
    """A track of which followers are told who began to follow before; ``after`` is the last who was told."""

    track_id: UUID
    user_id: UUID
    before: datetime
    after: tuple[datetime, UUID] | None = None


class OfTrack(msgspec.Struct, frozen=True):
    """A track that is gone."""

    track_id: UUID


class OfUser(msgspec.Struct, frozen=True):
    """Somebody with whose notifications something is to be done."""

    user_id: UUID


class SendNotice(msgspec.Struct, frozen=True):
    """One notification that is to be mailed at once."""

    user_id: UUID
    notification_id: UUID


_PATIENCE = 50  # a mail server may be away for hours: eight of them
TELL = JobKind("notifications.tell", EventJob, together=True)
RELEASE = JobKind("notifications.release", EventJob)
FAN_OUT = JobKind("notifications.fan_out", FanOut)
FORGET_RELEASE = JobKind("notifications.forget_release", OfTrack)
FORGET_USER = JobKind("notifications.forget_user", EventJob)
PART = JobKind("notifications.part", EventJob)
SETTLE = JobKind("notifications.settle", OfUser)
SEND_NOTICE = JobKind("notifications.send_notice", SendNotice, lane="bulk_mail", attempts=_PATIENCE)
SEND_DIGEST = JobKind("notifications.send_digest", OfUser, lane="bulk_mail", attempts=_PATIENCE)
DIGESTS = JobKind("notifications.digests", NoPayload, every=timedelta(hours=24))
PURGE = JobKind("notifications.purge", NoPayload, every=timedelta(hours=24))
