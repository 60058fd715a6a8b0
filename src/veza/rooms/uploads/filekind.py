"""What an uploaded file is: told from its content, never from its name or what its sender says."""

import codecs
import re
from pathlib import Path

import msgspec

from veza.media import EmptyFile, UnsupportedAudio, sniff
from veza.rooms.uploads.errors import UnsupportedFile

IMAGE, AUDIO, ARCHIVE, DOCUMENT = "image", "audio", "archive", "document"

_HEAD = 1024
_PIECE = 1024 * 1024
_MAGIC = (
    (re.compile(rb"\x89PNG\r\n\x1a\n"), IMAGE, "image/png"),
    (re.compile(rb"\xff\xd8\xff"), IMAGE, "image/jpeg"),
    (re.compile(rb"GIF8[79]a"), IMAGE, "image/gif"),
    (re.compile(rb"RIFF.{4}WEBP", re.DOTALL), IMAGE, "image/webp"),
    (re.compile(rb"PK\x03\x04|PK\x05\x06"), ARCHIVE, "application/zip"),
    (re.compile(rb"%PDF-[12]\.\d"), DOCUMENT, "application/pdf"),
)
# No text has them, but for what prints on paper and ends lines.
_CONTROLS = re.compile("[\0-\x08\x0e-\x1f\x7f]")
# Text that somebody's program would run or draw is not for reading.
_MARKUP = re.compile(rb"(?:\xef\xbb\xbf)?\s*(?:<|#!)")


class FileKind(msgspec.Struct, frozen=True):
    """One of image, audio, archive and document; and the MIME type."""

    kind: str
    mime: str


def find_kind(path: Path) -> FileKind:
    """What this file is; call it in a thread. Raises EmptyFile, :class:`UnsupportedFile`."""
    with path.open("rb") as file:
        head = file.read(_HEAD)
    if not head:
        raise EmptyFile
    for magic, kind, mime in _MAGIC:
        if magic.match(head):
            return FileKind(kind, mime)
    try:
        return FileKind(AUDIO, sniff(path).format.mime)
    except UnsupportedAudio:
        if _MARKUP.match(head) or not _is_text(path):
            raise UnsupportedFile from None
    return FileKind(DOCUMENT, "text/plain")


def _is_text(path: Path) -> bool:
    """Whether it is UTF-8 from beginning to end, without control characters."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    with path.open("rb") as file:
        try:
            while piece := file.read(_PIECE):
                if _CONTROLS.search(decoder.decode(piece)):
                    return False
            decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            return False
    return True
