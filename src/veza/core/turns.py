"""Taking turns: at the event loop, and at work that is done one piece at a time."""

import asyncio

from veza.core.errors import Unavailable

_LATER = {"Retry-After": "5"}
_REST_SECONDS = 0.001


class Turns:
    """``async with``: one at a time, first come, first served.

    Raises :class:`Unavailable` at once when ``most`` are waiting already, and after ``seconds`` in vain.
    """

    def __init__(self, most: int, *, seconds: float | None = None) -> None:
        self._most = most
        self._seconds = seconds
        self._here = 0
        self._turn = asyncio.Lock()

    async def __aenter__(self) -> None:
        if self._here > self._most:
            raise Unavailable(headers=_LATER)
        self._here += 1
        try:
            async with asyncio.timeout(self._seconds):
                await self._turn.acquire()
        except BaseException as error:
            self._here -= 1
            if isinstance(error, TimeoutError):
                raise Unavailable(headers=_LATER) from None
            raise

    async def __aexit__(self, *_: object) -> None:
        self._turn.release()
        self._here -= 1


async def give_way() -> None:
    """Let everybody else who waits for the loop go first.

    For between two parts of a piece of work that is long (half a millisecond) and nobody's hot path.
    """
    # Twice: in the first turn a request that has just come in is only read, and answered in the next.
    await asyncio.sleep(0)
    await asyncio.sleep(0)


async def rest() -> None:
    """Let the loop come to rest, and whoever got an answer of it have the processor.

    For between two pieces of work, each of several parts, that nobody notices being a millisecond longer. Not
    within a transaction that writes: others would wait for it.
    """
    await asyncio.sleep(_REST_SECONDS)
