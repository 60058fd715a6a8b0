"""A request's body as it comes in, for handlers that read it themselves."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any, cast

from veza.core.errors import InvalidRequest, UnsupportedMediaType
from veza.core.exchange import Exchange

_EARLY = "The body ends early."


async def body_of(receive: Callable[[], Awaitable[Mapping[str, Any]]]) -> AsyncIterator[bytes]:
    """The pieces of the body; none is kept. Raises :class:`InvalidRequest` if the caller leaves early."""
    more = True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise InvalidRequest(_EARLY)
        if piece := message.get("body"):
            yield piece
        more = message.get("more_body", False)


async def read_whole(receive: Callable[[], Awaitable[Mapping[str, Any]]]) -> bytes:
    """All of a body that is known to be short. Raises :class:`InvalidRequest` if the caller leaves early."""
    body = b""
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise InvalidRequest(_EARLY)
        body += cast("bytes", message.get("body", b""))
        if not message.get("more_body", False):
            return body


async def require_present(receive: Callable[[], Awaitable[Mapping[str, Any]]]) -> None:
    """Raise :class:`InvalidRequest` if the caller, whose body is read, has left meanwhile.

    For work that had to wait: who gave up often asks again, and shall not be behind themselves.
    """
    try:
        async with asyncio.timeout(0):  # who is there says nothing more
            message = await receive()
    except TimeoutError:
        return
    if message["type"] == "http.disconnect":
        raise InvalidRequest("The caller left before it was their turn.")


def require_plain(exchange: Exchange) -> None:
    """Raise :class:`UnsupportedMediaType` for a body, if any, that is packed or said to be two things.

    Whoever stands between would unpack it, or take the other word, and so see another request than is done
    here. The answer to a packed one says what is taken instead (RFC 9110, 15.5.16).
    """
    headers, lines = exchange.headers, exchange.scope["headers"]
    if b"transfer-encoding" not in headers and headers.get(b"content-length", b"0") == b"0":
        return
    if sum(name == b"content-type" for name, _ in lines) > 1:
        raise UnsupportedMediaType("Send one Content-Type.")
    if any(name == b"content-encoding" and value.strip().lower() != b"identity" for name, value in lines):
        raise UnsupportedMediaType(
            "Send the body as it is, without a Content-Encoding.", headers={"Accept-Encoding": "identity"}
        )


def is_short_json(exchange: Exchange, most: int) -> bool:
    """Whether the body is a JSON of at most so many bytes, and the request says so itself.

    For what is answered at the edge: whatever is less plain, an Idempotency-Key too, is the ordinary route's.
    """
    headers, lines = exchange.headers, exchange.scope["headers"]
    length = headers.get(b"content-length", b"")
    return (
        headers.get(b"content-type") == b"application/json"
        and length.isdigit()
        and len(length) <= len(str(most))
        and 0 < int(length) <= most
        and b"idempotency-key" not in headers
        and b"content-encoding" not in headers
        and (len(headers) == len(lines) or sum(name == b"content-type" for name, _ in lines) == 1)
    )
