"""Files that were cut short or had bits turned over: refused or kept in part, and never a crash of ours."""

import asyncio
import math
import random
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from veza.core.errors import VezaError
from veza.media import MediaLimits, sniff
from veza.media.decode import Decoded, decode
from veza.media.tags import read_tags

Get = Callable[[str], Path]
LIMITS = MediaLimits(decode_seconds=20.0)
PARTS = 64
FLIPS = (1, 1, 3, 3, 10, 10, 100)


async def _outcomes(tmp_path: Path, variants: Iterable[bytes]) -> list[Decoded | int]:
    """What became of each variant: what it holds, or the status of the error; two at a time."""
    turns = asyncio.Semaphore(2)

    async def one(index: int, data: bytes) -> Decoded | int:
        file = tmp_path / str(index)
        file.write_bytes(data)
        async with turns:
            try:
                return await decode(file, sniff(file), LIMITS)
            except VezaError as error:
                return error.status

    return await asyncio.gather(*(one(index, data) for index, data in enumerate(variants)))


@pytest.mark.parametrize(
    ("name", "last"),
    # An Ogg page holds about a second: the last one is lost whole.
    [
        ("a.mp3", 1.8),
        ("s16.flac", 1.6),
        ("vorbis.ogg", 0.9),
        ("opus.ogg", 0.9),
        ("front.m4a", 1.6),
        ("adts.aac", 1.6),
        ("s16.wav", 1.7),
        ("s16.aiff", 1.7),
    ],
)
async def test_cut_short_at_every_part(
    name: str, last: float, sample: Get, tmp_path: Path, pytestconfig: pytest.Config
) -> None:
    """M13: what decodes counts from one second on; less than that is refused, and no number is a lie.

    Of most formats each run draws other parts; `--cuts 64` tries all of all.
    """
    tried = PARTS if name == "a.mp3" else int(pytestconfig.getoption("--cuts"))
    parts = [0, *sorted(random.sample(range(1, PARTS - 1), tried - 2)), PARTS - 1]
    data = sample(name).read_bytes()
    outcomes = await _outcomes(tmp_path, (data[: len(data) * part // PARTS] for part in parts))
    assert outcomes[0] == 422
    lengths = [0.0 if isinstance(outcome, int) else outcome.duration for outcome in outcomes]
    assert {outcome for outcome in outcomes if isinstance(outcome, int)} <= {422}
    for part, length in zip(parts, lengths, strict=True):
        assert length <= 2.0 * part / PARTS + 0.3, part  # compressed music is not spread evenly
    assert lengths[-1] > last
    later = [outcome for outcome in outcomes if isinstance(outcome, Decoded)]
    assert all(outcome.duration >= 1.0 or not outcome.damaged for outcome in later)


@pytest.mark.parametrize(
    "name", ["a.mp3", "s16.flac", "vorbis.ogg", "opus.ogg", "aac.m4a", "s16.wav", "s16.aiff"]
)
async def test_bits_turned_over(name: str, sample: Get, tmp_path: Path, pytestconfig: pytest.Config) -> None:
    """M14: 422 or finite numbers, every time, in good time; `--flips 100000` for the long fuzz of each."""
    wanted = int(pytestconfig.getoption("--flips"))
    chance = random.Random(random.getrandbits(32))  # the same again with the --randomly-seed of the run
    whole = sample(name).read_bytes()

    def variant(flips: int) -> bytes:
        data = bytearray(whole)
        for _ in range(flips):
            # Half of them in the beginning, where the structure is.
            end = len(data) if chance.random() < 0.5 else min(len(data), 600)
            data[chance.randrange(end)] ^= 1 << chance.randrange(8)
        return bytes(data)

    for done in range(0, wanted, len(FLIPS)):
        some = FLIPS[: wanted - done]
        outcomes = await asyncio.wait_for(_outcomes(tmp_path, map(variant, some)), 40)
        for outcome in outcomes:
            if isinstance(outcome, int):
                assert outcome == 422
            else:
                assert math.isfinite(outcome.duration)
                assert 0 < outcome.duration < LIMITS.max_seconds
                assert 1 <= outcome.channels <= 8
        for index in range(0, len(outcomes), 3):
            tags = await read_tags(tmp_path / str(index), LIMITS)
            assert tags.title is None or len(tags.title) <= 256


async def test_random_bytes(tmp_path: Path) -> None:
    """M14: nothing in noise is audio."""
    chance = random.Random(11)
    heads = (
        b"",
        b"ID3\x04\x00\x00\x00\x00\x00\x05",
        b"RIFF\x00\x00\x00\x00WAVEfmt ",
        b"fLaC\x00\x00\x00\x22",
        b"OggS\x00\x02",
    )
    heads += (b"FORM\x00\x00\x00\x00AIFF", b"\x00\x00\x00\x10ftypM4A ", b"\xff\xf1", b"\xff\xfb\x90\x00")
    outcomes = await _outcomes(tmp_path, [head + chance.randbytes(20_000) for head in heads])
    assert set(outcomes) == {422}
