"""Decode a whole file and keep only what it taught: how long it really is, what it is made of, its peaks.

Headers lie about the length, in good faith (streams, cut downloads) and in bad (threats M5, M8 to M13): what
counts is the number of samples that come out. Only decoding tells whether a file is audio at all.

The rule for damaged files: what decodes, counts. A file that ends well is accepted at any length above zero.
A file on which the decoder complains, or that holds less than its header promises, is accepted from one
second of audio on, and marked ``damaged``. What has too few samples a second to be heard is refused.
"""

import asyncio
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import msgspec

from veza.core.tracing import traced
from veza.media.errors import AudioTooLarge, MediaInterrupted, UndecodableAudio, UnsupportedAudio
from veza.media.ffmpeg import CLEAN_OUTPUT, find_ffmpeg, input_arguments
from veza.media.limits import MediaLimits
from veza.media.peaks import Peaks
from veza.media.sandbox import Limits, run
from veza.media.sniff import Sniffed

if TYPE_CHECKING:
    from veza.media.drawing import PeaksBuilder

_CHUNK = 1 << 20
_LEAST_DAMAGED = 1.0  # seconds


class Decoded(msgspec.Struct, frozen=True):
    """What a file holds: ``duration`` in seconds, ``bit_depth`` if lossless, ``bitrate`` in bit/s."""

    duration: float
    sample_rate: int
    channels: int
    codec: str
    bit_depth: int | None
    bitrate: int
    damaged: bool
    peaks: Peaks
    frames: int  # samples of each channel


@traced("media.decode")
async def decode(
    source: Path,
    sniffed: Sniffed,
    limits: MediaLimits,
    on_part: Callable[[float], None] = lambda _: None,
) -> Decoded:
    """Decode all of it, in bounded memory. ``on_part`` hears how far it is, from 0 to 1, in another thread.

    Raises UndecodableAudio, UnsupportedAudio, AudioTooLarge (all 422), MediaUnavailable, MediaInterrupted.
    """
    ffmpeg = await asyncio.to_thread(find_ffmpeg)
    argv = [
        ffmpeg.path,
        *input_arguments(sniffed),
        *("-map", "0:a:0", "-c:a", "pcm_f32le", *CLEAN_OUTPUT, "-f", "wav", "pipe:1"),
    ]
    with source.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        # Our descriptor and the child's share one position: it tells how far the child has read.
        counting = _Counting(
            limits, lambda: on_part(min(os.lseek(file.fileno(), 0, os.SEEK_CUR) / size, 1.0))
        )
        try:
            result = await run(
                argv,
                stdin=file.fileno(),
                limits=Limits(memory=limits.decoder_memory, seconds=limits.decode_seconds),
                reader=counting.read,
            )
        except TimeoutError:
            raise AudioTooLarge from None
    if result.cut_off:  # what came until then is not all there is
        raise MediaInterrupted
    # The tags in front, and the cover in them, are none of the sound.
    sound = size - sniffed.audio_offset
    return _judge(counting, _Told.of(result.stderr), clean=result.returncode == 0, size=sound)


def _judge(counted: "_Counting", told: "_Told", *, clean: bool, size: int) -> Decoded:
    drawn = counted.drawn
    if drawn is None or not drawn.frames:
        raise UndecodableAudio
    duration = drawn.frames / counted.rate
    promised = told.duration
    damaged = (
        not clean
        or told.complained
        or (promised is not None and promised > duration + max(0.1, duration / 100))
    )
    if damaged and duration < _LEAST_DAMAGED:
        raise UndecodableAudio
    peaks = drawn.finish()
    if not drawn.finite:
        raise UndecodableAudio("The file holds samples that are not numbers.")
    return Decoded(
        duration=duration,
        sample_rate=counted.rate,
        channels=counted.channels,
        codec=told.codec,
        bit_depth=told.bit_depth,
        bitrate=round(size * 8 / duration),
        damaged=damaged,
        peaks=peaks,
        frames=drawn.frames,
    )


class _Counting:
    """Reads a stream of WAV from the decoder: counts it, holds it to the limits, draws its peaks."""

    def __init__(self, limits: MediaLimits, on_chunk: Callable[[], None]) -> None:
        self.limits = limits
        self.on_chunk = on_chunk
        self.rate = self.channels = 0
        # None as long as nothing came that could be drawn.
        self.drawn: PeaksBuilder | None = None

    def read(self, stream: BinaryIO) -> None:
        """Read to the end; raises AudioTooLarge at the first sample too many."""
        if not self._begin(stream):
            return
        from veza.media.drawing import PeaksBuilder  # noqa: PLC0415 - a server that draws nothing loads no numpy

        self.drawn = drawn = PeaksBuilder(self.rate, self.channels)
        most = min(self.limits.max_seconds * self.rate, self.limits.max_samples / self.channels)
        width = 4 * self.channels
        rest = b""
        while chunk := stream.read(_CHUNK):
            data = rest + chunk
            whole = len(data) // width * width
            rest = data[whole:]
            drawn.add(data, whole // 4)
            if drawn.frames > most:
                raise AudioTooLarge
            self.on_chunk()

    def _begin(self, stream: BinaryIO) -> bool:
        """The header, written by our own ffmpeg: rate and channels; False when nothing came.

        Raises AudioTooLarge, UnsupportedAudio.
        """
        if len(stream.read(12)) < 12:  # noqa: PLR2004 - RIFF, size, WAVE
            return False
        while len(header := stream.read(8)) == 8 and header[:4] != b"data":  # noqa: PLR2004 - name, size
            content = stream.read(int.from_bytes(header[4:], "little"))
            if header[:4] == b"fmt ":
                self.channels = int.from_bytes(content[2:4], "little")
                self.rate = int.from_bytes(content[4:8], "little")
        if self.channels > self.limits.max_channels or self.rate > self.limits.max_sample_rate:
            raise AudioTooLarge
        if 0 < self.rate < self.limits.min_sample_rate:
            raise UnsupportedAudio(
                f"The audio has fewer than {self.limits.min_sample_rate} samples a second."
            )
        return bool(self.channels and self.rate)


class _Told(msgspec.Struct, frozen=True):
    """What ffmpeg said about its input; its own words for people, so nothing rests on them alone."""

    codec: str
    bit_depth: int | None
    duration: float | None
    complained: bool

    @classmethod
    def of(cls, log: str) -> "_Told":
        stream = re.search(r"^  Stream #0:\d+[^\n]*?: Audio: ([a-z0-9_]+)[^\n]*", log, re.MULTILINE)
        length = re.search(r"^  Duration: (\d+):(\d\d):(\d\d\.\d+)", log, re.MULTILINE)
        guessed = "Estimating duration from bitrate" in log
        promised = None
        if length and not guessed:
            hours, minutes, seconds = length.groups()
            promised = int(hours) * 3600 + int(minutes) * 60 + float(seconds)
        return cls(
            codec=_codec_name(stream.group(1)) if stream else "",
            bit_depth=_bit_depth(stream.group(1), stream.group(0)) if stream else None,
            duration=promised,
            complained=bool(re.search(_COMPLAINT, log)),
        )


# Only in lines of ffmpeg's parts ("[flac @ 0x…] …"): a song may be called "Corrupt".
_COMPLAINT = re.compile(
    r"^\[[^\]\n]+ @ [^\]\n]+\] [^\n]*(?:Error (?:submitting|while decoding|during demuxing)|Invalid data"
    r"|corrupt|CRC|invalid (?:sync|residual)|Header missing|partial|truncat)",
    re.IGNORECASE | re.MULTILINE,
)
_FORMAT_BITS = {"u8": 8, "s16": 16, "s32": 32, "flt": 32, "dbl": 64}


def _codec_name(decoder: str) -> str:
    return "mp3" if decoder == "mp3float" else decoder


def _bit_depth(codec: str, line: str) -> int | None:
    """Bits of a sample of PCM, FLAC and ALAC; the others have no such thing."""
    if codec not in {"flac", "alac"} and not (codec.startswith("pcm_") and not codec.endswith("law")):
        return None
    if exact := re.search(r"\((\d+) bit\)", line):
        return int(exact.group(1))
    if named := re.fullmatch(r"pcm_[usf](\d+)(?:le|be)?", codec):
        return int(named.group(1))
    plain = re.search(r", (u8|s16|s32|flt|dbl)p?\b", line)
    return _FORMAT_BITS[plain.group(1)] if plain else None
