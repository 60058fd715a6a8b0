"""How the C library keeps memory that is free.

Left alone, glibc gives each thread a heap of its own, and each of them keeps what its thread once needed: the
19 MiB of a password's hash, what a search sorted. A server under an ordinary load has 15 MB less of 190 with
two. To have blocks of that size given back at once would be 25 MB more, and a third more of the time that a
hash takes: its pages would be new each time.
Source: mallopt(3).
"""

import ctypes

HEAPS = 2

_M_ARENA_MAX = -8


def share_heaps() -> None:
    """Have all threads share :data:`HEAPS`; said before there are any. Nothing without glibc."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_ARENA_MAX, HEAPS)
