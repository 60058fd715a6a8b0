"""What crosses the pipe from a child of ours: parts, each behind its length (32 bits, big endian)."""

import struct
from pathlib import Path


def split_parts(output: bytes) -> list[bytes]:
    """The parts; raises ValueError when the child did not end what it began."""
    parts = []
    position = 0
    while position < len(output):
        if position + 4 > len(output):
            raise ValueError("cut short")
        (length,) = struct.unpack_from(">I", output, position)
        part = output[position + 4 : position + 4 + length]
        if len(part) != length:
            raise ValueError("cut short")
        parts.append(part)
        position += 4 + length
    return parts


def package(module_file: str | None) -> Path:
    """The folder of an installed package."""
    if module_file is None:
        raise ValueError("a package without a file")
    return Path(module_file).parent
