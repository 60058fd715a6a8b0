"""What crosses the pipe from a child of ours: parts, each behind its length (32 bits, big endian)."""

from pathlib import Path


def split_parts(output: bytes, *, whole: bool = True) -> list[bytes]:
    """The parts; ValueError when the child did not end the last one, which is dropped if not ``whole``."""
    parts = []
    position = 0
    while position < len(output):
        length = int.from_bytes(output[position : position + 4])
        part = output[position + 4 : position + 4 + length]
        if position + 4 > len(output) or len(part) != length:
            if not whole:
                break
            raise ValueError("cut short")
        parts.append(part)
        position += 4 + length
    return parts


def package(module_file: str | None) -> Path:
    """The folder of an installed package."""
    if module_file is None:
        raise ValueError("a package without a file")
    return Path(module_file).parent
