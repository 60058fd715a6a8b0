"""What can go wrong with tracks."""

from veza.core.errors import Conflict, Forbidden, NotFound


class TrackNotFound(NotFound):
    """There is no such track, or you may not see it."""

    code = "TRACK_NOT_FOUND"


class TrackNotReady(Conflict):
    """This track is not ready yet."""

    code = "TRACK_NOT_READY"


class DownloadNotAllowed(Forbidden):
    """The artist does not offer this track for download."""

    code = "DOWNLOAD_NOT_ALLOWED"


class EmailNotVerified(Forbidden):
    """Verify your e-mail address first."""

    code = "EMAIL_NOT_VERIFIED"
