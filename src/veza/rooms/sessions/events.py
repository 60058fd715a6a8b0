"""What happens to sessions and to the means by which people sign in."""

from typing import ClassVar
from uuid import UUID

from veza.core.events import Event


class LoggedIn(Event, frozen=True):
    """Somebody signed in, by a password and, where it is on, a second factor."""

    kind: ClassVar[str] = "auth.login"
    user_id: UUID
    session_id: UUID


class LoginFailed(Event, frozen=True):
    """A login was refused; ``user_id`` is None where there is no such account."""

    kind: ClassVar[str] = "auth.login_failed"
    user_id: UUID | None
    reason: str


class LoginSlowed(Event, frozen=True):
    """So many logins to one account failed that the next have to wait."""

    kind: ClassVar[str] = "auth.login_slowed"
    user_id: UUID | None


class LoggedOut(Event, frozen=True):
    """Somebody ended the session that they were in."""

    kind: ClassVar[str] = "auth.logout"
    user_id: UUID
    session_id: UUID


class TokensRenewed(Event, frozen=True):
    """A session goes on: its refresh token was used, and followed by another."""

    kind: ClassVar[str] = "auth.refreshed"

    user_id: UUID
    session_id: UUID


class RefreshReused(Event, frozen=True):
    """A refresh token came a second time: one of its two holders is a thief. Its session was ended."""

    kind: ClassVar[str] = "auth.refresh_reused"
    user_id: UUID
    session_id: UUID


class SessionRevoked(Event, frozen=True):
    """Somebody ended one of their sessions from another."""

    kind: ClassVar[str] = "session.revoked"
    user_id: UUID
    session_id: UUID


class AllSessionsRevoked(Event, frozen=True):
    """Somebody ended all their sessions."""

    kind: ClassVar[str] = "session.all_revoked"
    user_id: UUID


class PasswordChanged(Event, frozen=True):
    """Somebody changed their password, or chose a new one by a link (``by_mail``)."""

    kind: ClassVar[str] = "auth.password_changed"
    user_id: UUID
    by_mail: bool


class PasswordResetRequested(Event, frozen=True):
    """Somebody asked for a link for a new password; whether there is such an account only its mail shows."""

    kind: ClassVar[str] = "auth.password_reset_requested"


class TwoFactorPrepared(Event, frozen=True):
    """Somebody has a new secret for their app, which counts for nothing until a code enables it."""

    kind: ClassVar[str] = "auth.2fa_prepared"

    user_id: UUID


class TwoFactorEnabled(Event, frozen=True):
    """From now on a login takes a second factor."""

    kind: ClassVar[str] = "auth.2fa_enabled"
    user_id: UUID


class TwoFactorDisabled(Event, frozen=True):
    """A login takes a password alone again."""

    kind: ClassVar[str] = "auth.2fa_disabled"
    user_id: UUID


class TwoFactorReset(Event, frozen=True):
    """An operator took somebody's second factor off, at the shell, and ended all their sessions."""

    kind: ClassVar[str] = "auth.2fa_reset"
    user_id: UUID


class RecoveryCodeUsed(Event, frozen=True):
    """A code on paper stood in for the app; so many are ``left``."""

    kind: ClassVar[str] = "auth.recovery_code_used"
    user_id: UUID
    left: int
