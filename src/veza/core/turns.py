"""Taking turns at the event loop."""

import asyncio


async def give_way() -> None:
    """Let everybody else who waits for the loop go first.

    For between two parts of a piece of work that is long (half a millisecond) and nobody's hot path.
    """
    await asyncio.sleep(0)
