import os
import zlib
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from tests.core.test_metrics import samples
from tests.media.corpus import TAGS, ffmpeg
from tests.media.hostile import apic, id3, id3_frame, mp3_frames, png
from tests.memory import forget_peak, measured, peak
from veza.core.metrics import metrics
from veza.media import AudioTooLarge, MediaLimits, UndecodableAudio, clean_text, process, sniff
from veza.media import decode as decode_module
from veza.media.decode import decode
from veza.media.ffmpeg import input_arguments
from veza.media.tags import Tags, read_tags

Get = Callable[[str], Path]
LIMITS = MediaLimits()


def _work_of_children() -> float:
    """Seconds of a processor that those had which have ended."""
    used = os.times()
    return used.children_user + used.children_system


def _kills() -> float:
    """How many decoders were ended for what they put out."""
    return samples(metrics).get(("veza_decoder_kills_total", "output"), 0.0)


def _silence(target: Path, rate: int, layout: str, seconds: int) -> None:
    source = f"anullsrc=r={rate}:cl={layout}:n=16384"
    ffmpeg("-f", "lavfi", "-i", source, "-t", str(seconds), "-c:a", "flac", "-frame_size", "16384", target)


@measured
async def test_hours_of_silence_in_a_small_flac(tmp_path: Path) -> None:
    """M5: more than six hours are refused as soon as they are heard; our own memory stays flat."""
    bomb = tmp_path / "bomb.flac"
    _silence(bomb, 8000, "mono", 6 * 3600 + 60)
    assert bomb.stat().st_size < 200_000  # 4,800 times smaller than its samples
    before, killed, worked = forget_peak(), _kills(), _work_of_children()
    with pytest.raises(AudioTooLarge) as caught:
        await process(bomb, tmp_path)
    assert _kills() == killed + 1
    assert (caught.value.code, caught.value.status) == ("AUDIO_TOO_LARGE", 422)
    assert _work_of_children() - worked < 10
    assert peak() - before < 64 << 20


async def test_the_budget_counts_samples_of_all_channels(tmp_path: Path) -> None:
    """M5: eight channels at 192 kHz are a bomb long before they are long."""
    bomb = tmp_path / "wide.flac"
    _silence(bomb, 192_000, "7.1", 20)
    limits = msgspec.structs.replace(LIMITS, max_samples=8 * 192_000 * 10)
    killed = _kills()
    with pytest.raises(AudioTooLarge):
        await decode(bomb, sniff(bomb), limits)
    assert _kills() == killed + 1
    assert (await decode(bomb, sniff(bomb), LIMITS)).duration == pytest.approx(20)


@pytest.mark.parametrize(
    ("rate", "channels"),
    [(48_000, 9), (384_000, 1), (8000, 64)],
    ids=["9 channels", "384 kHz", "64 channels"],
)
async def test_channels_and_rate_have_limits(rate: int, channels: int, tmp_path: Path) -> None:
    """M5: channels up to 8, rate up to 192 kHz, known before the first sample is kept."""
    file = tmp_path / "wide.wav"
    ffmpeg(
        "-f",
        "s16le",
        "-ar",
        str(rate),
        "-ac",
        str(channels),
        "-i",
        "pipe:0",
        file,
        data=bytes(channels * rate),
    )
    with pytest.raises(AudioTooLarge):
        await decode(file, sniff(file), LIMITS)


async def test_a_decoder_that_takes_too_long_is_ended(sample: Get, monkeypatch: pytest.MonkeyPatch) -> None:
    """M5, M14: the wall clock."""
    slowly = ["-readrate", "0.1", *input_arguments(sniff(sample("a.mp3")))]
    monkeypatch.setattr(decode_module, "input_arguments", lambda _: slowly)
    limits = msgspec.structs.replace(LIMITS, decode_seconds=0.01)
    with pytest.raises(AudioTooLarge):
        await decode(sample("a.mp3"), sniff(sample("a.mp3")), limits)


async def test_a_decoder_that_wants_too_much_memory_fails_alone(sample: Get, tmp_path: Path) -> None:
    """M5: RLIMIT_AS ends the child; the answer is 422 all the same."""
    limits = msgspec.structs.replace(LIMITS, decoder_memory=64 << 20)
    with pytest.raises(UndecodableAudio) as caught:
        await decode(sample("a.mp3"), sniff(sample("a.mp3")), limits)
    assert caught.value.status == 422


def _mp3(sample: Get, tmp_path: Path, tag: bytes) -> Path:
    file = tmp_path / "song.mp3"
    file.write_bytes(tag + b"".join(mp3_frames(sample("a.mp3").read_bytes())))
    return file


async def test_a_tag_of_a_hundred_thousand_frames(sample: Get, tmp_path: Path) -> None:
    """M6: many frames cost time in the child, never the track."""
    frames = [id3_frame("TXXX", b"\x03key%d\x00value" % index) for index in range(100_000)]
    file = _mp3(sample, tmp_path, id3([id3_frame("TIT2", b"\x03Title"), *frames]))
    worked = _work_of_children()
    done = await process(file, tmp_path)
    assert done.duration == pytest.approx(2.0, abs=0.1)
    assert done.tags.title in {"Title", None}
    assert _work_of_children() - worked < 10


@measured
async def test_a_cover_of_a_hundred_megabytes(sample: Get, tmp_path: Path) -> None:
    """M6: really there (a hole in the file) or only declared, it is not taken; our memory stays flat."""
    before = forget_peak()
    real = tmp_path / "real.mp3"
    frame = apic(b"", declared=100 << 20)
    with real.open("wb") as file:
        file.write(id3([id3_frame("TIT2", b"\x03Title"), frame], declared=(100 << 20) + 100))
        file.seek((100 << 20) + 110)
        file.write(b"".join(mp3_frames(sample("a.mp3").read_bytes())))
    declared = _mp3(
        sample, tmp_path, id3([id3_frame("TIT2", b"\x03Title"), apic(b"\x89PNG", declared=100 << 20)])
    )
    for source in (real, declared):
        done = await process(source, tmp_path)
        assert done.covers == {}
        assert done.duration == pytest.approx(2.0, abs=0.1)
        assert done.bitrate < 400_000  # of the sound alone
    assert peak() - before < 64 << 20


async def test_a_compressed_frame_is_never_inflated(sample: Get, tmp_path: Path) -> None:
    """M6: ID3 may compress a frame (flag k, with its length): neither reader opens it."""
    squeezed = zlib.compress(bytes(64 << 20), 9)
    tag = id3([id3_frame("TIT2", (64 << 20).to_bytes(4) + squeezed, flags=0x0009)])
    done = await process(_mp3(sample, tmp_path, tag), tmp_path)
    assert done.duration == pytest.approx(2.0, abs=0.1)
    assert done.tags.title is None or len(done.tags.title) <= 256


async def test_a_cover_with_too_many_pixels_is_left_out(sample: Get, tmp_path: Path) -> None:
    """M7: 65535 by 65535 pixels in 100 bytes; the track lives, without a cover."""
    file = _mp3(sample, tmp_path, id3([id3_frame("TIT2", b"\x03Title"), apic(png(65535, 65535))]))
    done = await process(file, tmp_path)
    assert done.covers == {}
    assert done.tags.title == "Title"


async def test_a_real_cover_is_extracted(sample: Get, tmp_path: Path) -> None:
    """M7: and is a JPEG of our own in three sizes."""
    file = _mp3(sample, tmp_path, id3([apic(png(500, 400, (b"\x00" + b"\x20\x80\xf0" * 500) * 400))]))
    done = await process(file, tmp_path)
    assert sorted(done.covers) == [96, 320, 1000]
    assert all(path.read_bytes().startswith(b"\xff\xd8\xff") for path in done.covers.values())
    assert done.tags == Tags()


TEXTS = {
    "null": (b"\x03one\x00two", {"one", "one two", "onetwo", "one/two"}),
    "latin 1": (b"\x00caf\xe9", {"café"}),
    "utf-16 of odd length": (b"\x01\xff\xfea\x00b\x00c", {"ab", None, "abc"}),
    "half a pair": (b"\x01\xff\xfea\x00\x00\xd8b\x00", {"ab", "a", None, "a\ufffdb"}),
    "bad utf-8": (b"\x03a\xff\xfeb", {"ab", "a\ufffd\ufffdb", None}),
    "html": (b"\x03<b>&amp;</b>", {"<b>&amp;</b>"}),
    "right to left": ("\x03abc\u202egpj.exe".encode(), {"abcgpj.exe"}),
    "controls": (b"\x03a\x1b[31mb\r\nc\td", {"a[31mb c d"}),
    "decomposed": ("\x03e\u0301".encode(), {"é"}),
    "white space": (b"\x03   ", {None}),
}


@pytest.mark.parametrize("kind", TEXTS)
async def test_tags_are_cleaned(kind: str, sample: Get, tmp_path: Path) -> None:
    """M15: whatever the bytes, a title is one line of clean text, or there is none."""
    content, allowed = TEXTS[kind]
    tags = await read_tags(_mp3(sample, tmp_path, id3([id3_frame("TIT2", content)])), LIMITS)
    assert tags.title in allowed


async def test_a_title_of_a_megabyte_is_cut(sample: Get, tmp_path: Path) -> None:
    """M15: 256 characters."""
    tags = await read_tags(
        _mp3(sample, tmp_path, id3([id3_frame("TIT2", b"\x03" + b"a" * (1 << 20))])), LIMITS
    )
    assert tags.title == "a" * 256


@pytest.mark.parametrize(
    ("text", "year"),
    [
        ("2021", 2021),
        ("2021-05-17", 2021),
        ("17.05.1999", 1999),
        ("0000", None),
        ("9999", None),
        ("99999", None),
        ("-1", None),
        ("\u0662\u0660\u0662\u0661", None),
    ],
)
async def test_a_year_is_a_year(text: str, year: int | None, sample: Get, tmp_path: Path) -> None:
    """M15: 1000 to 2100, else none."""
    file = _mp3(sample, tmp_path, id3([id3_frame("TDRC", b"\x03" + text.encode())]))
    assert (await read_tags(file, LIMITS)).year == year


@pytest.mark.parametrize(
    "name", ["a.mp3", "s16.wav", "s16.flac", "vorbis.ogg", "opus.ogg", "s16.aiff", "aac.m4a"]
)
async def test_tags_are_read_in_every_format_that_has_them(name: str, sample: Get) -> None:
    tags = await read_tags(sample(name), LIMITS)
    assert (tags.title, tags.artist, tags.album, tags.genre) == ("Étude", "Ana", "Nights", "Jazz")
    assert tags.year == 2021
    assert len(TAGS) == 12


def test_clean_text_keeps_what_people_write() -> None:
    """M15: joiners of scripts and emoji stay, marks that deceive go."""
    family = "\U0001f468\u200d\U0001f469\u200d\U0001f467"
    assert clean_text(f" {family} \u0645\u06cc\u200c\u062e ") == f"{family} \u0645\u06cc\u200c\u062e"
    assert clean_text("a\u200b\ufeff\u2066b\ud800c\x00") == "abc"
    assert clean_text("") is None


async def test_private_tags_and_places_are_not_in_what_we_serve(sample: Get, tmp_path: Path) -> None:
    """M19: GPS and private frames of the source, gone from every derivative."""
    private = [
        id3_frame("PRIV", b"owner\x00secret-place"),
        id3_frame("TXXX", b"\x03location\x00+48.85+002.35/"),
    ]
    done = await process(_mp3(sample, tmp_path, id3(private)), tmp_path)
    for path in [done.peaks, *(made.path for made in done.renditions)]:
        assert b"secret-place" not in path.read_bytes()
        assert b"+48.85" not in path.read_bytes()
