"""What goes wrong with reports."""

from veza.core.errors import Conflict, NotFound


class ReportNotFound(NotFound):
    """There is no such report."""

    code = "REPORT_NOT_FOUND"


class AlreadyReported(Conflict):
    """You have reported this already, and it is yet to be looked at."""

    code = "ALREADY_REPORTED"


class AlreadyResolved(Conflict):
    """Somebody has resolved this report already."""

    code = "ALREADY_RESOLVED"


class NothingToRevoke(Conflict):
    """This report had nothing done that can be taken back."""

    code = "NOTHING_TO_REVOKE"
