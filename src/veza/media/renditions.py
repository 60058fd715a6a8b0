"""All streaming renditions of a track, and its loudness, from one decode.

AAC goes into fragmented MP4 of about four seconds a fragment with one index (``sidx``) in front: a player can
take the file as it is, and HLS can cut it by byte ranges. Opus goes into Ogg. Everything is 48 kHz, mono or
stereo, and carries nothing of the source's metadata (threat M19).
"""

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import BinaryIO

import msgspec

from veza.media import loudness
from veza.media.decode import Decoded
from veza.media.errors import AudioTooLarge, MediaUnavailable
from veza.media.ffmpeg import CLEAN_OUTPUT, find_ffmpeg, input_arguments
from veza.media.limits import MediaLimits
from veza.media.loudness import Loudness
from veza.media.sandbox import Limits, run
from veza.media.sniff import AAC, M4A, OGG, Sniffed

SAMPLE_RATE = 48_000
FRAGMENT_SECONDS = 4
_STARTING = 120.0  # seconds, whatever the length


class Profile(msgspec.Struct, frozen=True):
    """How one rendition is made; ``bitrate`` in bit/s."""

    name: str
    suffix: str
    mime: str
    codec: str
    bitrate: int
    arguments: tuple[str, ...]


_MP4 = (
    "-movflags", "+delay_moov+default_base_moof+global_sidx",
    "-frag_duration", str(FRAGMENT_SECONDS * 1_000_000),
    "-f", "mp4",
)  # fmt: skip
# The quick coder: at these rates the slow one (two loops) gains little and takes twice the time.
_AAC = ("-c:a", "aac", "-aac_coder", "fast")
_OPUS = ("-c:a", "libopus", "-compression_level", "5")
PROFILES = (
    Profile("aac_160", ".m4a", M4A.mime, "mp4a.40.2", 160_000, (*_AAC, "-b:a", "160k", *_MP4)),
    Profile("aac_96", ".m4a", M4A.mime, "mp4a.40.2", 96_000, (*_AAC, "-b:a", "96k", *_MP4)),
    Profile("opus_128", ".ogg", OGG.mime, "opus", 128_000, (*_OPUS, "-b:a", "128k", "-f", "ogg")),
)


class Rendition(msgspec.Struct, frozen=True):
    """One file made for streaming; ``bitrate`` in bit/s as it came out, ``size`` in bytes."""

    name: str
    path: Path
    mime: str
    codec: str
    bitrate: int
    size: int


async def encode(
    source: Path,
    sniffed: Sniffed,
    decoded: Decoded,
    workdir: Path,
    limits: MediaLimits,
    on_part: Callable[[float], None] = lambda _: None,
    profiles: Sequence[Profile] = PROFILES,
) -> tuple[list[Rendition], Loudness]:
    """Make every rendition in ``workdir`` and measure loudness on the way.

    ``on_part`` hears how far it is, from 0 to 1, in another thread. Raises AudioTooLarge when it takes too
    long, MediaUnavailable when an encoder fails on what decoded well.
    """
    outputs = [arguments for index, profile in enumerate(profiles) for arguments in _output(index, profile)]
    ends = "".join(f"[o{index}]" for index in range(len(profiles)))
    layout = "mono" if decoded.channels == 1 else "stereo"
    # Whole numbers between the two, so that no encoder meets an infinite one (floats of 1e38 are legal).
    # The meter stands aside: it works in steps of 100 ms and would drop the last part of one when the
    # decoder changes its mind about rate or layout.
    graph = (
        f"[0:a:0]asplit[m][s];[m]{loudness.FILTER},anullsink;"
        f"[s]aresample={SAMPLE_RATE}:osf=s32,aformat=channel_layouts={layout},asplit={len(profiles)}{ends}"
    )
    log = await _ffmpeg(
        source,
        [*input_arguments(sniffed), "-progress", "pipe:1", "-filter_complex", graph, *outputs],
        decoded.duration,
        workdir,
        limits,
        on_part,
    )
    made = [_made(workdir, profile, decoded.duration) for profile in profiles]
    summaries = loudness.parse_summaries(log)
    if len(summaries) == 1:
        return made, summaries[0]
    # The decoder changed its mind midway and the measurement began anew: our own file is of one piece.
    return made, await _measure(made[0], decoded.duration, workdir, limits)


def _output(index: int, profile: Profile) -> list[str]:
    path = f"{profile.name}{profile.suffix}"
    return ["-map", f"[o{index}]", *CLEAN_OUTPUT, *profile.arguments, "-y", path]


def _made(workdir: Path, profile: Profile, duration: float) -> Rendition:
    path = workdir / f"{profile.name}{profile.suffix}"
    size = path.stat().st_size
    return Rendition(profile.name, path, profile.mime, profile.codec, round(size * 8 / duration), size)


async def _measure(rendition: Rendition, duration: float, workdir: Path, limits: MediaLimits) -> Loudness:
    kind = M4A if rendition.mime in {M4A.mime, AAC.mime} else OGG
    graph = ["-filter_complex", f"[0:a:0]{loudness.FILTER}[o]", "-map", "[o]", "-f", "null", "-"]
    arguments = [*input_arguments(Sniffed(kind)), *graph]
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
        raise MediaUnavailable("The audio decodes, but cannot be encoded here.")
    return result.stderr
