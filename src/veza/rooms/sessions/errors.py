"""What can go wrong when somebody proves who they are."""

from veza.core.errors import Conflict, Forbidden, VezaError


class InvalidCredentials(VezaError):
    """The e-mail address or the password is wrong."""

    code, status = "INVALID_CREDENTIALS", 401


class AccountSuspended(VezaError):
    """This account is suspended."""

    code, status = "ACCOUNT_SUSPENDED", 403


class RefreshTokenReused(VezaError):
    """This refresh token was used before, so its session has been ended; sign in again."""

    code, status = "REFRESH_REUSED", 401


class InvalidCode(VezaError):
    """This code is wrong, or was used before."""

    code, status = "INVALID_CODE", 401


class PasswordRequired(Forbidden):
    """You signed in here a while ago: give your `password` with this."""

    code = "PASSWORD_REQUIRED"


class TwoFactorOn(Conflict):
    """Two-factor login is on already; disable it first."""

    code = "TWO_FACTOR_ON"


class TwoFactorOff(Conflict):
    """Two-factor login is not on."""

    code = "TWO_FACTOR_OFF"


class TwoFactorNotSetUp(Conflict):
    """Ask for a secret first: `POST /auth/2fa/setup`."""

    code = "TWO_FACTOR_NOT_SET_UP"
