"""What can go wrong with following."""

from veza.core.errors import Conflict, ValidationFailed


class OwnAccount(ValidationFailed):
    """This is your own account."""

    code = "OWN_ACCOUNT"


class TooManyFollowed(Conflict):
    """You follow as many users as one may; take some back first."""

    code = "TOO_MANY_FOLLOWED"


class TooManyBlocked(Conflict):
    """You have blocked as many users as one may; take some back first."""

    code = "TOO_MANY_BLOCKED"
