"""What can go wrong with tracks."""

from veza.core.errors import Conflict, Forbidden, NotFound, PayloadTooLarge


class TrackNotFound(NotFound):
    """There is no such track, or you may not see it."""

    code = "TRACK_NOT_FOUND"


class TrackNotReady(Conflict):
    """This track is not ready yet."""

    code = "TRACK_NOT_READY"


class DownloadNotAllowed(Forbidden):
    """The artist does not offer this track for download."""

    code = "DOWNLOAD_NOT_ALLOWED"


class FileTooLarge(PayloadTooLarge):
    """The file is larger than this server takes."""

    code = "FILE_TOO_LARGE"


class EmailNotVerified(Forbidden):
    """Verify your e-mail address first."""

    code = "EMAIL_NOT_VERIFIED"
