"""What can be wrong with an uploaded file, as its uploader reads it."""

from veza.core.errors import Unavailable, VezaError


class EmptyFile(VezaError):
    """The file is empty."""

    code, status = "EMPTY_FILE", 422


class UnsupportedAudio(VezaError):
    """This is not audio in a format that we accept: MP3, WAV, FLAC, OGG (Vorbis, Opus), AIFF, M4A or AAC."""

    code, status = "UNSUPPORTED_AUDIO", 422


class UndecodableAudio(UnsupportedAudio):
    """The file looks like audio, but less than a second of it can be decoded."""


class AudioTooLarge(VezaError):
    """The audio is too long, has too many channels, or takes too much work to decode."""

    code, status = "AUDIO_TOO_LARGE", 422


class UnsupportedImage(VezaError):
    """This is not an image that we accept: PNG, JPEG, WebP or GIF."""

    code, status = "UNSUPPORTED_IMAGE", 422


class ImageTooLarge(VezaError):
    """The image has too many pixels: 16,777,216 (4096 by 4096) at most."""

    code, status = "IMAGE_TOO_LARGE", 422


class MediaUnavailable(Unavailable):
    """Media cannot be processed here right now."""

    code = "MEDIA_UNAVAILABLE"


class EncodingFailed(VezaError):
    """The audio decodes, but cannot be encoded."""

    code, status = "PROCESSING_FAILED", 500


class MediaInterrupted(VezaError):
    """The work on this file was cut off from outside; try again in a minute."""

    code, status = "MEDIA_INTERRUPTED", 503

    def __init__(self) -> None:
        super().__init__(headers={"Retry-After": "60"})
