"""A request's body as it comes in, for handlers that read it themselves."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any

from veza.core.errors import InvalidRequest


async def body_of(receive: Callable[[], Awaitable[Mapping[str, Any]]]) -> AsyncIterator[bytes]:
    """The pieces of the body; none is kept. Raises :class:`InvalidRequest` if the caller leaves early."""
    more = True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise InvalidRequest("The body ends early.")
        if piece := message.get("body"):
            yield piece
        more = message.get("more_body", False)
