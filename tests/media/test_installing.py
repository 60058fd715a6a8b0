"""While another version is installed over a running one, what children need is missing for a moment."""

import shutil
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import PIL
import pytest
from PIL import Image

from veza.media import (
    MediaLimits,
    MediaUnavailable,
    cover,
    headers,
    make_images,
    make_mosaic,
    pipeline,
    sandbox,
    tags,
)
from veza.media.children import package
from veza.media.sandbox import Limits, run_python

LIMITS = MediaLimits()
Get = Callable[[str], Path]


def _picture(kind: str, mode: str = "RGB", **how: Any) -> bytes:
    target = BytesIO()
    Image.new(mode, (64, 48)).save(target, kind, **how)
    return target.getvalue()


def _pair() -> bytes:
    """Two pictures in one JPEG, as telephones make them."""
    target, second = BytesIO(), Image.new("RGB", (8, 8))
    Image.new("RGB", (64, 48)).save(target, "MPO", save_all=True, append_images=[second])
    return target.getvalue()


def _turned() -> bytes:
    exif = Image.Exif()
    exif[0x0112] = 6
    return _picture("JPEG", exif=exif.tobytes())


async def test_a_picture_is_not_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """C33: whatever of Pillow is missing, none of it says anything of the file."""
    site = tmp_path / "site-packages"
    whole = package(PIL.__file__)
    shutil.copytree(whole, site / "PIL", ignore=shutil.ignore_patterns("__pycache__"))
    libraries = whole.parent / "pillow.libs"
    if libraries.exists():
        (site / "pillow.libs").symlink_to(libraries)
    monkeypatch.setattr(cover, "package", lambda _: site / "PIL")
    seen = (*sandbox._standard_library(), site)
    monkeypatch.setattr(sandbox, "_standard_library", lambda: seen)
    picture = _picture("WEBP")
    assert await make_images(picture, [32])
    for pattern in ("_webp.*", "WebPImagePlugin.py", "ImageOps.py", "_imaging.*", "__init__.py"):
        missing = list((site / "PIL").glob(pattern))
        for file in missing:
            file.rename(tmp_path / file.name)
        assert missing
        with pytest.raises(MediaUnavailable):
            await make_images(picture, [32])
        for file in missing:
            (tmp_path / file.name).rename(file)


@pytest.mark.parametrize("missing", ["tinytag", "readable.py"])
async def test_tags_are_not_lost(
    sample: Get, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, missing: str
) -> None:
    """C33: a track without its tags stays without them, so that who cannot read them says so."""
    for module in (tags, headers):
        if missing == "tinytag":
            monkeypatch.setattr(module, "package", lambda _: tmp_path / "tinytag")
        else:
            monkeypatch.setattr(module, "READABLE", tmp_path / "readable.py")
    with pytest.raises(MediaUnavailable):
        await tags.read_tags(sample("a.mp3"), LIMITS)
    with pytest.raises(MediaUnavailable):
        await headers.read_headers([sample("a.mp3")], LIMITS)


async def test_a_cover_is_not_lost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """C33: a bad one fails no track, and one that cannot be looked at now is looked at later."""
    assert await pipeline._save_covers(b"no picture", tmp_path, LIMITS) == {}
    monkeypatch.setattr(cover, "package", lambda _: tmp_path / "PIL")
    with pytest.raises(MediaUnavailable):
        await pipeline._save_covers(_picture("PNG"), tmp_path, LIMITS)


@pytest.mark.parametrize("half", ["", "def main(:", "import nothing_like_it\ndef main(): pass\n"])
async def test_half_a_program_says_nothing_of_the_file(tmp_path: Path, half: str) -> None:
    """C33: what fails before the file is read is not its fault, and what fails after is."""
    script, limits = tmp_path / "program.py", Limits(memory=256 << 20, seconds=30.0)
    script.write_text(half)
    with pytest.raises(MediaUnavailable):
        await run_python(script, stdin=None, limits=limits, at_most=10)
    script.write_text("def main():\n    import nothing_like_it\n")
    assert (await run_python(script, stdin=None, limits=limits, at_most=10)).returncode == 1


# Appended to a child: once it has begun, what it loads of these packages ends it.
_ALL_LOADED = """
_begin = main
def main():
    class Late:
        def find_spec(self, name, path=None, target=None):
            if name.partition(".")[0] in {"PIL", "tinytag"}:
                raise SystemExit(f"{name} comes late")
    sys.meta_path.insert(0, Late())
    return _begin()
"""


async def test_children_load_all_before_they_begin(
    sample: Get, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else it would be missing where nobody can tell whose fault that is."""
    for module in (cover, tags, headers):
        script = tmp_path / module._SCRIPT.name
        script.write_text(module._SCRIPT.read_text() + _ALL_LOADED)
        monkeypatch.setattr(module, "_SCRIPT", script)
    pictures = [_picture(kind) for kind in ("PNG", "JPEG", "WEBP", "GIF")]
    pictures += [_picture("PNG", "P"), _picture("PNG", "I;16"), _picture("PNG", "LA"), _pair(), _turned()]
    pictures += [_picture("GIF", "P", transparency=0), _picture("WEBP", "RGBA"), _picture("JPEG", "CMYK")]
    for picture in pictures:
        assert await make_images(picture, [32])
        assert await make_images(picture, [32], square=True)
    assert await make_mosaic(pictures[:4], [32])
    for name in ("a.mp3", "s16.flac"):
        assert (await tags.read_tags(sample(name), LIMITS)).title == "Étude"
        (found,) = await headers.read_headers([sample(name)], LIMITS)
        assert found.tags.title == "Étude"
