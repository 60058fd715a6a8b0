"""The digests of a file whose chunks are still coming: what is there from the beginning on is hashed.

MD5 is slower than most disks. Hashed as it comes, a gigabyte is complete when its last chunk is; hashed at
the end, its sender would wait for seconds.
"""

import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from threading import Lock
from uuid import UUID

from veza.core.storage_chunks import Chunk

_PIECE = 256 * 1024
_pool = ThreadPoolExecutor(2, thread_name_prefix="veza-hashing")

# Opens a chunk: a descriptor that is the caller's, and where in it the chunk begins.
OpenChunk = Callable[[Chunk, int], tuple[int, int]]


class Hashing:
    """MD5 and SHA-256 of chunks in their order, as far as they are there; one thread at a time works."""

    def __init__(self, open_chunk: OpenChunk) -> None:
        self._open = open_chunk
        self._lock = Lock()
        self._known: dict[int, Chunk] = {}
        self._waiting = False
        self._restart()

    def _restart(self) -> None:
        self._md5 = hashlib.md5(usedforsecurity=False)
        self._sha256 = hashlib.sha256()
        self._hashed: list[UUID] = []
        self._at = 0
        self._view = memoryview(bytearray(_PIECE))

    def know(self, chunk: Chunk) -> None:
        """Hear of a chunk; it is hashed behind the scenes when its turn has come."""
        self._known[chunk.number] = chunk
        if not self._waiting and len(self._hashed) + 1 in self._known:
            self._waiting = True
            _pool.submit(self._go_on)

    def _go_on(self) -> None:
        # Whatever fails here is met again, and told, when the file is put together.
        with self._lock, suppress(OSError):
            self._waiting = False
            while (chunk := self._known.pop(len(self._hashed) + 1, None)) is not None:
                self._hash(chunk)

    def finish(self, chunks: Sequence[Chunk]) -> tuple[str, str]:
        """MD5 and SHA-256 of these chunks, in hexadecimal; takes as long as what is not hashed yet.

        Raises OSError.
        """
        with self._lock:
            if self._hashed != [chunk.id for chunk in chunks[: len(self._hashed)]]:
                self._restart()  # one of them has been replaced
            for chunk in chunks[len(self._hashed) :]:
                self._hash(chunk)
            return self._md5.hexdigest(), self._sha256.hexdigest()

    def _hash(self, chunk: Chunk) -> None:
        md5, sha256 = self._md5.copy(), self._sha256.copy()
        file, at = self._open(chunk, self._at)
        try:
            for piece in pieces(file, at, chunk.size, self._view):
                md5.update(piece)
                sha256.update(piece)
        finally:
            os.close(file)
        self._md5, self._sha256 = md5, sha256
        self._hashed.append(chunk.id)
        self._at += chunk.size


def pieces(file: int, at: int, size: int, view: memoryview) -> Iterator[memoryview]:
    """The bytes of a range, a buffer at a time. Raises OSError where the file ends before it."""
    end = at + size
    while at < end:
        count = os.preadv(file, [view[: min(len(view), end - at)]], at)
        if not count:
            raise OSError("the file is shorter than its chunks")
        yield view[:count]
        at += count
