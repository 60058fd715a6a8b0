"""Renditions in pieces: what HLS and players rest on, to the sample."""

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from tests.media.corpus import BY_NAME, make
from veza.media import FORMATS, Sniffed, process, renditions, sniff
from veza.media.decode import decode
from veza.media.ffmpeg import input_arguments
from veza.media.fragments import Fragments
from veza.media.hls import peak_and_average
from veza.media.limits import MediaLimits
from veza.media.profiles import FRAGMENT_SECONDS, SAMPLE_RATE
from veza.media.renditions import Growing

Get = Callable[[str], Path]
LIMITS = MediaLimits()


@pytest.mark.parametrize("name", ["s16.flac", "u8.wav", "vorbis.ogg"])
async def test_renditions_are_as_long_as_their_source(sample: Get, tmp_path: Path, name: str) -> None:
    """No gap at the beginning or the end: every rendition is heard for as many samples as were decoded.

    A decoder of MP4 that does not go by the length of the last frame gives the rest of it as well.
    """
    source = sample(name)
    decoded = await decode(source, sniff(source), LIMITS)
    done = await process(source, tmp_path)
    wanted = -(-decoded.frames * SAMPLE_RATE // decoded.sample_rate)
    lossless = decoded.bit_depth is not None
    assert [made.name for made in done.renditions] == [
        "aac_160", "aac_96", "opus_128", *(["flac"] if lossless else []),
    ]  # fmt: skip
    for made in done.renditions:
        again = await decode(made.path, sniff(made.path), LIMITS)
        whole = decoded.frames if made.name == "flac" else wanted
        assert sum(made.layout.ticks) == whole, made.name
        assert 0 <= again.frames - whole < 1024, made.name
        assert again.sample_rate == made.layout.rate
        assert made.layout.head + made.layout.index + sum(made.layout.sizes) == made.size
        average = peak_and_average(made.layout)[1]
        assert average == pytest.approx(made.bitrate, rel=0.2)
    if lossless:
        flac = await decode(done.renditions[-1].path, sniff(done.renditions[-1].path), LIMITS)
        assert (flac.sample_rate, flac.channels) == (decoded.sample_rate, decoded.channels)
        assert flac.peaks == decoded.peaks


@pytest.mark.parametrize(("name", "seconds"), [("s16.wav", 12.0), ("f32.aiff", 4.0), ("s16.aiff", 0.01)])
async def test_the_plan_is_kept(tmp_path: Path, name: str, seconds: float) -> None:
    """What is said of a rendition while it is made comes true: how many segments, and how long each is."""
    source = make(BY_NAME[name], tmp_path, seconds)
    decoded = await decode(source, sniff(source), LIMITS)
    done = await process(source, tmp_path)
    for made in done.renditions:
        again = Fragments(made.path)
        again.read()
        rate = decoded.sample_rate if made.name == "flac" else SAMPLE_RATE
        samples = -(-decoded.frames * rate // decoded.sample_rate)
        assert again.timing.plan(samples, FRAGMENT_SECONDS) == made.layout.ticks == again.heard(), made.name
        assert again.sizes == made.layout.sizes
        data = made.path.read_bytes()
        for piece in range(len(made.layout.sizes) + 1):
            found = made.layout.find(piece)
            assert found is not None
            kind = data[found[0] + 4 : found[0] + 8]
            assert kind == (b"moof" if piece else b"ftyp")
        assert made.layout.find(-1) is made.layout.find(len(made.layout.sizes) + 1) is None


async def test_a_growing_file_is_read_piece_by_piece(sample: Get, tmp_path: Path) -> None:
    """Cut anywhere, what is complete is known, and nothing else."""
    done = await process(make(BY_NAME["s16.wav"], tmp_path, 9.0), tmp_path)
    whole = done.renditions[0]
    data, grown = whole.path.read_bytes(), tmp_path / "grown"
    following, known = Fragments(grown), 0
    for end in range(0, len(data) + 1, 997):
        grown.write_bytes(data[:end])
        following.read()
        assert following.end + (whole.layout.index if following.sizes else 0) <= end
        known = max(known, len(following.sizes))
    assert known >= 2
    grown.write_bytes(data)
    following.read()
    assert following.sizes == whole.layout.sizes
    grown.write_bytes(data + bytes(8))
    with pytest.raises(ValueError, match="length"):
        following.read()


async def test_growth_is_told_while_it_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first pieces are there long before the last; what a listener raises ends the work."""
    monkeypatch.setattr("veza.media.renditions._LOOK_EVERY", 0.02)
    # As on a machine that takes seconds for it, or a busy one would look only when all is done.
    slowly = ["-readrate", "6", *input_arguments(Sniffed(FORMATS["wav"]))]
    monkeypatch.setattr(renditions, "input_arguments", lambda _: slowly)
    source = make(BY_NAME["s16.wav"], tmp_path, 24.0)
    told: list[int] = []

    async def hear(growing: Sequence[Growing]) -> None:
        assert [one.name for one in growing] == ["aac_160", "aac_96", "opus_128"]
        told.append(min(len(one.fragments.sizes) for one in growing))

    done = await process(source, tmp_path, on_grown=hear)
    assert told == sorted(told)
    assert any(0 < count < len(done.renditions[0].layout.sizes) for count in told)

    async def refuse(_: Sequence[Growing]) -> None:
        raise LookupError

    with pytest.raises(LookupError):
        await process(source, tmp_path, on_grown=refuse)
