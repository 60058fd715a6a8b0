"""Scale the image on stdin to safe JPEGs with Pillow; a program for the sandbox, see :mod:`veza.media.cover`.

Run as ``python -I -S image_child.py SITE_PACKAGES MAX_PIXELS SQUARE SIZE…``. Writes one part for each size.
Ends with 2 when this is no image that we accept, with 3 when it is too large.
"""

import struct
import sys
from io import BytesIO

sys.path.insert(0, sys.argv[1])

from PIL import Image, ImageOps  # behind the line that says where it is

_UNSUPPORTED, _TOO_LARGE = 2, 3
_QUALITY = 85


def main() -> int:
    """Check, decode once, turn upright, then scale from the largest size down."""
    max_pixels, square, sizes = int(sys.argv[2]), sys.argv[3] == "square", map(int, sys.argv[4:])
    Image.MAX_IMAGE_PIXELS = None  # our own limit follows, before anything is decoded
    try:
        opened = Image.open(sys.stdin.buffer, formats=("PNG", "JPEG", "WEBP", "GIF"))
        if opened.width * opened.height > max_pixels:
            return _TOO_LARGE
        image = _upright(opened)
    except MemoryError:
        return _TOO_LARGE
    except Exception:  # noqa: BLE001 - Pillow raises many kinds on broken files; they mean the same here
        return _UNSUPPORTED
    for size in sizes:
        _write(_jpeg(image, size, square=square))
    return 0


def _upright(opened: Image.Image) -> Image.Image:
    """The first frame, as the camera meant it, in RGB on white."""
    image = ImageOps.exif_transpose(opened)
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


if __name__ == "__main__":
    sys.exit(main())
