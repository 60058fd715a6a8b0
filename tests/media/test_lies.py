"""Headers that lie: what counts is what decodes."""

import math
import random
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.media.corpus import BY_NAME, make, music
from tests.media.hostile import id3, mp3_frames, ogg_page, ogg_pages, wav
from veza.core.errors import VezaError
from veza.media import (
    COPY_FORMATS,
    Labels,
    MediaLimits,
    Sound,
    UnsupportedAudio,
    make_copy,
    process,
    sniff,
)
from veza.media.decode import Decoded, decode

Get = Callable[[str], Path]
LIMITS = MediaLimits()
PCM = (music(8000, 1, 2.0) * 32767).astype("<i2").tobytes()


async def _decode(tmp_path: Path, data: bytes) -> Decoded:
    file = tmp_path / "file"
    file.write_bytes(data)
    return await decode(file, sniff(file), LIMITS)


HONEST_ENOUGH = {
    "size 0": wav(PCM, data_size=0),
    "size of a stream": wav(PCM, data_size=0xFFFFFFFF),
    "size beyond the end": wav(PCM, data_size=len(PCM) + 5000),
    "odd size": wav(PCM + b"\0", data_size=len(PCM) + 1),
    "align 0": wav(PCM, align=0),
    "align 65535": wav(PCM, align=65535),
    "LIST before": wav(PCM, before_data=b"LIST\x04\x00\x00\x00INFO"),
    "LIST, often": wav(PCM, before_data=b"LIST\x04\x00\x00\x00INFO" * 1000),
    "unknown parts, often": wav(PCM, before_data=b"junk\x00\x00\x00\x00" * 10_000),
}


@pytest.mark.parametrize("lie", HONEST_ENOUGH)
async def test_a_lie_of_a_wav_that_has_its_samples(lie: str, tmp_path: Path) -> None:
    """M8: two seconds are two seconds, or the file is refused: never another length."""
    try:
        decoded = await _decode(tmp_path, HONEST_ENOUGH[lie])
    except UnsupportedAudio:
        assert lie in {"size 0", "align 0", "align 65535"}
    else:
        assert decoded.duration == pytest.approx(2.0, abs=0.05)


BROKEN = {
    "no channels": wav(PCM, channels=0, align=2),
    "65535 channels": wav(PCM, channels=65535),
    "rate 0": wav(PCM, rate=0),
    "rate 2^32-1": wav(PCM, rate=0xFFFFFFFF),
    "no fmt": wav(PCM, with_format=False),
    "0 bits": wav(PCM, bits=0, align=2),
    "65528 bits": wav(PCM, bits=65528),
    "LIST that contains itself": wav(PCM, before_data=b"LIST\xff\xff\xff\xffINFO"),
    "nothing in it": wav(b""),
    "unknown codec": wav(PCM, code=0x7777),
    "MP3 in it": wav(PCM, code=0x55),
    "GSM in it": wav(PCM, code=0x31),
    "WMA in it": wav(PCM, code=0x161),
    "cut in the header": wav(PCM)[:30],
}


@pytest.mark.parametrize("lie", BROKEN)
async def test_a_broken_wav_is_refused(lie: str, tmp_path: Path) -> None:
    """M8, M18: 422, whatever the numbers."""
    with pytest.raises(VezaError) as caught:
        await _decode(tmp_path, BROKEN[lie])
    assert caught.value.status == 422


@pytest.mark.parametrize(("rate", "count"), [(8000, 1), (44_100, 16), (192_000, 1), (1000, 3)])
async def test_the_shortest_sounds_are_sounds(rate: int, count: int, tmp_path: Path) -> None:
    """C33, M8: a click of one sample becomes a track, although no resampler makes anything of it."""
    source = tmp_path / "click.wav"
    source.write_bytes(wav(PCM[2000 : 2000 + 2 * count], rate=rate))
    done = await process(source, tmp_path)
    assert done.duration == count / rate
    for made in done.renditions:
        heard = await decode(made.path, sniff(made.path), LIMITS)
        assert count / rate <= heard.duration < 0.3
        assert 0 < made.bitrate < 1 << 31
    for kind in COPY_FORMATS.values():
        copy = await make_copy(source, tmp_path, kind, Labels(title="", artist=""), sound=Sound(0.0, rate, 1))
        assert copy.stat().st_size
    # As many samples, but over minutes or hours: that is no sound, and cheap to ask for.
    source.write_bytes(wav(PCM[:200], rate=999))
    with pytest.raises(UnsupportedAudio, match="fewer than 1000 samples a second"):
        await process(source, tmp_path)


@pytest.mark.parametrize("riff", [b"RF64", b"BW64"])
async def test_a_wav_of_64_bits(riff: bytes, tmp_path: Path) -> None:
    """M8: RF64 and BW64 tell their true sizes in ds64 (EBU Tech 3306); these do, and lie beyond 4 GiB."""
    for told in (len(PCM), 5 << 32):
        ds64 = b"ds64" + struct.pack("<IQQQI", 28, told + 72, told, told // 2, 0)
        data = wav(PCM, riff=riff, data_size=0xFFFFFFFF)
        head, rest = data[:4] + b"\xff\xff\xff\xff" + data[8:12], data[12:]
        decoded = await _decode(tmp_path, head + ds64 + rest)
        assert decoded.duration == pytest.approx(2.0, abs=0.05)
        assert decoded.damaged is (told != len(PCM))


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf], ids=str)
async def test_samples_that_are_not_numbers_are_refused(value: float, tmp_path: Path) -> None:
    """M8, M12: one NaN would make loudness, peaks and every encoder's state NaN."""
    samples = music(8000, 1, 2.0).copy()
    samples[8000] = value
    with pytest.raises(UnsupportedAudio, match="not numbers"):
        await _decode(tmp_path, wav(samples.tobytes(), code=3, bits=32))


async def test_enormous_samples_are_only_loud(tmp_path: Path) -> None:
    """M8, M12: 1e38 is a number; nothing that is stored is infinite."""
    file = tmp_path / "loud.wav"
    file.write_bytes(wav(np.full(16000, 1e38, np.float32).tobytes(), code=3, bits=32))
    done = await process(file, tmp_path)
    for number in (done.duration, done.loudness.integrated, done.loudness.range, done.loudness.true_peak):
        assert number is None or math.isfinite(number)


@pytest.mark.parametrize("total", [0, 1, 2**36 - 1])
async def test_a_flac_that_lies_about_its_length(total: int, sample: Get, tmp_path: Path) -> None:
    """M9: total samples and the MD5 of STREAMINFO are not believed."""
    data = bytearray(sample("s16.flac").read_bytes())
    packed = int.from_bytes(data[18:26])  # rate 20, channels 3, bits 5, total 36 (RFC 9639, 8.2)
    data[18:26] = (packed >> 36 << 36 | total).to_bytes(8)
    data[26:42] = b"\x5a" * 16
    decoded = await _decode(tmp_path, bytes(data))
    assert decoded.duration == pytest.approx(2.0, abs=0.05)


@pytest.mark.parametrize("told", [0, 1, 100_000_000])
async def test_an_mp3_that_lies_about_its_length(told: int, sample: Get, tmp_path: Path) -> None:
    """M10: the count in the Xing or Info header is not believed."""
    data = bytearray(sample("a.mp3").read_bytes())
    at = data.index(b"Info") if b"Info" in data else data.index(b"Xing")
    data[at + 8 : at + 12] = told.to_bytes(4)
    decoded = await _decode(tmp_path, bytes(data))
    assert decoded.duration == pytest.approx(2.0, abs=0.05)


@pytest.mark.parametrize(("size", "frames"), [(0, 0), (1, 1), (2**32 - 1, 2**32 - 1)])
async def test_an_mp3_with_a_lie_of_fraunhofers(size: int, frames: int, sample: Get, tmp_path: Path) -> None:
    """M10: the numbers in a VBRI header, 32 bytes into the first frame, are not believed either."""
    found = mp3_frames(sample("a.mp3").read_bytes())[1:]  # without the frame that tells lengths
    first = bytearray(found[0][:4] + bytes(len(found[0]) - 4))
    first[36:62] = struct.pack(">4sHHHIIHHHH", b"VBRI", 1, 0, 75, size, frames, 0, 1, 2, 1)
    decoded = await _decode(tmp_path, bytes(first) + b"".join(found))
    assert decoded.duration == pytest.approx(len(found) * 1152 / 44_100, abs=0.05)


async def test_an_mp3_behind_a_megabyte_of_garbage(sample: Get, tmp_path: Path) -> None:
    """M10: found by eight frames in a row."""
    garbage = b"\x01" + random.Random(3).randbytes((1 << 20) - 1)
    decoded = await _decode(tmp_path, garbage + b"".join(mp3_frames(sample("a.mp3").read_bytes())))
    assert decoded.duration == pytest.approx(2.0, abs=0.05)


async def test_two_mp3s_of_other_rates_in_a_row(sample: Get, tmp_path: Path) -> None:
    """M10: 44.1 kHz stereo, then 22.05 kHz mono, then the first again: as long as their frames."""
    first = mp3_frames(sample("a.mp3").read_bytes())[1:]  # without the frame that tells lengths
    second = mp3_frames(sample("mono22.mp3").read_bytes())[1:]
    expected = (2 * len(first) * 1152) / 44_100 + len(second) * 576 / 22_050
    file = tmp_path / "joined.mp3"
    file.write_bytes(b"".join([*first, *second, *first]))
    decoded = await decode(file, sniff(file), LIMITS)
    assert decoded.duration == pytest.approx(expected, abs=0.05)
    done = await process(file, tmp_path)
    assert done.duration == decoded.duration
    assert done.loudness.integrated == pytest.approx(-13, abs=8)
    for made in done.renditions:
        again = await decode(made.path, sniff(made.path), LIMITS)
        assert again.duration == pytest.approx(expected, abs=0.06)


async def test_free_format_is_refused_or_measured(sample: Get, tmp_path: Path) -> None:
    """M10: frames without a bitrate (free format) are no format of ours."""
    data = bytearray(b"".join(mp3_frames(sample("a.mp3").read_bytes())))
    for position in range(len(data) - 3):
        if data[position] == 0xFF and data[position + 1] == 0xFB:
            data[position + 2] &= 0x0F
    with pytest.raises(UnsupportedAudio):
        await _decode(tmp_path, bytes(data))


async def test_tags_in_a_row_are_stepped_over(sample: Get, tmp_path: Path) -> None:
    """M10: several ID3 tags, padding, and one whose length lies beyond the end."""
    frames = b"".join(mp3_frames(sample("a.mp3").read_bytes()))
    decoded = await _decode(tmp_path, id3([bytes(2000)]) * 3 + bytes(5000) + frames)
    assert decoded.duration == pytest.approx(2.0, abs=0.05)
    with pytest.raises(UnsupportedAudio):
        await _decode(tmp_path, id3([], declared=1 << 27) + frames)


async def test_chained_oggs_are_one_piece(sample: Get, tmp_path: Path) -> None:
    """M11: streams in a row, of one codec and of two."""
    vorbis, opus = sample("vorbis.ogg").read_bytes(), sample("opus.ogg").read_bytes()
    for chain in (vorbis + vorbis, opus + opus):
        assert (await _decode(tmp_path, chain)).duration == pytest.approx(4.0, abs=0.1)
    assert (await _decode(tmp_path, vorbis + opus)).duration == pytest.approx(2.0, abs=0.1)


async def test_an_ogg_page_with_a_wrong_checksum(sample: Get, tmp_path: Path) -> None:
    """M11: the page is lost, the rest plays."""
    pages = ogg_pages(make(BY_NAME["opus.ogg"], tmp_path, 5.0).read_bytes())
    pages[3] = ogg_page(pages[3], right=False)
    decoded = await _decode(tmp_path, b"".join(pages))
    assert 2.0 < decoded.duration <= 5.05
    assert decoded.damaged


@pytest.mark.parametrize("granule", [-1, 0, 2**63 - 1, -(2**63)])
@pytest.mark.parametrize("name", ["vorbis.ogg", "opus.ogg"])
async def test_an_ogg_with_an_impossible_position(
    name: str, granule: int, sample: Get, tmp_path: Path
) -> None:
    """M11, M12: granule positions of -1 and 2^63 do not become a length."""
    pages = ogg_pages(sample(name).read_bytes())
    pages[-1] = ogg_page(pages[-1], granule=granule)
    try:
        decoded = await _decode(tmp_path, b"".join(pages))
    except UnsupportedAudio:
        return
    assert 0 < decoded.duration <= 2.1


async def test_an_ogg_without_an_end(sample: Get, tmp_path: Path) -> None:
    """M11: no page says that it is the last (EOS)."""
    pages = ogg_pages(sample("vorbis.ogg").read_bytes())
    pages[-1] = ogg_page(pages[-1], flags=0)
    assert (await _decode(tmp_path, b"".join(pages))).duration == pytest.approx(2.0, abs=0.05)
