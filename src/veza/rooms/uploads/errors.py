"""What can go wrong with uploads."""

from veza.core.errors import Conflict, Gone, NotFound, ValidationFailed, VezaError


class UploadNotFound(NotFound):
    """You have no such upload."""

    code = "UPLOAD_NOT_FOUND"


class UploadExpired(Gone):
    """Nothing came for a day, so this upload was given up; start a new one."""

    code = "UPLOAD_EXPIRED"


class TooManyUploads(Conflict):
    """You have too many uploads under way; complete or abandon one of them."""

    code = "TOO_MANY_UPLOADS"


class InvalidChunkNumber(ValidationFailed):
    """Chunks are numbered from 1 to as many as there are."""

    code = "INVALID_CHUNK_NUMBER"


class UploadMismatch(Conflict):
    """This is not what the upload was started with."""

    code = "UPLOAD_MISMATCH"


class UploadCompleted(Conflict):
    """This upload is over; nothing can be added to it."""

    code = "UPLOAD_COMPLETED"


class UploadIncomplete(Conflict):
    """Chunks are missing; send them and complete the upload again."""

    code = "UPLOAD_INCOMPLETE"


class UploadChanged(Conflict):
    """A chunk came while the upload was being completed; complete it again."""

    code = "UPLOAD_CHANGED"


class UploadNotReady(Conflict):
    """This upload is still being looked at, or was refused."""

    code = "UPLOAD_NOT_READY"


class UnsupportedFile(VezaError):
    """This is no file that we take: an image, audio, a ZIP archive, a PDF or plain text."""

    code, status = "UNSUPPORTED_FILE", 422


class UnsafeArchive(UnsupportedFile):
    """This archive is damaged, or would unpack into more than it should."""

    code = "UNSAFE_ARCHIVE"
