from io import BytesIO
from itertools import product
from pathlib import Path

import pytest
from PIL import Image

from tests.media.hostile import png
from veza.media import ImageTooLarge, UnsupportedImage, make_images, make_mosaic, make_square_images


def _picture(kind: str, size: tuple[int, int], mode: str = "RGB", **options: object) -> bytes:
    target = BytesIO()
    image = Image.new(mode, size)
    image.paste(image.getpixel((0, 0)) if mode == "P" else "red", (0, 0, size[0] // 2, size[1]))
    image.save(target, kind, **options)
    return target.getvalue()


def _open(data: bytes) -> Image.Image:
    image = Image.open(BytesIO(data))
    image.load()
    return image


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "GIF"])
async def test_a_picture_becomes_square_jpegs(kind: str) -> None:
    """U10: re-encoded, squared, three sizes."""
    made = await make_square_images(_picture(kind, (1200, 1100)), [96, 320, 1000])
    assert [(_open(data).format, _open(data).size) for data in made.values()] == [
        ("JPEG", (96, 96)),
        ("JPEG", (320, 320)),
        ("JPEG", (1000, 1000)),
    ]


async def test_a_small_picture_is_not_enlarged(tmp_path: Path) -> None:
    file = tmp_path / "avatar"
    file.write_bytes(_picture("PNG", (200, 150)))
    assert {size: _open(data).size for size, data in (await make_square_images(file)).items()} == {
        96: (96, 96),
        320: (150, 150),
        1000: (150, 150),
    }
    whole = await make_images(file)
    assert [_open(data).size for data in whole.values()] == [(96, 72), (200, 150), (200, 150)]


@pytest.mark.parametrize("mode", ["RGBA", "LA", "L", "1", "I;16", "CMYK"])
async def test_every_mode_becomes_rgb(mode: str) -> None:
    target = BytesIO()
    Image.new(mode, (64, 64)).save(target, "JPEG" if mode == "CMYK" else "PNG")
    made = await make_square_images(target.getvalue(), [32])
    assert _open(made[32]).mode == "RGB"


async def test_grey_of_sixteen_bits_is_scaled() -> None:
    """Pillow cuts it off at 255, so that nearly all of it was white."""
    grey, colour = Image.new("I;16", (256, 64)), Image.new("RGB", (256, 64))
    for x, y in product(range(256), range(64)):
        grey.putpixel((x, y), x * 257)
        colour.putpixel((x, y), (x, x, x))
    made = []
    for picture in (grey, colour):
        picture.save(target := BytesIO(), "PNG")
        made.append(_open((await make_images(target.getvalue(), [256]))[256]))
    assert made[0].tobytes() == made[1].tobytes()


async def test_what_is_clear_becomes_white() -> None:
    clear = BytesIO()
    Image.new("RGBA", (64, 64), (0, 0, 0, 0)).save(clear, "PNG")
    assert _open((await make_square_images(clear.getvalue(), [32]))[32]).getpixel((5, 5)) == (255, 255, 255)


async def test_exif_is_obeyed_and_stripped() -> None:
    """U10, M19: a camera's rotation is applied; the place where it was taken is gone."""
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned
    exif[0x010E] = "secret-place"
    exif.get_ifd(0x8825)[1] = "N"
    photo = _picture("JPEG", (200, 100), exif=exif, comment=b"secret-place")
    made = (await make_images(photo, [320]))[320]
    assert _open(made).size == (100, 200)
    assert b"secret-place" not in made
    assert b"Exif" not in made
    assert not _open(made).getexif()


@pytest.mark.parametrize("size", [(65535, 65535), (4097, 4096), (2**31 - 1, 1)])
async def test_too_many_pixels_are_refused_before_decoding(size: tuple[int, int]) -> None:
    """M7, U10: the limit is 4096 by 4096."""
    with pytest.raises(ImageTooLarge) as caught:
        await make_square_images(png(*size))
    assert (caught.value.code, caught.value.status) == ("IMAGE_TOO_LARGE", 422)


async def test_the_largest_picture_fits() -> None:
    """U10: 4096 by 4096 pixels fit into the memory of the child."""
    made = await make_square_images(_picture("PNG", (4096, 4096), "RGBA", compress_level=1), [96])
    assert _open(made[96]).size == (96, 96)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>",
        b"%PDF-1.4",
        b"GIF89a",
        _picture("TIFF", (10, 10)),
        _picture("BMP", (10, 10)),
        _picture("ICO", (16, 16)),
        _picture("JPEG", (500, 500))[:600],
        png(100, 100, b"too little"),
        png(0, 10),
    ],
    ids=["empty", "svg", "pdf", "gif", "tiff", "bmp", "ico", "cut jpeg", "cut png", "no pixels"],
)
async def test_other_images_are_refused(data: bytes) -> None:
    """U10: no SVG, nothing but PNG, JPEG, WebP and GIF, and those whole."""
    with pytest.raises(UnsupportedImage) as caught:
        await make_square_images(data)
    assert (caught.value.code, caught.value.status) == ("UNSUPPORTED_IMAGE", 422)


async def test_the_first_frame_counts() -> None:
    frames = [Image.new("RGB", (20, 20), colour) for colour in ("red", "blue")]
    target = BytesIO()
    frames[0].save(target, "GIF", save_all=True, append_images=frames[1:])
    red, _, blue = _open((await make_square_images(target.getvalue(), [20]))[20]).getpixel((10, 10))
    assert red > blue + 200


async def test_four_pictures_become_a_mosaic() -> None:
    """M7: two rows of two, each cut square; what is no picture makes none."""
    colours = ("red", "lime", "blue", "white")
    tiles = []
    for colour, size in zip(colours, ((40, 90), (90, 40), (64, 64), (640, 640)), strict=True):
        target = BytesIO()
        Image.new("RGB", size, colour).save(target, "JPEG")
        tiles.append(target.getvalue())
    made = await make_mosaic(tiles)
    assert [_open(data).size for data in made.values()] == [(96, 96), (320, 320), (1000, 1000)]
    corners = [_open(made[320]).getpixel((x, y)) for y in (80, 240) for x in (80, 240)]
    wanted = [(255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)]
    for got, colour in zip(corners, wanted, strict=True):
        assert all(abs(one - other) < 12 for one, other in zip(got, colour, strict=True)), corners
    with pytest.raises(UnsupportedImage):
        await make_mosaic([*tiles[:3], b"<svg/>"])
