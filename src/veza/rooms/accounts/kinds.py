"""The kinds of jobs of this room."""

from datetime import timedelta

import msgspec

from veza.core.jobs import JobKind, NoPayload


class SendVerification(msgspec.Struct, frozen=True):
    """An address that may be waiting for a link; the link itself is made when it is sent."""

    email: str


class RemoveAvatar(msgspec.Struct, frozen=True):
    """A folder of the storage: of one avatar, or of all that somebody had."""

    folder: str


# A mail server may be away for hours: fifty attempts, at most ten minutes apart, last for eight of them.
SEND_VERIFICATION = JobKind("accounts.send_verification", SendVerification, lane="mail", attempts=50)
REMOVE_AVATAR = JobKind("accounts.remove_avatar", RemoveAvatar)
PURGE = JobKind("accounts.purge", NoPayload, every=timedelta(hours=6))
SWEEP_AVATARS = JobKind("accounts.sweep_avatars", NoPayload, every=timedelta(hours=24))
