"""Real files in every accepted format, made by ffmpeg from a short piece of synthetic music."""

import subprocess
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from veza.media.ffmpeg import find_ffmpeg

TAGS = ("-metadata", "title=Étude", "-metadata", "artist=Ana", "-metadata", "album=Nights")
TAGS += ("-metadata", "genre=Jazz", "-metadata", "date=2021", "-metadata", "track=3")
SECONDS = 2.0


class Sample(NamedTuple):
    """A file to make: its name, the music's rate and channels, ffmpeg's arguments, and what must be found."""

    file: str
    rate: int
    channels: int
    arguments: tuple[str, ...]
    format: str
    codec: str
    bit_depth: int | None = None


SAMPLES = [
    Sample("a.mp3", 44_100, 2, ("-c:a", "libmp3lame", "-b:a", "128k"), "mp3", "mp3"),
    Sample("mono22.mp3", 22_050, 1, ("-c:a", "libmp3lame", "-q:a", "5"), "mp3", "mp3"),
    Sample("rate8.mp3", 8_000, 1, ("-c:a", "libmp3lame", "-b:a", "16k"), "mp3", "mp3"),
    Sample("s16.wav", 44_100, 2, ("-c:a", "pcm_s16le"), "wav", "pcm_s16le", 16),
    Sample("u8.wav", 8_000, 1, ("-c:a", "pcm_u8"), "wav", "pcm_u8", 8),
    Sample("s24.wav", 48_000, 6, ("-c:a", "pcm_s24le"), "wav", "pcm_s24le", 24),
    Sample("s32.wav", 96_000, 2, ("-c:a", "pcm_s32le"), "wav", "pcm_s32le", 32),
    Sample("f32.wav", 192_000, 2, ("-c:a", "pcm_f32le"), "wav", "pcm_f32le", 32),
    Sample("f64.wav", 48_000, 1, ("-c:a", "pcm_f64le"), "wav", "pcm_f64le", 64),
    Sample("alaw.wav", 8_000, 1, ("-c:a", "pcm_alaw"), "wav", "pcm_alaw"),
    Sample("mulaw.wav", 8_000, 1, ("-c:a", "pcm_mulaw"), "wav", "pcm_mulaw"),
    Sample("ms.wav", 22_050, 1, ("-c:a", "adpcm_ms"), "wav", "adpcm_ms"),
    Sample("ima.wav", 22_050, 1, ("-c:a", "adpcm_ima_wav"), "wav", "adpcm_ima_wav"),
    Sample("rf64.wav", 48_000, 2, ("-c:a", "pcm_s16le", "-rf64", "always"), "wav", "pcm_s16le", 16),
    Sample("s16.flac", 44_100, 2, ("-c:a", "flac", "-sample_fmt", "s16"), "flac", "flac", 16),
    Sample("s24.flac", 96_000, 6, ("-c:a", "flac", "-sample_fmt", "s32"), "flac", "flac", 24),
    Sample("vorbis.ogg", 44_100, 2, ("-c:a", "libvorbis"), "ogg", "vorbis"),
    Sample("opus.ogg", 48_000, 2, ("-c:a", "libopus", "-b:a", "64k"), "ogg", "opus"),
    Sample("opus51.ogg", 48_000, 6, ("-c:a", "libopus", "-b:a", "192k"), "ogg", "opus"),
    Sample("s16.aiff", 44_100, 2, ("-c:a", "pcm_s16be", "-write_id3v2", "1"), "aiff", "pcm_s16be", 16),
    Sample("s24.aiff", 48_000, 1, ("-c:a", "pcm_s24be", "-write_id3v2", "1"), "aiff", "pcm_s24be", 24),
    Sample("f32.aiff", 48_000, 2, ("-c:a", "pcm_f32be", "-write_id3v2", "1"), "aiff", "pcm_f32be", 32),
    Sample("sowt.aiff", 44_100, 2, ("-c:a", "pcm_s16le", "-write_id3v2", "1"), "aiff", "pcm_s16le", 16),
    Sample("aac.m4a", 44_100, 2, ("-c:a", "aac", "-b:a", "96k"), "m4a", "aac"),
    Sample("front.m4a", 44_100, 2, ("-c:a", "aac", "-movflags", "+faststart"), "m4a", "aac"),
    Sample("alac.m4a", 44_100, 2, ("-c:a", "alac", "-sample_fmt", "s16p"), "m4a", "alac", 16),
    Sample("adts.aac", 44_100, 2, ("-c:a", "aac", "-b:a", "96k", "-f", "adts"), "aac", "aac"),
]
BY_NAME = {sample.file: sample for sample in SAMPLES}


@lru_cache(8)  # most are asked for again, and the sines take longer than an encoder
def music(rate: int, channels: int, seconds: float = SECONDS) -> npt.NDArray[np.float32]:
    """A swelling chord with overtones, and a beat of noise, different in each channel: (frames, channels)."""
    time = np.arange(round(rate * seconds)) / rate
    chord = sum(
        np.sin(2 * np.pi * note * harmonic * time + harmonic) / harmonic * np.sin(time * (1 + harmonic)) ** 2
        for note in (110.0, 164.8, 220.0, 277.2)
        for harmonic in (1, 2, 3, 5)
        if note * harmonic < rate / 2
    )
    beat = np.exp(-((time % 0.25) * 30))
    noise = np.random.default_rng(7).standard_normal((len(time), channels)) * beat[:, None]
    mixed = np.asarray(chord)[:, None] * np.linspace(1.0, 0.8, channels) + noise * 0.5
    made = (mixed / np.abs(mixed).max() * 0.7).astype(np.float32)
    made.flags.writeable = False  # for whoever asks next
    return made


def ffmpeg(*arguments: str | Path, data: bytes = b"") -> None:
    """Run the real ffmpeg without a sandbox: here it makes files, it does not read strangers'."""
    subprocess.run(
        [find_ffmpeg().path, "-v", "error", "-y", *map(str, arguments)], input=data, check=True, timeout=60
    )


def make(sample: Sample, folder: Path, seconds: float = SECONDS) -> Path:
    """Encode the music as this sample."""
    target = folder / sample.file
    pcm = ("-f", "f32le", "-ar", str(sample.rate), "-ac", str(sample.channels), "-i", "pipe:0")
    data = music(sample.rate, sample.channels, seconds).tobytes()
    ffmpeg(*pcm, *sample.arguments, *TAGS, target, data=data)
    return target
