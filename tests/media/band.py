"""Files as people have them: a small band in every format and shape of tags, 8 to 192 kHz, mono to 5.1."""

import io
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image

from tests.media.corpus import ffmpeg

SECONDS = 0.8
TITLE, ARTIST, ALBUM, GENRE, YEAR = "Étude 夜想曲 🎹", "Ásgeir & Łucja", "Ночь (Live)", "Nu-Jazz", 2019
Cover = tuple[str, str]  # kind of picture, and its file's name


class Shape(NamedTuple):
    """A file to make: its name, rate and channels, ffmpeg's arguments; what must be found, and how exactly.

    ``slack`` is in seconds: what an encoder adds and the format has no word for.
    """

    file: str
    rate: int
    channels: int
    arguments: tuple[str, ...]
    codec: str
    bit_depth: int | None = None
    cover: str | None = None
    slack: float = 0.05
    tagged: bool = True
    change: Callable[[bytes], bytes] | None = None


def id3v1(body: bytes) -> bytes:
    """The tag of 1996, behind the music, in Latin-1."""
    fields = b"TAG" + b"Etude".ljust(30, b"\0") + b"Asgeir".ljust(30, b"\0") + b"Night".ljust(30, b"\0")
    return body + fields + b"2019" + bytes(30) + b"\x08"


def id3v22(body: bytes) -> bytes:
    """The tag of 1998: names of three letters, UTF-16."""

    def frame(name: bytes, text: str) -> bytes:
        data = b"\x01" + text.encode("utf-16")
        return name + len(data).to_bytes(3) + data

    frames = frame(b"TT2", TITLE) + frame(b"TP1", ARTIST) + frame(b"TAL", ALBUM) + frame(b"TCO", GENRE)
    frames += frame(b"TYE", str(YEAR))
    size = bytes(len(frames) >> shift & 0x7F for shift in (21, 14, 7, 0))
    return b"ID3\x02\x00\x00" + size + frames + body


_MP3 = ("-c:a", "libmp3lame")
_PLAIN = ("-id3v2_version", "0", "-map_metadata", "-1")
SHAPES = [
    Shape("cbr-id3v24.mp3", 44_100, 2, (*_MP3, "-b:a", "192k", "-id3v2_version", "4"), "mp3", cover="png"),
    Shape(
        "vbr-id3v23.mp3", 48_000, 2, (*_MP3, "-q:a", "2", "-id3v2_version", "3", "-write_id3v1", "1"), "mp3"
    ),
    Shape("abr.mp3", 32_000, 1, (*_MP3, "-abr", "1", "-b:a", "96k"), "mp3"),
    Shape("no-xing.mp3", 44_100, 2, (*_MP3, "-b:a", "128k", "-write_xing", "0"), "mp3", slack=0.1),
    Shape("mpeg2.mp3", 16_000, 1, (*_MP3, "-b:a", "24k", "-write_xing", "0"), "mp3", slack=0.2),
    Shape("id3v1.mp3", 44_100, 1, (*_MP3, "-b:a", "64k", *_PLAIN), "mp3", tagged=False, change=id3v1),
    Shape("id3v22.mp3", 44_100, 2, (*_MP3, "-b:a", "128k", *_PLAIN), "mp3", change=id3v22),
    Shape("u8.wav", 8_000, 1, ("-c:a", "pcm_u8"), "pcm_u8", 8),
    Shape("24-in-5.1.wav", 96_000, 6, ("-c:a", "pcm_s24le"), "pcm_s24le", 24),
    Shape("float.wav", 192_000, 2, ("-c:a", "pcm_f32le"), "pcm_f32le", 32),
    Shape("rf64.wav", 48_000, 2, ("-c:a", "pcm_s32le", "-rf64", "always"), "pcm_s32le", 32),
    Shape("8k.flac", 8_000, 1, ("-c:a", "flac", "-sample_fmt", "s16"), "flac", 16, "jpeg"),
    Shape("5.1.flac", 48_000, 6, ("-c:a", "flac", "-sample_fmt", "s32"), "flac", 24),
    Shape("192k.flac", 192_000, 2, ("-c:a", "flac", "-sample_fmt", "s32"), "flac", 24, "png"),
    Shape("vorbis-5.1.ogg", 48_000, 6, ("-c:a", "libvorbis"), "vorbis"),
    Shape("vorbis.ogg", 44_100, 2, ("-c:a", "libvorbis", "-q:a", "6"), "vorbis"),
    Shape("opus.opus", 48_000, 2, ("-c:a", "libopus", "-b:a", "96k"), "opus"),
    Shape("24.aiff", 96_000, 2, ("-c:a", "pcm_s24be", "-write_id3v2", "1"), "pcm_s24be", 24, "jpeg"),
    Shape("float.aifc", 44_100, 1, ("-c:a", "pcm_f32be", "-write_id3v2", "1", "-f", "aiff"), "pcm_f32be", 32),
    Shape("aac.m4a", 44_100, 2, ("-c:a", "aac", "-b:a", "160k"), "aac", cover="jpeg"),
    Shape("aac-5.1.m4a", 48_000, 6, ("-c:a", "aac", "-movflags", "+faststart"), "aac"),
    Shape("alac.m4a", 96_000, 2, ("-c:a", "alac", "-sample_fmt", "s32p"), "alac", 24, "png"),
    Shape("adts.aac", 24_000, 1, ("-c:a", "aac", "-f", "adts"), "aac", slack=0.1, tagged=False),
]
SHAPE = {shape.file: shape for shape in SHAPES}


def band(rate: int, channels: int, seconds: float = SECONDS) -> npt.NDArray[np.float32]:
    """Bass, chords, a tune, a drum and a cymbal, each with its envelope and its place: (frames, channels)."""
    dice = np.random.default_rng(11)
    mixed = np.zeros((round(rate * seconds), channels))
    beat = seconds / 4

    def play(note: float, at: float, length: float, place: int, loud: float, overtones: int) -> None:
        time = np.arange(round(length * rate)) / rate
        envelope = np.minimum(time / 0.01, 1) * np.exp(-time * 3 / length)
        sound = sum(
            np.sin(2 * np.pi * note * n * time) / n for n in range(1, overtones + 1) if note * n < rate * 0.45
        )
        add(sound * envelope * loud, at, place)

    def hit(at: float, dark: float, length: float, place: int, loud: float) -> None:
        time = np.arange(round(length * rate)) / rate
        noise = dice.standard_normal(len(time)) * np.exp(-time * 6 / length) * loud
        add(noise + np.sin(2 * np.pi * dark * time) * np.exp(-time * 30), at, place)

    def add(sound: npt.NDArray[np.float64], at: float, place: int) -> None:
        start = round(at * rate)
        part = mixed[start : start + len(sound)]
        for channel in range(channels):
            near = 1.0 if channel == place % channels else 0.4
            part[:, channel] += sound[: len(part)] * near

    for step, root in enumerate((110.0, 98.0, 130.8, 123.5)):
        at = step * beat
        play(root / 2, at, beat, 0, 0.6, 3)
        for third, place in ((1.0, 0), (1.26, 1), (1.5, 2)):
            play(root * 2 * third, at, beat, place, 0.25, 5)
        play(root * 4 * (1.5, 1.335, 1.682, 2.0)[step], at + beat / 2, beat / 2, 3, 0.1 + step * 0.08, 7)
        hit(at, 55.0, 0.12, 4, 0.05)
        hit(at + beat / 2, 900.0, 0.05, 5, 0.2)
    return (mixed / np.abs(mixed).max() * 0.8).astype(np.float32)


def make(shape: Shape, folder: Path) -> Path:
    """Encode the band as this shape, with tags and cover."""
    target, raw = folder / shape.file, folder / f"{shape.file}.raw"
    raw.write_bytes(band(shape.rate, shape.channels).tobytes())
    sound = ("-f", "f32le", "-ar", str(shape.rate), "-ac", str(shape.channels), "-i", raw)
    picture: tuple[str | Path, ...] = ()
    if shape.cover:
        image = folder / f"{shape.file}.{shape.cover}"
        image.write_bytes(cover(shape.cover))
        picture = ("-i", image, "-map", "0", "-map", "1", "-c:v", "copy", "-disposition:v", "attached_pic")
    words = {"title": TITLE, "artist": ARTIST, "album": ALBUM, "genre": GENRE, "date": str(YEAR)}
    tags = [part for name, word in words.items() for part in ("-metadata", f"{name}={word}")]
    ffmpeg(*sound, *picture, *tags, *shape.arguments, target)
    raw.unlink()
    if shape.change:
        target.write_bytes(shape.change(target.read_bytes()))
    return target


def cover(kind: str) -> bytes:
    """A picture, not square."""
    out = io.BytesIO()
    Image.linear_gradient("L").resize((360, 300)).convert("RGB").save(out, kind)
    return out.getvalue()
