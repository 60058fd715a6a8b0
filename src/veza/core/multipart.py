"""Forms with a file (multipart/form-data, RFC 7578), received straight to disk.

Nothing is read twice and nothing is kept in memory but the small fields. Of the forms there are, only ours
are taken: one file under its name, and known fields once each.
"""

import re
import unicodedata
from collections.abc import AsyncIterator, Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path, PurePath

import msgspec
from python_multipart import MultipartParser
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import parse_options_header

from veza.core.errors import Detail, InvalidRequest, PayloadTooLarge, UnsupportedMediaType, ValidationFailed
from veza.core.storage_intake import PIECE, FileTooLarge, Intake

__all__ = ["FileTooLarge", "Form", "UploadedFile", "clean_filename", "receive_form"]

# Opens what takes the file in; it is given the fields, as far as they have come by the time it looks at them.
OpenIntake = Callable[[Mapping[str, str]], Intake]

_BOUNDARY = re.compile(rb"[ -~]{0,69}[!-~]")  # RFC 2046: 1 to 70 characters, not ending with a space
_MAX_HEADER = 8 * 1024
_MAX_HEADERS = 8
# What a body may hold beside its file: the fields, the headers of the parts, the boundaries.
_BESIDES = 1024 * 1024
_MAX_FILENAME = 255
# Controls, line separators, what reorders text on a screen, halves of surrogate pairs.
_NOT_IN_NAMES = re.compile("[\0-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


class UploadedFile(msgspec.Struct, frozen=True):
    """A file as received: ``filename`` and ``content_type`` are the sender's words; ``size`` in bytes."""

    path: Path
    filename: str
    content_type: str
    size: int
    digests: dict[str, str]


class Form(msgspec.Struct, frozen=True):
    """What a form held. The file, if any, now belongs to the caller."""

    file: UploadedFile | None
    fields: dict[str, str]

    def discard(self) -> None:
        """Remove the file, if it has not been moved away."""
        if self.file is not None:
            self.file.path.unlink(missing_ok=True)


async def receive_form(
    stream: AsyncIterator[bytes],
    content_type: str,
    *,
    file_field: str,
    fields: Collection[str],
    max_file_bytes: int,
    into: Path,
    max_field_bytes: int = 8 * 1024,
    digests: Sequence[str] = ("sha256",),
    open_intake: OpenIntake | None = None,
) -> Form:
    """The form in a request's body; its file lies in the folder ``into``, whole but not yet durable.

    Or it lies where ``open_intake`` puts it, which then belongs to the caller like a file.

    Raises :class:`UnsupportedMediaType` for another kind of body, :class:`InvalidRequest` for one that is
    malformed or ends early, :class:`ValidationFailed` for parts that do not belong here,
    :class:`FileTooLarge` as soon as it is, :class:`InsufficientStorage`. Whatever is raised, by the stream
    or by cancelling too, no file is left.
    """
    open_intake = open_intake or (lambda _: Intake(into, max_file_bytes, digests))
    parts = _Parts(file_field, fields, max_field_bytes, open_intake)
    try:
        await _receive(stream, parts, _parser(content_type, parts), max_file_bytes + _BESIDES)
        return await parts.form(digests)
    except BaseException:
        if parts.intake is not None:
            await parts.intake.discard()
        raise


def _parser(content_type: str, parts: "_Parts") -> MultipartParser:
    kind, options = parse_options_header(content_type)
    if kind != b"multipart/form-data":
        raise UnsupportedMediaType("This endpoint takes multipart/form-data.")
    boundary = options.get(b"boundary", b"")
    if not _BOUNDARY.fullmatch(boundary):
        raise InvalidRequest("The Content-Type needs a boundary of 1 to 70 characters.")
    return MultipartParser(
        boundary,
        {
            "on_part_begin": parts.begin,
            "on_header_field": parts.header_field,
            "on_header_value": parts.header_value,
            "on_header_end": parts.header_end,
            "on_headers_finished": parts.headers_finished,
            "on_part_data": parts.data,
            "on_part_end": parts.end_part,
            "on_end": parts.end,
        },
        max_header_count=_MAX_HEADERS,
        max_header_size=_MAX_HEADER,
    )


async def _receive(
    stream: AsyncIterator[bytes], parts: "_Parts", parser: MultipartParser, limit: int
) -> None:
    received = 0
    async for chunk in stream:
        received += len(chunk)
        if received > limit:
            raise PayloadTooLarge
        for piece in _pieces(chunk):
            try:
                parser.write(piece)
            except FormParserError:
                raise InvalidRequest("The form is malformed.") from None
            if parts.intake is not None and parts.intake.full:
                await parts.intake.flush()
    if not parts.ended:
        raise InvalidRequest("The form ends early: its last boundary is missing.")


def _pieces(chunk: bytes) -> Iterator[bytes]:
    if len(chunk) <= PIECE:
        yield chunk
        return
    for start in range(0, len(chunk), PIECE):
        yield chunk[start : start + PIECE]


class _Parts:
    """Takes what the parser finds; what does not belong in the form raises out of the parser."""

    def __init__(self, file_field: str, fields: Collection[str], limit: int, open_intake: OpenIntake) -> None:
        self.intake: Intake | None = None
        self.ended = False
        self._file_field = file_field
        self._known = fields
        self._limit = limit
        self._open_intake = open_intake
        self._fields: dict[str, str] = {}
        self._filename = self._content_type = ""
        self.begin()

    def begin(self) -> None:
        self._headers: dict[bytes, bytes] = {}
        self._name = ""
        self._value: bytearray | None = None
        self._header, self._header_value = bytearray(), bytearray()

    def header_field(self, data: bytes, start: int, end: int) -> None:
        self._header += data[start:end]

    def header_value(self, data: bytes, start: int, end: int) -> None:
        self._header_value += data[start:end]

    def header_end(self) -> None:
        self._headers[bytes(self._header).lower()] = bytes(self._header_value)
        self._header, self._header_value = bytearray(), bytearray()

    def headers_finished(self) -> None:
        kind, options = parse_options_header(self._headers.get(b"content-disposition", b"").decode("latin-1"))
        content_type = self._headers.get(b"content-type", b"").decode("latin-1").strip().lower()
        encoding = self._headers.get(b"content-transfer-encoding", b"binary").strip().lower()
        if kind != b"form-data" or b"name" not in options:
            raise InvalidRequest("A part of the form has no name.")
        if content_type.startswith("multipart/") or encoding not in {b"binary", b"8bit", b"7bit"}:
            raise InvalidRequest("A part of the form is itself encoded; send it as it is.")
        self._name = options[b"name"].decode(errors="replace")
        if self._name == self._file_field:
            self._begin_file(options.get(b"filename"), content_type)
        else:
            self._begin_field(is_file=b"filename" in options)

    def _begin_file(self, filename: bytes | None, content_type: str) -> None:
        if filename is None:
            raise _bad(self._name, "INVALID", "This must be a file.")
        if self.intake is not None:
            raise _bad(self._name, "DUPLICATE", "Send one file.")
        self.intake = self._open_intake(self._fields)
        self._filename = clean_filename(filename.decode(errors="replace"))
        self._content_type = content_type[:_MAX_FILENAME]

    def _begin_field(self, *, is_file: bool) -> None:
        if self._name not in self._known:
            raise _bad(self._name, "UNKNOWN_FIELD", "There is no such field here.")
        if self._name in self._fields:
            raise _bad(self._name, "DUPLICATE", "Send this field once.")
        if is_file:
            raise _bad(self._name, "INVALID", "This must be text, not a file.")
        self._value = bytearray()

    def data(self, data: bytes, start: int, end: int) -> None:
        if self._value is None:
            assert self.intake is not None
            self.intake.feed(data, start, end)
            return
        if len(self._value) + end - start > self._limit:
            raise _bad(self._name, "TOO_LONG", f"This must be at most {self._limit} bytes.")
        self._value += data[start:end]

    def end_part(self) -> None:
        if self._value is None:
            return
        try:
            text = self._value.decode()
        except UnicodeDecodeError:
            raise _bad(self._name, "INVALID_CHARACTER", "This must be text in UTF-8.") from None
        if "\0" in text:
            raise _bad(self._name, "INVALID_CHARACTER", "Texts cannot hold the character NUL.")
        self._fields[self._name] = text

    def end(self) -> None:
        self.ended = True

    async def form(self, digests: Sequence[str]) -> Form:
        """The form, once the body has ended."""
        intake = self.intake
        if intake is None:
            return Form(None, self._fields)
        found = dict(zip(digests, await intake.finish(), strict=True))
        if not intake.size and not self._filename:  # what a browser sends when no file was chosen
            await intake.discard()
            return Form(None, self._fields)
        return Form(
            UploadedFile(intake.path, self._filename, self._content_type, intake.size, found), self._fields
        )


def _bad(name: str, code: str, message: str) -> ValidationFailed:
    return ValidationFailed(details=[Detail(name[:100], message, code)])


def clean_filename(given: str) -> str:
    """The last part of a path, of any system, without what is not for reading; its ending survives a cut."""
    last = re.split(r"[/\\]", given.replace("%22", '"'))[-1]  # browsers send quotation marks so
    name = unicodedata.normalize("NFC", _NOT_IN_NAMES.sub("", last)).strip()
    if name.strip(".") == "":
        return ""
    ending = PurePath(name).suffix[:_MAX_FILENAME]
    return name if len(name) <= _MAX_FILENAME else name[: _MAX_FILENAME - len(ending)] + ending
