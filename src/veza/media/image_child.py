"""Scale the image on stdin to safe JPEGs with Pillow; a program for the sandbox, see :mod:`veza.media.cover`.

Its arguments are SITE_PACKAGES MAX_PIXELS SHAPE SIZE…; the shape is whole, square or
mosaic. For that, stdin holds four pictures, each behind its length. Writes one part for each size.
Ends with 2 when this is no image that we accept, with 3 when it is too large.
"""

import importlib
import struct
import sys
from collections.abc import Sequence
from io import BytesIO
from typing import BinaryIO

sys.path.insert(0, sys.argv[1])

from PIL import Image, ImageOps  # behind the line that says where it is

# What Pillow would load when it meets such a picture; where one is missing, it says that this is none.
_LOADED = [
    importlib.import_module(f"PIL.{name}")
    for name in (
        "GifImagePlugin", "JpegImagePlugin", "MpoImagePlugin", "PngImagePlugin", "TiffImagePlugin",
        "WebPImagePlugin", "_webp", "ImageColor", "ImagePalette",
    )
]  # fmt: skip
Image.preinit()
_UNSUPPORTED, _TOO_LARGE = 2, 3
_QUALITY = 85


def main() -> int:
    """Check, decode once, turn upright, then scale from the largest size down."""
    max_pixels, shape, sizes = int(sys.argv[2]), sys.argv[3], list(map(int, sys.argv[4:]))
    Image.MAX_IMAGE_PIXELS = None  # our own limit follows, before anything is decoded
    try:
        files = _parts(sys.stdin.buffer) if shape == "mosaic" else [sys.stdin.buffer]
        opened = [Image.open(file, formats=("PNG", "JPEG", "WEBP", "GIF")) for file in files]
        if any(one.width * one.height > max_pixels for one in opened):
            return _TOO_LARGE
        image = _mosaic(opened, max(sizes)) if shape == "mosaic" else _upright(opened[0])
    except MemoryError:
        return _TOO_LARGE
    except Exception:  # noqa: BLE001 - Pillow raises many kinds on broken files; they mean the same here
        return _UNSUPPORTED
    for size in sizes:
        _write(_jpeg(image, size, square=shape == "square"))
    return 0


def _parts(file: BinaryIO) -> list[BinaryIO]:
    """The pictures of a mosaic."""
    found: list[BinaryIO] = []
    while head := file.read(4):
        found.append(BytesIO(file.read(int.from_bytes(head))))
    return found


def _mosaic(opened: Sequence[Image.Image], size: int) -> Image.Image:
    """Two rows of two, each half as wide; the only ones that are enlarged."""
    half = size // 2
    made = Image.new("RGB", (half * 2, half * 2), "white")
    for n, one in enumerate(opened):
        tile = ImageOps.fit(_upright(one), (half, half), Image.Resampling.LANCZOS)
        made.paste(tile, (n % 2 * half, n // 2 * half))
    return made


def _upright(opened: Image.Image) -> Image.Image:
    """The first frame, as the camera meant it, in RGB on white."""
    image = ImageOps.exif_transpose(opened)
    if image.mode.startswith("I"):
        # Grey of 16 bits, as scanners write it: Pillow cuts it off at 255 where it should scale.
        image = image.point(lambda level: level * (1 / 256)).convert("L")
    if image.has_transparency_data:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        return Image.alpha_composite(white, image).convert("RGB")
    return image.convert("RGB")


def _jpeg(image: Image.Image, size: int, *, square: bool) -> bytes:
    """At most ``size`` pixels a side, never enlarged; a new image, so that no EXIF or comment comes along."""
    if square:
        side = min(size, *image.size)
        scaled = ImageOps.fit(image, (side, side), Image.Resampling.LANCZOS)
    else:
        scaled = image.copy()
        scaled.thumbnail((size, size), Image.Resampling.LANCZOS)
    clean = Image.new("RGB", scaled.size)
    clean.paste(scaled)
    target = BytesIO()
    clean.save(target, "JPEG", quality=_QUALITY, optimize=True)
    return target.getvalue()


def _write(part: bytes) -> None:
    sys.stdout.buffer.write(struct.pack(">I", len(part)) + part)
