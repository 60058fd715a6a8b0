"""What happens to accounts."""

from typing import ClassVar
from uuid import UUID

from veza.core.events import Event

# Notified whenever who somebody is has changed: name, address, its verification, role, suspension, or all, by
# deletion.
CHANGED = "veza_accounts"


class UserRegistered(Event, frozen=True):
    """There is a new account."""

    kind: ClassVar[str] = "auth.registered"
    user_id: UUID


class VerificationRequested(Event, frozen=True):
    """Somebody asked for a link that confirms an address; whether an account waits only its mail shows."""

    kind: ClassVar[str] = "auth.verification_requested"


class EmailVerified(Event, frozen=True):
    """Somebody has shown that the address of their account is theirs."""

    kind: ClassVar[str] = "auth.email_verified"
    user_id: UUID


class UserUpdated(Event, frozen=True):
    """A profile was changed, in these ``fields``."""

    kind: ClassVar[str] = "user.updated"
    user_id: UUID
    fields: tuple[str, ...]


class UsernameChanged(Event, frozen=True):
    """Somebody goes by another name; neither is said, for the log of what happened outlives accounts."""

    kind: ClassVar[str] = "user.username_changed"
    user_id: UUID


class AvatarChanged(Event, frozen=True):
    """Somebody has another avatar, or none any more."""

    kind: ClassVar[str] = "user.avatar_changed"
    user_id: UUID


class RoleChanged(Event, frozen=True):
    """An admin gave somebody another role."""

    kind: ClassVar[str] = "user.role_changed"
    user_id: UUID
    old: str
    new: str


class UserSuspended(Event, frozen=True):
    """An admin closed somebody's account for now; why is said with the account, not here."""

    kind: ClassVar[str] = "user.suspended"

    user_id: UUID


class UserRestored(Event, frozen=True):
    """An admin opened a suspended account again."""

    kind: ClassVar[str] = "user.restored"

    user_id: UUID


class DataExported(Event, frozen=True):
    """Everything that is held about somebody was handed out."""

    kind: ClassVar[str] = "user.exported"
    user_id: UUID


class UserDeleted(Event, frozen=True):
    """An account is gone, with what it owned."""

    kind: ClassVar[str] = "user.deleted"
    user_id: UUID
