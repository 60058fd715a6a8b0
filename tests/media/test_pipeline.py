import asyncio
import hashlib
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.media.corpus import SAMPLES, SECONDS, Sample, ffmpeg
from veza.media import Peaks, find_ffmpeg, process, sniff
from veza.media.decode import decode
from veza.media.limits import MediaLimits

Get = Callable[[str], Path]


@pytest.mark.parametrize("wanted", SAMPLES, ids=lambda wanted: wanted.file)
async def test_every_accepted_format_is_known_by_its_content(
    wanted: Sample, sample: Get, tmp_path: Path
) -> None:
    """M18: PCM of 8 to 64 bits, A-law, mu-law, two ADPCMs, and the compressed formats."""
    file = tmp_path / "no-suffix"
    file.write_bytes(sample(wanted.file).read_bytes())
    sniffed = sniff(file)
    decoded = await decode(file, sniffed, MediaLimits())
    assert sniffed.format.name == wanted.format
    assert decoded.codec == wanted.codec
    assert decoded.bit_depth == wanted.bit_depth
    assert (decoded.sample_rate, decoded.channels) == (wanted.rate, wanted.channels)
    # ADTS has no way to say what its encoder added in front and behind: 1,024 samples, twice.
    assert decoded.duration == pytest.approx(SECONDS, abs=0.1 if wanted.format == "aac" else 0.05)
    assert not decoded.damaged
    assert decoded.peaks.length == pytest.approx(decoded.duration * 50, abs=3)


async def test_a_song_becomes_a_track(sample: Get, tmp_path: Path) -> None:
    """M12, M19: all that is known of a song; the renditions carry nothing of the source's tags."""
    told: list[int] = []
    done = await process(sample("s16.flac"), tmp_path, on_progress=told.append)
    assert done.format.name == "flac"
    assert done.tags.title == "Étude"
    assert (done.tags.artist, done.tags.year, done.tags.track_number) == ("Ana", 2021, 3)
    assert done.loudness.integrated is not None
    assert -40 < done.loudness.integrated < -5
    assert done.loudness.true_peak is not None
    assert -6 < done.loudness.true_peak < 1
    assert told == sorted(set(told))
    assert told[-1] == 100
    assert [made.name for made in done.renditions] == ["aac_160", "aac_96", "opus_128", "flac"]
    for made in done.renditions:
        data = made.path.read_bytes()
        assert made.size == len(data)
        assert b"Ana" not in data
        assert "Étude".encode() not in data
        again = await decode(made.path, sniff(made.path), MediaLimits())
        assert again.duration == pytest.approx(SECONDS, abs=0.05)
        assert again.sample_rate == (44_100 if made.name == "flac" else 48_000)
    peaks = Peaks.from_dat(done.peaks.read_bytes())
    assert max(peaks.to_json()["data"]) == pytest.approx(0.7 * 127, abs=2)  # type: ignore[arg-type] # a list


async def test_the_same_source_gives_the_same_files(sample: Get, tmp_path: Path) -> None:
    digests = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        done = await process(sample("a.mp3"), tmp_path / name)
        paths = [done.peaks, *(made.path for made in done.renditions)]
        digests.append([hashlib.sha256(path.read_bytes()).hexdigest() for path in paths])
    assert digests[0] == digests[1]


async def test_renditions_of_surround_are_stereo_and_of_mono_mono(sample: Get, tmp_path: Path) -> None:
    for name, channels in (("opus51.ogg", 2), ("u8.wav", 1)):
        folder = tmp_path / name
        folder.mkdir()
        done = await process(sample(name), folder)
        for made in done.renditions:
            assert (await decode(made.path, sniff(made.path), MediaLimits())).channels == channels


async def test_silence_has_no_loudness(tmp_path: Path) -> None:
    """M12: minus infinity is not a number that is stored."""
    file = tmp_path / "silence.wav"
    ffmpeg("-f", "lavfi", "-i", "anullsrc=r=44100:cl=stereo", "-t", "1", file)
    done = await process(file, tmp_path)
    assert done.loudness.integrated is None
    assert done.loudness.true_peak is None
    assert set(Peaks.from_dat(done.peaks.read_bytes()).data) == {0}


async def test_a_title_is_no_complaint(tmp_path: Path) -> None:
    """M15: what the decoder says about a file is told apart from what the file says."""
    file = tmp_path / "named.flac"
    title = "Corrupt\nError while decoding [flac @ 0x0] CRC, truncated"
    ffmpeg("-f", "lavfi", "-i", "sine=d=0.5", "-metadata", f"title={title}", file)
    assert not (await decode(file, sniff(file), MediaLimits())).damaged


async def test_the_widest_file_becomes_a_track(tmp_path: Path) -> None:
    """M5: what the limits allow fits into the decoder's memory."""
    file = tmp_path / "wide.flac"
    ffmpeg("-f", "lavfi", "-i", "anoisesrc=r=192000:d=2", "-ac", "8", "-sample_fmt", "s32", file)
    done = await process(file, tmp_path)
    assert (done.channels, done.sample_rate, done.bit_depth) == (8, 192_000, 24)
    assert done.loudness.integrated is not None


async def test_the_servers_own_loop_can_run_it(sample: Get) -> None:
    """M17: uvloop starts children in its own way; the result is the same."""
    uvloop = pytest.importorskip("uvloop")
    file = sample("a.mp3")
    decoded = await asyncio.to_thread(lambda: uvloop.run(decode(file, sniff(file), MediaLimits())))
    assert decoded.duration == pytest.approx(SECONDS, abs=0.05)


def test_an_ffmpeg_that_cannot_do_it_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old = tmp_path / "ffmpeg"
    old.write_text("#!/bin/sh\necho ffmpeg version 4.4.2 Copyright\n")
    old.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    found = find_ffmpeg.__wrapped__()
    assert found.path != str(old)
    assert found.version


async def test_cancelling_kills_the_decoder(tmp_path: Path) -> None:
    file = tmp_path / "long.wav"
    ffmpeg("-f", "lavfi", "-i", "anoisesrc=r=44100:c=pink:d=300", file)
    encoding = asyncio.Event()
    task = asyncio.create_task(
        process(file, tmp_path, on_progress=lambda percent: encoding.set() if percent > 25 else None)
    )
    await asyncio.wait_for(encoding.wait(), 20)
    before = _children()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert before
    assert not before & _children()


def _children() -> set[str]:
    found = set()
    for thread in Path("/proc/self/task").iterdir():
        found |= set((thread / "children").read_text().split())
    return {pid for pid in found if "ffmpeg" in _command(pid)}


def _command(pid: str) -> str:
    try:
        return os.fsdecode(Path(f"/proc/{pid}/cmdline").read_bytes())
    except OSError:
        return ""
