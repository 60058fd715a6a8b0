"""What the server itself refuses, before any application is asked, and the bytes it answers with."""

import re
from collections.abc import Iterable

import msgspec

from veza.core.errors import Unavailable, VezaError
from veza.core.ids import new_id

Headers = list[tuple[bytes, bytes]]

_REQUEST_ID = re.compile(rb"[A-Za-z0-9-]{8,64}")
_RETRY_AFTER_SECONDS = 5
_REASONS = {
    400: b"Bad Request",
    408: b"Request Timeout",
    414: b"URI Too Long",
    431: b"Request Header Fields Too Large",
    500: b"Internal Server Error",
    503: b"Service Unavailable",
}


class RequestTimeout(VezaError):
    """The request took too long to arrive."""

    code, status = "REQUEST_TIMEOUT", 408


class UriTooLong(VezaError):
    """The address of this request is too long."""

    code, status = "URI_TOO_LONG", 414


class HeadersTooLarge(VezaError):
    """The headers of this request are too many or too large."""

    code, status = "HEADERS_TOO_LARGE", 431


def request_id(headers: Iterable[tuple[bytes, bytes]]) -> str:
    """The caller's own X-Request-ID when it is sane (8 to 64 letters, digits, hyphens), else a fresh one."""
    for name, value in headers:
        if name == b"x-request-id" and _REQUEST_ID.fullmatch(value):
            return value.decode("ascii")
    return str(new_id())


def body_of(error: type[VezaError]) -> bytes:
    """The error envelope of an error that has nothing to say but its class."""
    message = (error.__doc__ or "").strip().partition("\n")[0]
    return msgspec.json.encode(
        {"success": False, "error": {"code": error.code, "message": message, "details": []}}
    )


def error_headers(error: type[VezaError], request: Iterable[tuple[bytes, bytes]], length: int) -> Headers:
    """The headers of the server's own answer: it always ends the connection."""
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", b"%d" % length),
        (b"x-content-type-options", b"nosniff"),
        (b"cache-control", b"no-store"),
        (b"x-request-id", request_id(request).encode()),
        (b"connection", b"close"),
    ]
    if error.status == Unavailable.status:
        headers.append((b"retry-after", b"%d" % _RETRY_AFTER_SECONDS))
    return headers


def refusal(error: type[VezaError], standard: Headers, request: Headers, *, head_only: bool) -> bytes:
    """The whole answer, as it goes over the wire; an answer to HEAD has no body (RFC 9110, 9.3.2)."""
    body = body_of(error)
    lines = [b"HTTP/1.1 %d %b" % (error.status, _REASONS[error.status])]
    lines += [b"%b: %b" % header for header in standard + error_headers(error, request, len(body))]
    return b"\r\n".join(lines) + b"\r\n\r\n" + (b"" if head_only else body)
