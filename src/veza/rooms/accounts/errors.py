"""What can go wrong with accounts."""

from veza.core.errors import Conflict, InvalidRequest, NotFound, PayloadTooLarge


class UserNotFound(NotFound):
    """There is no such user."""

    code = "USER_NOT_FOUND"


class NoAvatar(NotFound):
    """This user has no avatar."""

    code = "AVATAR_NOT_FOUND"


class UsernameTaken(Conflict):
    """This username is taken."""

    code = "USERNAME_TAKEN"


class EmailTaken(Conflict):
    """This e-mail address is taken."""

    code = "EMAIL_TAKEN"


class TooManyUsernames(Conflict):
    """You have changed your username too often; wait until your former names are free again."""

    code = "TOO_MANY_USERNAMES"


class LastAdmin(Conflict):
    """The last admin must remain one."""

    code = "LAST_ADMIN"


class TokenInvalid(InvalidRequest):
    """This link is not valid, or no longer; ask for a new one."""

    code = "TOKEN_INVALID"


class QuotaExceeded(PayloadTooLarge):
    """There is not enough room left in your quota."""

    code = "QUOTA_EXCEEDED"
