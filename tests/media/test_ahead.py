"""Pieces that are made before their turn: they lie in the rendition as its own do."""

import subprocess
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from tests.media.corpus import BY_NAME, make
from veza.media import ahead, process, sniff
from veza.media.ahead import Original, can_encode_from, encode_from
from veza.media.decode import decode
from veza.media.errors import EncodingFailed
from veza.media.ffmpeg import find_ffmpeg
from veza.media.fragments import Fragments, Timing, set_place
from veza.media.limits import MediaLimits
from veza.media.profiles import PROFILES, SAMPLE_RATE

LIMITS = MediaLimits()


def heard(data: bytes) -> npt.NDArray[np.float32]:
    """What a player hears of it, without a word of complaint."""
    argv = [find_ffmpeg().path, "-v", "error", "-i", "pipe:0", "-ac", "1", "-f", "f32le", "-"]
    done = subprocess.run(argv, input=data, capture_output=True, check=True, timeout=60)
    assert done.stderr == b""
    return np.frombuffer(done.stdout, np.float32)


def names(folder: Path) -> list[str]:
    """What lies there."""
    return [path.name for path in folder.iterdir()]


# Frames that rest on those before them, and places that only pages have.
@pytest.mark.parametrize(("name", "first"), [("a.mp3", 3), ("vorbis.ogg", 4)])
async def test_there_is_no_seam(
    tmp_path: Path, name: str, first: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between a rendition's own pieces, and at its end, they are hardly another sound, in the same place."""
    monkeypatch.setattr(ahead, "PIECES", 2)
    source = make(BY_NAME[name], tmp_path, 17.0)
    decoded = await decode(source, sniff(source), LIMITS)
    done = await process(source, tmp_path)
    original = Original(source, sniff(source), decoded, tmp_path, LIMITS)
    samples = -(-decoded.frames * SAMPLE_RATE // decoded.sample_rate)
    for profile, made in list(zip(PROFILES, done.renditions, strict=True))[::2]:
        fragments, data = Fragments(made.path), made.path.read_bytes()
        fragments.read()
        places = [made.layout.find(number) for number in range(len(made.layout.sizes) + 1)]
        own = [data[place[0] : place[0] + place[1]] for place in places if place]
        assert len(own) == 6
        assert set_place(own[3], 3, sum(fragments.durations[:2])) == own[3]
        whole = heard(b"".join(own))
        pieces = await encode_from(original, profile, fragments.timing, samples, first)
        assert len(pieces) == 2
        mixed = heard(b"".join([*own[:first], *pieces, *own[first + 2 :]]))
        assert len(mixed) == len(whole)
        # A sample beside its place the noise in it would be as loud as itself.
        assert np.abs(mixed - whole).std() < whole.std() / 10, profile.name
    assert not [name for name in names(tmp_path) if "ahead" in name]


async def test_what_cannot_be_found_is_not_made(tmp_path: Path) -> None:
    """M5: a place that the decoder does not reach, a file that is no music; nothing is left of it."""
    source = make(BY_NAME["s16.wav"], tmp_path, 1.0)
    sniffed, decoded = sniff(source), await decode(source, sniff(source), LIMITS)
    assert can_encode_from(decoded)

    timing = Timing(SAMPLE_RATE, 1024, 1024)
    original = Original(source, sniffed, decoded, tmp_path, LIMITS)
    with pytest.raises(EncodingFailed):
        await encode_from(original, PROFILES[0], timing, 60 * SAMPLE_RATE, 9)
    source.write_bytes(b"RIFF" + bytes(400))
    with pytest.raises(EncodingFailed):
        await encode_from(original, PROFILES[0], timing, 60 * SAMPLE_RATE, 9)
    assert names(tmp_path) == [source.name]
    adpcm = make(BY_NAME["ima.wav"], tmp_path, 1.0)
    assert not can_encode_from(await decode(adpcm, sniff(adpcm), LIMITS))
