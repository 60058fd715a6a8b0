"""The two ends of a served application's life, as ASGI tells of them."""

from collections.abc import Awaitable, Callable, MutableMapping
from contextlib import AbstractAsyncContextManager
from traceback import format_exc
from typing import Any

Message = MutableMapping[str, Any]


async def live(
    running: AbstractAsyncContextManager[None],
    receive: Callable[[], Awaitable[Message]],
    send: Callable[[Message], Awaitable[None]],
) -> None:
    """Enter ``running`` when the server starts and leave it when the server ends; tell it when that fails."""
    at = "startup"
    await receive()
    try:
        async with running:
            await send({"type": "lifespan.startup.complete"})
            at = "shutdown"
            await receive()
    except BaseException:
        await send({"type": f"lifespan.{at}.failed", "message": format_exc()})
        raise
    await send({"type": "lifespan.shutdown.complete"})
