"""What goes wrong in running the platform."""

from veza.core.errors import NotFound


class JobNotFound(NotFound):
    """There is no such job that was given up."""

    code = "JOB_NOT_FOUND"
