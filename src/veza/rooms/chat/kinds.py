"""The kinds of jobs of this room."""

from datetime import timedelta
from uuid import UUID

import msgspec

from veza.core.events import EventJob
from veza.core.jobs import JobKind, NoPayload


class FollowSubject(msgspec.Struct, frozen=True):
    """The room of a track or playlist that has become another."""

    room_id: UUID


FORGET_ROOM = JobKind("chat.forget_room", EventJob)
FORGET_USER = JobKind("chat.forget_user", EventJob)
FOLLOW_SUBJECT = JobKind("chat.follow_subject", FollowSubject)
LOOK_AGAIN = JobKind("chat.look_again", EventJob)
PURGE = JobKind("chat.purge", NoPayload, every=timedelta(hours=1))
