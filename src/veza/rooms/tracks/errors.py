"""What can go wrong with tracks."""

from veza.core.errors import Conflict, Forbidden, NotFound, Unavailable

_RETRY_AFTER = {"processing": "2", "ready": "60"}


class TrackNotFound(NotFound):
    """There is no such track, or you may not see it."""

    code = "TRACK_NOT_FOUND"


class TrackNotReady(Conflict):
    """This track is not ready yet."""

    code = "TRACK_NOT_READY"

    @classmethod
    def at(cls, status: str) -> "TrackNotReady":
        """What to say of a track in this state, of which what was asked for is not made yet.

        One that is being processed is worth asking for again soon; one that is ready was imported, and waits.
        """
        seconds = _RETRY_AFTER.get(status)
        return cls(headers={"Retry-After": seconds} if seconds else {})


class DownloadNotAllowed(Forbidden):
    """The artist does not offer this track for download."""

    code = "DOWNLOAD_NOT_ALLOWED"


class PurchaseRequired(DownloadNotAllowed):
    """This track is for sale: whoever buys it may download it."""

    code = "PURCHASE_REQUIRED"


class EmailNotVerified(Forbidden):
    """Verify your e-mail address first."""

    code = "EMAIL_NOT_VERIFIED"


class RenditionNotFound(NotFound):
    """This track has no such rendition."""

    code = "RENDITION_NOT_FOUND"


class PieceNotReady(Unavailable):
    """This part of the track is still being encoded; try again soon."""

    code = "PIECE_NOT_READY"


class CoverNotFound(NotFound):
    """This track has no cover."""

    code = "COVER_NOT_FOUND"
