"""The headers of many files by one child in the sandbox."""

from collections.abc import Callable, Sequence
from io import BytesIO
from pathlib import Path

import pytest

from tests.media.corpus import BY_NAME, SAMPLES, SECONDS
from tests.media.needing import need
from veza.media import MediaLimits
from veza.media import headers as module
from veza.media.headers import UNREAD, Headers, read_headers
from veza.media.readable import readable
from veza.media.sandbox import sandbox_level

LIMITS = MediaLimits()
Get = Callable[[str], Path]
# In which nothing says how long it is.
SILENT = {"adts.aac"}


async def test_every_format_says_what_it_is(sample: Get) -> None:
    names = [known.file for known in SAMPLES if known.file not in SILENT]
    found = dict(zip(names, await read_headers([sample(name) for name in names], LIMITS), strict=True))
    for name, headers in found.items():
        assert headers.duration == pytest.approx(SECONDS, abs=0.2), name
        assert headers.channels == BY_NAME[name].channels, name
        assert (headers.tags.title, headers.tags.artist) == ("Étude", "Ana"), name


async def test_many_more_than_one_child_takes(sample: Get) -> None:
    file = sample("a.mp3")
    found = await read_headers([file] * (module.MOST_FILES * 2 + 3), LIMITS)
    assert len(found) == module.MOST_FILES * 2 + 3
    assert {headers.tags.album for headers in found} == {"Nights"}


async def test_what_is_no_music_does_not_disturb_the_others(sample: Get, tmp_path: Path) -> None:
    """M3: in the middle of a batch."""
    broken = tmp_path / "broken.flac"
    broken.write_bytes(b"fLaC" + b"\xff" * 200)
    (tmp_path / "empty").touch()
    files = [sample("a.mp3"), broken, tmp_path / "empty", sample("s16.flac")]
    found = await read_headers(files, LIMITS)
    assert [headers.tags.title for headers in found] == ["Étude", None, None, "Étude"]
    assert [headers.duration is not None for headers in found] == [True, False, False, True]


@pytest.mark.parametrize("act", ["os.abort()", "x = bytearray(1 << 40)", "time.sleep(60)"])
async def test_a_file_that_ends_or_holds_up_its_child_is_left_unread(
    sample: Get, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, act: str
) -> None:
    """M4: whatever a parser can be made to do, it is one file's misfortune."""
    script = tmp_path / "child.py"
    text = module._SCRIPT.read_text().replace("tag = TinyTag", "hostile(stream); tag = TinyTag")
    # It has a second, and the others what a busy machine needs.
    hostile = "def hostile(stream):\n    import time\n    if stream.read(4) == b'EVIL':\n"
    hostile += f"        signal.alarm(1)\n        {act}\n"
    script.write_text(
        text.replace("_SECONDS = 5", "_SECONDS = 25").replace(
            "def main", hostile + "    stream.seek(0)\n\n\ndef main"
        )
    )
    monkeypatch.setattr(module, "_SCRIPT", script)
    evil = tmp_path / "evil"
    evil.write_bytes(b"EVIL")
    good = sample("a.mp3")
    found = await read_headers([good, good, evil, good, evil, good], LIMITS)
    assert [headers.tags.title for headers in found] == ["Étude", "Étude", None, "Étude", None, "Étude"]
    assert found[2] == UNREAD


async def test_a_child_that_hangs_for_good_is_found_by_halves(
    sample: Get, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = tmp_path / "child.py"
    text = module._SCRIPT.read_text().replace("_SECONDS = 5", "_SECONDS = 0")
    script.write_text(
        text.replace(
            "tag = TinyTag",
            "__import__('time').sleep(60 * (stream.read(4) == b'EVIL')); stream.seek(0); tag = TinyTag",
        )
    )
    evil = tmp_path / "evil"
    evil.write_bytes(b"EVIL")
    good = sample("a.mp3")
    read_some = module._read_some

    async def read_in_time(files: Sequence[Path], limits: MediaLimits) -> list[Headers]:
        # A child that hangs is waited for in vain, however long; the others have what a busy machine needs.
        monkeypatch.setattr(module, "_SECONDS", 0.7 if evil in files else 60.0)
        return await read_some(files, limits)

    monkeypatch.setattr(module, "_SCRIPT", script)
    monkeypatch.setattr(module, "_read_some", read_in_time)
    found = await read_headers([good, evil, good], LIMITS)
    assert [headers.tags.title for headers in found] == ["Étude", None, "Étude"]


async def test_the_child_opens_nothing_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """M16: it has the files that it was handed, and no others."""
    need((await sandbox_level()).landlock, "Landlock")
    secret = tmp_path / "secret"
    secret.write_text("secret")
    script = tmp_path / "child.py"
    act = f"raise SystemExit(open({str(secret)!r}).read()) ; tag = TinyTag"
    script.write_text(module._SCRIPT.read_text().replace("tag = TinyTag", act))
    monkeypatch.setattr(module, "_SCRIPT", script)
    assert await read_headers([secret], LIMITS) == [UNREAD]


@pytest.mark.parametrize("told", [4, 0, 1 << 40, (1 << 64) - 1])
@pytest.mark.parametrize("form", [b"RF64", b"BW64", b"RIFF"])
def test_wide_sizes_are_read_as_narrow_ones(form: bytes, told: int) -> None:
    """M8: and whatever they say, nothing is read that is not there; other files are read as they are."""
    ds64 = b"ds64" + (28).to_bytes(4, "little") + bytes(8) + told.to_bytes(8, "little") + bytes(12)
    file = form + b"\xff" * 4 + b"WAVE" + ds64 + b"data" + b"\xff" * 4 + b"soundLIST"
    shown = readable(BytesIO(file))
    parts = [shown.read(7) for _ in range(len(file))]
    at = file.index(b"data") + 4
    size = min(told, (1 << 32) - 2).to_bytes(4, "little")
    wide = b"RIFF" + file[4:at] + size + file[at + 4 :]
    assert b"".join(parts) == (file if form == b"RIFF" else wide)
    assert shown.seek(at) == shown.tell() == at
    for length in range(len(file)):
        assert len(readable(BytesIO(file[:length])).read()) == length
