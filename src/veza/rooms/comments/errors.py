"""What can go wrong with comments."""

from veza.core.errors import Conflict, NotFound


class CommentNotFound(NotFound):
    """There is no such comment, or you may not see it."""

    code = "COMMENT_NOT_FOUND"


class DuplicateComment(Conflict):
    """You have just said the same about this track."""

    code = "DUPLICATE_COMMENT"
