"""What goes wrong with findings."""

from veza.core.errors import Conflict, NotFound


class FindingNotFound(NotFound):
    """There is no such finding."""

    code = "FINDING_NOT_FOUND"


class AlreadyAcknowledged(Conflict):
    """Somebody has seen to this finding already."""

    code = "ALREADY_ACKNOWLEDGED"
