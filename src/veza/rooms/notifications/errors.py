"""What can go wrong with notifications."""

from veza.core.errors import NotFound, RateLimited


class NotificationNotFound(NotFound):
    """There is no such notification of yours."""

    code = "NOTIFICATION_NOT_FOUND"


class TooManyStreams(RateLimited):
    """You listen to as many streams of events as one may; close another one first."""

    code = "TOO_MANY_STREAMS"
