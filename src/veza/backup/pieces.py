"""Rows cut into pieces of about two megabytes, at places that the rows themselves tell.

Where a piece ends depends on its last row alone: what is added, changed or removed elsewhere leaves a piece
as it was, and the next backup of it is the same content, which is there already.
"""

import zlib

import msgspec

from veza.core.db.rows import Row

PIECE_BYTES = 2 * 1024**2
MOST_BYTES = 16 * 1024**2
# A piece unpacked may be no larger, whatever was made of it: the last row of one may be large.
_MOST_UNPACKED = 1024**3
_decode = msgspec.msgpack.Decoder(list[tuple]).decode  # type: ignore[type-arg]  # of columns of any kinds


class PieceDamaged(Exception):
    """What a backup holds is not what was put there."""


class Cutter:
    """Gathers rows until a piece is full."""

    def __init__(self) -> None:
        self._rows: list[bytes] = []
        self._size = 0

    def add(self, packed: bytes) -> bytes | None:
        """Take a row as msgpack; a piece, if this row ends one."""
        self._rows.append(packed)
        self._size += len(packed)
        if self._size >= MOST_BYTES or _ends(packed):
            return self.rest()
        return None

    def rest(self) -> bytes | None:
        """What has been gathered, if anything, as a piece."""
        if not self._rows:
            return None
        # The head of a msgpack array with as many elements (its specification: array 32).
        head = b"\xdd" + len(self._rows).to_bytes(4)
        piece = zlib.compress(head + b"".join(self._rows), 1)
        self._rows, self._size = [], 0
        return piece


def _ends(packed: bytes) -> bool:
    # By chance, as often as rows of this size fill a piece; the same row always decides alike.
    return zlib.crc32(packed) * PIECE_BYTES < len(packed) << 32


def unpack(piece: bytes) -> list[Row]:
    """The rows of a piece. Raises :class:`PieceDamaged`."""
    unpacker = zlib.decompressobj()
    try:
        data = unpacker.decompress(piece, _MOST_UNPACKED)
        if not unpacker.eof:
            raise PieceDamaged
        rows: list[Row] = _decode(data)
    except (zlib.error, msgspec.MsgspecError):
        raise PieceDamaged from None
    return rows
