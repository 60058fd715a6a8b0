"""Pictures from strangers (covers, avatars) made into small JPEGs that are ours: threats M7 and U10."""

import asyncio
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

import PIL

from veza.media.children import package, split_parts
from veza.media.errors import ImageTooLarge, MediaInterrupted, UnsupportedImage
from veza.media.limits import MediaLimits
from veza.media.sandbox import Limits, run_python

COVER_SIZES = (96, 320, 1000)  # pixels a side
MAX_PIXELS = 4096 * 4096
_SCRIPT = Path(__file__).with_name("image_child.py")
_SECONDS = 20.0
_MOST_OUTPUT = 32 << 20  # bytes, of all sizes
_UNSUPPORTED, _TOO_LARGE = 2, 3  # exit codes of the child


async def make_square_images(
    source: Path | bytes, sizes: Sequence[int] = COVER_SIZES, limits: MediaLimits | None = None
) -> dict[int, bytes]:
    """A JPEG for each size (pixels a side), cut square from the centre; smaller images are not enlarged.

    Raises UnsupportedImage, ImageTooLarge, MediaInterrupted, MediaUnavailable.
    """
    return await make_images(source, sizes, square=True, limits=limits)


async def make_images(
    source: Path | bytes,
    sizes: Sequence[int] = COVER_SIZES,
    *,
    square: bool = False,
    limits: MediaLimits | None = None,
) -> dict[int, bytes]:
    """The same; without ``square`` the whole image within a square of that size."""
    with await asyncio.to_thread(_open, source) as file:
        shape = "square" if square else "whole"
        return await _scale(file, sizes, shape=shape, limits=limits or MediaLimits())


async def make_mosaic(
    pictures: Sequence[bytes], sizes: Sequence[int] = COVER_SIZES, limits: MediaLimits | None = None
) -> dict[int, bytes]:
    """A JPEG for each size: four pictures, each cut square, in two rows of two.

    Raises UnsupportedImage, ImageTooLarge, MediaInterrupted, MediaUnavailable.
    """
    framed = b"".join(len(picture).to_bytes(4) + picture for picture in pictures)
    with await asyncio.to_thread(_open, framed) as file:
        return await _scale(file, sizes, shape="mosaic", limits=limits or MediaLimits())


def _open(source: Path | bytes) -> BinaryIO:
    if isinstance(source, Path):
        return source.open("rb")
    file = tempfile.TemporaryFile()  # noqa: SIM115 - the caller closes it
    file.write(source)
    file.seek(0)
    return file


async def _scale(
    file: BinaryIO, sizes: Sequence[int], *, shape: str, limits: MediaLimits
) -> dict[int, bytes]:
    pillow = package(PIL.__file__)
    try:
        result = await run_python(
            _SCRIPT,
            str(pillow.parent),
            str(MAX_PIXELS),
            shape,
            *map(str, sizes),
            stdin=file.fileno(),
            limits=Limits(memory=limits.image_memory, seconds=_SECONDS),
            at_most=_MOST_OUTPUT,
            packages=[pillow, pillow.parent / "pillow.libs"],
        )
    except TimeoutError:
        raise ImageTooLarge from None
    if result.returncode == _UNSUPPORTED:
        raise UnsupportedImage
    if result.returncode == _TOO_LARGE:
        raise ImageTooLarge
    if result.cut_off:
        raise MediaInterrupted
    try:
        parts = split_parts(result.value)
        return dict(zip(sizes, parts, strict=True))
    except ValueError:
        # Killed by a limit, or by a fault in a decoder: to its sender, a fault of the file.
        raise UnsupportedImage from None
