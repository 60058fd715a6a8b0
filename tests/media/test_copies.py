"""Copies to keep: read back by a reader of tags that did not write them, and decoded to the last sample."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import tinytag

from tests.media.test_cover import _picture
from veza.media import (
    COPY_FORMATS,
    Labels,
    MediaLimits,
    Sound,
    UnsupportedAudio,
    find_ffmpeg,
    make_copy,
    make_square_images,
    sniff,
)
from veza.media.decode import Decoded, decode
from veza.media.loudness import FILTER, parse_summaries

Get = Callable[[str], Path]
LABELS = Labels(
    title="Étude 夜想曲 🎹 = x; y", artist="-i /etc/passwd", album="Ночь", genre="Nu-Jazz", year=2019,
    number="3/12", comment="standard licence, order 0189",
)  # fmt: skip


async def copied(source: Path, folder: Path, kind: str, cover: bytes = b"") -> tuple[Path, Decoded, Decoded]:
    """A copy; what is decoded of the source, and of the copy."""
    folder.mkdir()  # noqa: ASYNC240 - a test
    before = await decode(source, sniff(source), MediaLimits())
    sound = Sound(before.duration, before.sample_rate, before.channels)
    if cover:
        (folder / "picture").write_bytes(cover)
    picture = folder / "picture" if cover else None
    made = await make_copy(source, folder, COPY_FORMATS[kind], LABELS, sound=sound, cover=picture)
    return made, before, await decode(made, sniff(made), MediaLimits())


def loudness(path: Path) -> float:
    """LUFS."""
    heard = [find_ffmpeg().path, "-hide_banner", "-nostats", "-i", str(path)]
    measured = ["-filter_complex", f"[0:a:0]{FILTER}[o]", "-map", "[o]", "-f", "null", "-"]
    said = subprocess.run([*heard, *measured], capture_output=True, check=True).stderr.decode()
    found = parse_summaries(said)[0].integrated
    assert found is not None
    return found


def samples(path: Path) -> bytes:
    argv = [find_ffmpeg().path, "-v", "error", "-i", str(path), "-map", "0:a", "-f", "s32le", "-"]
    return subprocess.run(argv, capture_output=True, check=True).stdout


@pytest.mark.parametrize(
    ("kind", "codec", "format_"), [("flac", "flac", "flac"), ("mp3", "mp3", "mp3"), ("aac", "aac", "m4a")]
)
async def test_a_copy_has_its_tags_its_cover_and_all_of_the_sound(
    kind: str, codec: str, format_: str, sample: Get, tmp_path: Path
) -> None:
    """M16, M19: no tag is an option of ffmpeg; what the source says of itself does not come along."""
    picture = (await make_square_images(_picture("PNG", (500, 500)), [400]))[400]
    made, before, after = await copied(sample("s16.flac"), tmp_path / kind, kind, picture)
    assert (sniff(made).format.name, after.codec) == (format_, codec)
    tag = tinytag.TinyTag.get(made, image=True)
    assert (tag.title, tag.artist, tag.album) == (LABELS.title, LABELS.artist, LABELS.album)
    assert (tag.genre, tag.year, tag.track, tag.track_total) == ("Nu-Jazz", "2019", 3, 12)
    assert (tag.comment, tag.other) == (LABELS.comment, {})
    cover = tag.images.front_cover
    assert cover is not None
    assert (cover.mime_type, cover.data) == ("image/jpeg", picture)
    assert b"Jazz\0" not in made.read_bytes().replace(b"Nu-Jazz", b"")
    assert (after.frames, after.sample_rate, after.channels) == (before.frames, 44_100, 2)
    assert not after.damaged
    assert loudness(made) == pytest.approx(loudness(sample("s16.flac")), abs=0.15)
    if kind == "flac":
        assert after.bit_depth == 16
        assert samples(made) == samples(sample("s16.flac"))
    if kind == "mp3":
        assert tag.bitrate == pytest.approx(320, abs=0.1)
        assert frame_kinds(made) == {0xE0}  # 320 kbit/s, in every frame


def frame_kinds(path: Path) -> set[int]:
    """The bits for the bit rate of every frame of MPEG 1, layer 3 at 44.1 kHz."""
    data, found = path.read_bytes(), set()
    at = sniff(path).audio_offset
    while at + 4 < len(data):
        assert data[at : at + 2] == b"\xff\xfb"
        found.add(data[at + 2] & 0xF0)
        at += 144 * 320_000 // 44_100 + (data[at + 2] >> 1 & 1)
    return found


async def test_copies_of_uncommon_sources(sample: Get, tmp_path: Path) -> None:
    """M18: FLAC keeps depth, rate and channels; the others are stereo, at a rate that all players know."""
    for name, kind, wanted in (
        ("s24.flac", "flac", (24, 96_000, 6)), ("alac.m4a", "flac", (16, 44_100, 2)),
        ("f32.wav", "mp3", (None, 48_000, 2)), ("u8.wav", "mp3", (None, 48_000, 1)),
        ("mono22.mp3", "aac", (None, 44_100, 1)),
    ):  # fmt: skip
        _, before, after = await copied(sample(name), tmp_path / f"{name}.{kind}", kind)
        assert (after.bit_depth, after.sample_rate, after.channels) == wanted, name
        assert after.duration == pytest.approx(before.duration, abs=1152 / 44_100), name
        assert not after.damaged


async def test_the_same_wish_gives_the_same_copy(sample: Get, tmp_path: Path) -> None:
    """Whoever makes it again, after a kill, makes the same; and nothing of what is no audio."""
    one, _, _ = await copied(sample("a.mp3"), tmp_path / "1", "mp3")
    two, _, _ = await copied(sample("a.mp3"), tmp_path / "2", "mp3")
    assert one.read_bytes() == two.read_bytes()
    (tmp_path / "text").write_text("no music")
    with pytest.raises(UnsupportedAudio):
        await make_copy(tmp_path / "text", tmp_path, COPY_FORMATS["mp3"], LABELS, sound=Sound())
