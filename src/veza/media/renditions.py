"""All streaming renditions of a track, and its loudness, from one decode.

Each is fragmented MP4 of about four seconds a fragment with one index (``sidx``) in front: a player can take
the file as it is, and HLS can cut it into its segments. AAC and Opus are 48 kHz, mono or stereo; a source
without loss also becomes FLAC, as it is, up to 24 bits. Nothing of the source's metadata comes along (threat
M19).
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

import msgspec

from veza.core.tracing import traced
from veza.media import loudness
from veza.media.ahead import Original, can_encode_from, encode_from
from veza.media.decode import Decoded
from veza.media.errors import AudioTooLarge, EncodingFailed
from veza.media.failing import failure_of
from veza.media.ffmpeg import CLEAN_OUTPUT, find_ffmpeg, input_arguments
from veza.media.fragments import Fragments, Layout
from veza.media.limits import MediaLimits
from veza.media.loudness import Loudness
from veza.media.profiles import LOSSLESS, PROFILES, SAMPLE_RATE, Profile, to_stream
from veza.media.sandbox import Limits, run
from veza.media.sniff import M4A, Sniffed

T = TypeVar("T")

# Samples of each channel: of fewer the resampler, which looks at many at a time, makes nothing at all.
LEAST_FRAMES = 256
_STARTING = 120.0  # seconds, whatever the length
_LOOK_EVERY = 0.5  # seconds


class Rendition(msgspec.Struct, frozen=True):
    """One file made for streaming; ``codec`` as RFC 6381 spells it, ``bitrate`` in bit/s as it came out."""

    name: str
    path: Path
    mime: str
    codec: str
    bitrate: int
    size: int
    layout: Layout


class Growing(msgspec.Struct, frozen=True):
    """A rendition while it is made: its ``fragments`` so far, and how many ``samples`` there will be.

    ``ahead`` makes some pieces from a later one on, at once, if that can be done with this source; it raises
    MediaUnavailable, TimeoutError.
    """

    name: str
    codec: str
    bitrate: int
    samples: int
    fragments: Fragments
    ahead: Callable[[int], Awaitable[list[bytes]]] | None = None


OnGrown = Callable[[Sequence[Growing]], Awaitable[None]]


async def ignore_growth(_: Sequence[Growing]) -> None:
    """Nobody wants to hear before all is done."""


def _profiles(decoded: Decoded, limits: MediaLimits) -> Sequence[Profile]:
    """What to make of this source."""
    # FLAC makes nothing larger but for a little, so its file stays below what one may have.
    size = decoded.bitrate * decoded.duration / 8
    fits = size <= limits.max_rendition_bytes * 0.9
    return (*PROFILES, LOSSLESS) if decoded.bit_depth is not None and fits else PROFILES


@traced("media.encode")
async def encode(
    source: Path,
    sniffed: Sniffed,
    decoded: Decoded,
    workdir: Path,
    limits: MediaLimits,
    on_part: Callable[[float], None] = lambda _: None,
    on_grown: OnGrown = ignore_growth,
) -> tuple[list[Rendition], Loudness]:
    """Make every rendition in ``workdir`` and measure loudness on the way.

    ``on_part`` hears how far it is, from 0 to 1, in another thread; ``on_grown`` twice a second what has come
    of the renditions that have a loss. Raises AudioTooLarge when it takes too long, EncodingFailed when an
    encoder fails on what decoded well, MediaInterrupted when it was killed, InsufficientStorage, and
    MediaUnavailable when none can be started.
    """
    profiles = _profiles(decoded, limits)
    raw = {profile.name: Fragments(workdir / f"{profile.name}.raw") for profile in profiles}
    frames = max(decoded.frames, LEAST_FRAMES)
    length = frames / decoded.sample_rate
    samples = -(-frames * SAMPLE_RATE // decoded.sample_rate)  # as the resampler rounds
    original = Original(source, sniffed, decoded, workdir, limits)
    growing = [_growing(profile, raw[profile.name], samples, original) for profile in PROFILES]
    arguments = [*input_arguments(sniffed), "-progress", "pipe:1", *_outputs(decoded, profiles)]
    log = await _watched(
        _ffmpeg(source, arguments, decoded.duration, workdir, limits, on_part), growing, on_grown
    )
    try:
        made = [
            await asyncio.to_thread(_finish, workdir, profile, raw[profile.name], length)
            for profile in profiles
        ]
    except (FileNotFoundError, ValueError) as error:  # it says that it has done it, but has not
        raise EncodingFailed from error
    summaries = loudness.parse_summaries(log)
    if len(summaries) == 1:
        return made, summaries[0]
    # The decoder changed its mind midway and the measurement began anew: our own file is of one piece.
    return made, await _measure(made[0], decoded.duration, workdir, limits)


def _growing(profile: Profile, made: Fragments, samples: int, original: Original) -> Growing:
    async def ahead(piece: int) -> list[bytes]:
        return await encode_from(original, profile, made.timing, samples, piece)

    found = ahead if can_encode_from(original.decoded) else None
    return Growing(profile.name, profile.codec, profile.bitrate, samples, made, found)


def _outputs(decoded: Decoded, profiles: Sequence[Profile]) -> list[str]:
    """The filters, and what becomes of what comes out of them."""
    ends = "".join(f"[{profile.name}]" for profile in PROFILES)
    plain = len(profiles) > len(PROFILES)
    longer = f"apad=whole_len={LEAST_FRAMES}," if decoded.frames < LEAST_FRAMES else ""
    # The meter stands aside: it works in steps of 100 ms and would drop the last part of one when the
    # decoder changes its mind about rate or layout.
    graph = (
        f"[0:a:0]asplit={2 + plain}[m][s]{f'[{LOSSLESS.name}]' if plain else ''};"
        f"[m]{loudness.FILTER},anullsink;"
        f"[s]{longer}{to_stream(decoded.channels)},asplit={len(PROFILES)}{ends}"
    )
    outputs = ["-filter_complex", graph]
    for profile in profiles:
        outputs += [
            "-map",
            f"[{profile.name}]",
            *CLEAN_OUTPUT,
            *profile.arguments,
            "-y",
            f"{profile.name}.raw",
        ]
    return outputs


async def _watched(work: Coroutine[Any, Any, T], growing: Sequence[Growing], on_grown: OnGrown) -> T:
    """Do it, and tell how the files grow meanwhile."""
    task = asyncio.ensure_future(work)
    try:
        while not task.done():
            await asyncio.wait({task}, timeout=_LOOK_EVERY)
            if not task.done():
                await asyncio.to_thread(_read, growing)
                await on_grown(growing)
        return await task
    finally:
        if not task.done():
            task.cancel()
            await asyncio.wait({task})


def _read(growing: Sequence[Growing]) -> None:
    for one in growing:
        one.fragments.read()


def _finish(workdir: Path, profile: Profile, raw: Fragments, duration: float) -> Rendition:
    path = workdir / f"{profile.name}.m4a"
    raw.read()
    layout = raw.finish(path)
    raw.path.unlink()
    size = path.stat().st_size
    return Rendition(profile.name, path, M4A.mime, profile.codec, round(size * 8 / duration), size, layout)


async def _measure(rendition: Rendition, duration: float, workdir: Path, limits: MediaLimits) -> Loudness:
    graph = ["-filter_complex", f"[0:a:0]{loudness.FILTER}[o]", "-map", "[o]", "-f", "null", "-"]
    arguments = [*input_arguments(Sniffed(M4A)), *graph]
    log = await _ffmpeg(rendition.path, arguments, duration, workdir, limits, lambda _: None)
    return next(iter(loudness.parse_summaries(log)), Loudness())


async def _ffmpeg(
    source: Path,
    arguments: list[str],
    duration: float,
    workdir: Path,
    limits: MediaLimits,
    on_part: Callable[[float], None],
) -> str:
    ffmpeg = await asyncio.to_thread(find_ffmpeg)

    def follow(stream: BinaryIO) -> None:
        for line in stream:
            name, _, value = line.strip().partition(b"=")
            if name == b"out_time_us" and value.isdigit():
                on_part(min(int(value) / 1_000_000 / duration, 1.0))

    with source.open("rb") as file:
        try:
            result = await run(
                [ffmpeg.path, *arguments],
                stdin=file.fileno(),
                limits=Limits(
                    memory=limits.decoder_memory,
                    seconds=_STARTING + duration / limits.encode_speed,
                    file_bytes=limits.max_rendition_bytes,
                ),
                reader=follow,
                workdir=workdir,
            )
        except TimeoutError:
            raise AudioTooLarge from None
    if result.returncode != 0:
        raise failure_of(result, workdir)
    return result.stderr
