"""The kinds of jobs of this room."""

from datetime import timedelta

from veza.core.events import EventJob
from veza.core.jobs import JobKind, NoPayload

FORGET_ROOM = JobKind("chat.forget_room", EventJob)
FORGET_USER = JobKind("chat.forget_user", EventJob)
LOOK_AGAIN = JobKind("chat.look_again", EventJob)
PURGE = JobKind("chat.purge", NoPayload, every=timedelta(hours=1))
