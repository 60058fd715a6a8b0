"""Which files the rows name: each room says it of its own, for whoever copies or checks all of them."""

from collections.abc import AsyncIterator, Callable, Sequence

import msgspec

from veza.core.db import Tx


class NamedFile(msgspec.Struct, frozen=True):
    """A file that a row names, with its size in bytes and its SHA-256 as far as the row knows them.

    A ``spare`` one may be missing: it is made anew when it is asked for, or there is none of every thing.
    """

    key: str
    size: int | None = None
    sha256: str = ""
    spare: bool = False


# Given a view, all files that are named in it, some at a time.
Naming = Callable[[Tx], AsyncIterator[Sequence[NamedFile]]]
