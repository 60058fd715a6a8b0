"""What sessions say on the wire."""

from collections.abc import Iterable
from datetime import datetime
from typing import Annotated
from uuid import UUID

import msgspec
from msgspec import UNSET, UnsetType

from veza.core.body import checked
from veza.core.text import USERNAME, normalise_email, normalise_username
from veza.rooms.sessions.grants import TokenPair
from veza.rooms.sessions.proofs_store import Account
from veza.rooms.sessions.store import Session

Email = Annotated[str, checked(normalise_email, maxLength=254, format="email")]
Username = Annotated[str, checked(normalise_username, minLength=3, maxLength=30, pattern=f"^{USERNAME}$")]


class Registration(msgspec.Struct, frozen=True):
    """A new account."""

    username: Username
    email: Email
    password: str
    password_confirm: str


class Credentials(msgspec.Struct, frozen=True):
    """An e-mail address and a password; ``remember_me`` makes the session last 90 days and not 30."""

    email: Email
    password: str
    remember_me: bool = False


class RefreshToken(msgspec.Struct, frozen=True):
    """A refresh token."""

    refresh_token: str


class SecondFactor(msgspec.Struct, frozen=True):
    """A code from the app, or a recovery code, for a login that waits for it."""

    challenge_token: str
    code: str


class Enabling(msgspec.Struct, frozen=True):
    """A code from the app, and the password unless one signed in within the last ten minutes."""

    code: str
    password: str | UnsetType = UNSET


class PasswordAndCode(msgspec.Struct, frozen=True):
    """Both factors: a password, and a code from the app or a recovery code."""

    password: str
    code: str


class EmailOnly(msgspec.Struct, frozen=True):
    """An e-mail address."""

    email: Email


class NewPassword(msgspec.Struct, frozen=True):
    """A new password, and the token from the mail that allows it."""

    token: str
    password: str
    password_confirm: str


class PasswordChange(msgspec.Struct, frozen=True):
    """The password as it is, and as it shall be."""

    current_password: str
    password: str
    password_confirm: str


class UserSummary(msgspec.Struct, frozen=True):
    """Who signed in."""

    id: UUID
    username: str
    email: str


class Registered(msgspec.Struct, frozen=True):
    """A new account, signed in."""

    user: UserSummary
    token: TokenPair


class Login(msgspec.Struct, frozen=True):
    """Signed in (``token``), or asked for the second factor (``requires_2fa`` and ``challenge_token``)."""

    user: UserSummary | UnsetType = UNSET
    token: TokenPair | UnsetType = UNSET
    challenge_token: str | UnsetType = UNSET
    requires_2fa: bool = False


class CurrentUser(msgspec.Struct, frozen=True):
    """Whoever asks, as only they may see it."""

    id: UUID
    username: str
    email: str
    role: str
    email_verified: bool
    two_factor_enabled: bool
    created_at: datetime

    @classmethod
    def of(cls, account: Account) -> "CurrentUser":
        """What this account may know of itself."""
        return cls(
            account.id,
            account.username,
            account.email,
            account.role,
            account.email_verified,
            account.two_factor,
            account.created_at,
        )


class TwoFactorSecret(msgspec.Struct, frozen=True):
    """What an authenticator app needs, to type or to scan; shown this once."""

    secret: str
    otpauth_url: str


class RecoveryCodes(msgspec.Struct, frozen=True):
    """Codes to keep on paper, each good for one login without the app; shown this once."""

    message: str
    recovery_codes: list[str]


class SessionInfo(Session, frozen=True):
    """A session, and whether it is the one that asks."""

    current: bool


class Sessions(msgspec.Struct, frozen=True):
    """The sessions in which somebody is signed in."""

    sessions: list[SessionInfo]

    @classmethod
    def of(cls, found: Iterable[Session], current: UUID) -> "Sessions":
        """These sessions, one of which asks."""
        return cls([SessionInfo(**msgspec.structs.asdict(one), current=one.id == current) for one in found])
