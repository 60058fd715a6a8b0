"""Copies for somebody to keep: a track in the format that they like, with its tags and its cover.

How tags are spelt in each format is left to ffmpeg; sources: ID3v2.3, RFC 9639 (FLAC), QuickTime's metadata.
Sound is not touched beyond what a format asks for: neither its loudness nor its length changes.
"""

import asyncio
import shutil
from pathlib import Path

import msgspec

from veza.media.errors import AudioTooLarge, UndecodableAudio
from veza.media.failing import failure_of
from veza.media.ffmpeg import CLEAN_OUTPUT, find_ffmpeg, input_arguments
from veza.media.limits import MediaLimits
from veza.media.renditions import LEAST_FRAMES
from veza.media.sandbox import Limits, read_all, run
from veza.media.sniff import Sniffed, sniff

_STARTING = 120.0  # seconds, whatever the length
_COVER = "cover.jpg"
# Rates that every player of the formats with a loss has; of these the bit rates below are for all.
_FAMILY, _PLAIN = 11_025, 48_000  # Hz
_HEAD = 64 << 10  # bytes: our frames of text stand before the picture


class CopyFormat(msgspec.Struct, frozen=True, kw_only=True):
    """A format that copies are made in; one that is ``lossless`` only from what is."""

    name: str
    mime: str
    ending: str
    lossless: bool
    arguments: tuple[str, ...]


FLAC = CopyFormat(
    name="flac", mime="audio/flac", ending="flac", lossless=True,
    # Frames as the reference encoder cuts them; ffmpeg takes the source's, which may be too short.
    arguments=("-c:a", "flac", "-compression_level", "5", "-frame_size", "4096", "-f", "flac"),
)  # fmt: skip
MP3 = CopyFormat(
    name="mp3", mime="audio/mpeg", ending="mp3", lossless=False,
    arguments=("-c:a", "libmp3lame", "-b:a", "320k", "-id3v2_version", "3", "-f", "mp3"),
)  # fmt: skip
# The quick coder, for at this rate the slow one gains a third of a decibel, and takes several times as long.
AAC = CopyFormat(
    name="aac", mime="audio/mp4", ending="m4a", lossless=False,
    arguments=("-c:a", "aac", "-aac_coder", "fast", "-b:a", "256k",
               "-movflags", "+faststart", "-f", "ipod"),
)  # fmt: skip
COPY_FORMATS = {kind.name: kind for kind in (FLAC, MP3, AAC)}


class Labels(msgspec.Struct, frozen=True, kw_only=True):
    """What is written into a copy; ``number`` like ``3/12``. The ``comment`` is ASCII."""

    title: str
    artist: str
    album: str | None = None
    genre: str | None = None
    year: int | None = None
    number: str | None = None
    comment: str = ""


class Sound(msgspec.Struct, frozen=True):
    """What is known of the source: seconds, Hz, channels; 0 for what is not."""

    duration: float = 0.0
    sample_rate: int = 0
    channels: int = 0


async def make_copy(
    source: Path,
    workdir: Path,
    kind: CopyFormat,
    labels: Labels,
    *,
    sound: Sound,
    cover: Path | None = None,
    limits: MediaLimits | None = None,
) -> Path:
    """A copy of the whole source, in ``workdir``, the caller's folder; ``cover`` is a JPEG of our own making.

    Whether the source is without loss is the caller's to know. Raises EmptyFile, UnsupportedAudio,
    UndecodableAudio, AudioTooLarge (all 422), EncodingFailed, MediaInterrupted,
    InsufficientStorage or MediaUnavailable.
    """
    limits = limits or MediaLimits()
    sniffed = await asyncio.to_thread(sniff, source)
    if cover is not None:
        await asyncio.to_thread(shutil.copyfile, cover, workdir / _COVER)
    target = workdir / f"copy.{kind.ending}"
    ffmpeg = await asyncio.to_thread(find_ffmpeg)
    argv = [
        ffmpeg.path,
        *_arguments(sniffed, kind, labels, sound, cover=cover is not None),
        "-y",
        target.name,
    ]
    with source.open("rb") as file:
        try:
            result = await run(
                argv,
                stdin=file.fileno(),
                limits=Limits(
                    memory=limits.decoder_memory,
                    seconds=_STARTING + (sound.duration or limits.max_seconds) / limits.encode_speed,
                    file_bytes=limits.max_rendition_bytes,
                ),
                reader=read_all(_HEAD),
                workdir=workdir,
            )
        except TimeoutError:
            raise AudioTooLarge from None
    if result.returncode != 0:
        raise failure_of(result, workdir)
    if not target.exists() or not target.stat().st_size:
        raise UndecodableAudio
    if kind.name == "mp3":
        await asyncio.to_thread(_name_comment, target)
    return target


def _arguments(sniffed: Sniffed, kind: CopyFormat, labels: Labels, sound: Sound, *, cover: bool) -> list[str]:
    """Read the source and the cover, each as what it is; write the one with the other."""
    arguments = input_arguments(sniffed)
    if cover:
        # A file of its own protocol and demuxer, none of which are open to the source.
        arguments += [
            "-protocol_whitelist", "file", "-format_whitelist", "jpeg_pipe", "-codec_whitelist", "mjpeg",
            "-f", "jpeg_pipe", "-i", _COVER,
            "-map", "1:v:0", "-c:v", "copy", "-disposition:v:0", "attached_pic",
        ]  # fmt: skip
    arguments += ["-map", "0:a:0", *CLEAN_OUTPUT, *_metadata(kind, labels)]
    if cover:
        arguments += ["-metadata:s:v:0", "title=Cover", "-metadata:s:v:0", "comment=Cover (front)"]
    if not kind.lossless:
        layout = "mono" if sound.channels == 1 else "stereo"
        # Whole numbers on the way, so that no encoder meets an infinite one (floats of 1e38 are legal).
        rate, longer = _rate(sound.sample_rate), f"apad=whole_len={LEAST_FRAMES},"
        arguments += ["-filter:a", f"{longer}aresample={rate}:osf=s32,aformat=channel_layouts={layout}"]
    return [*arguments, *kind.arguments]


def _rate(source: int) -> int:
    """44.1 kHz for what is a multiple or a part of it, else 48: no more is lost than must be."""
    return 4 * _FAMILY if source == 0 or source % _FAMILY == 0 else _PLAIN


def _metadata(kind: CopyFormat, labels: Labels) -> list[str]:
    # ffmpeg writes a comment as a frame that no player shows as one. The frame of a text named by three
    # letters is, but for its own name, the frame of a comment in that language: see _name_comment.
    comment = "eng" if kind.name == "mp3" else "comment"
    named = {
        "title": labels.title, "artist": labels.artist, "album": labels.album, "genre": labels.genre,
        "date": labels.year, "track": labels.number, comment: labels.comment or None,
    }  # fmt: skip
    return [
        part
        for name, value in named.items()
        if value is not None
        for part in ("-metadata", f"{name}={value}")
    ]


def _name_comment(path: Path) -> None:
    """Give the frame of the comment its name (ID3v2.3, 4.2.2 and 4.11): its length stays."""
    with path.open("r+b") as file:
        head = file.read(_HEAD)
        at = head.find(b"\0eng\0") - 10  # a frame's head: name, size, flags; then the encoding, 0
        if at > 0 and head[at : at + 4] == b"TXXX":
            file.seek(at)
            file.write(b"COMM")
