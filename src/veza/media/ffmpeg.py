"""Where ffmpeg is, and the arguments that every reading of an upload shares."""

import functools
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import imageio_ffmpeg

from veza.media.errors import MediaUnavailable
from veza.media.sniff import Sniffed

# `fd:` reads an open descriptor and can seek in it, so no name ever reaches ffmpeg (since 6.0).
_NEEDED = {
    "-protocols": ("fd", "pipe"),
    "-encoders": ("aac", "libopus", "libmp3lame", "flac", "pcm_f32le"),
    "-filters": ("ebur128", "aresample"),
    "-demuxers": ("mp3", "wav", "flac", "ogg", "aiff", "aac", "jpeg_pipe"),
    "-muxers": ("mp4", "ipod", "mp3", "flac"),
}
_MAX_BLOCK = 256 << 20  # bytes that one allocation of ffmpeg may have


class Ffmpeg(NamedTuple):
    """A binary that can do all that is asked of it here."""

    path: str
    version: str


@functools.cache
def find_ffmpeg() -> Ffmpeg:
    """The system's ffmpeg if it is recent enough (6.0), else the one that came with the package; found once.

    Starts programs: call it in a thread. Raises MediaUnavailable.
    """
    system = shutil.which("ffmpeg")
    found = system and _check(str(Path(system).resolve()))
    if not found:
        try:
            found = _check(str(Path(imageio_ffmpeg.get_ffmpeg_exe()).resolve()))
        except RuntimeError as error:  # there is no wheel for this machine
            raise MediaUnavailable from error
    if not found:
        raise MediaUnavailable
    return found


def _check(path: str) -> Ffmpeg | None:
    version = re.match(r"ffmpeg version (\S+)", _ask(path, "-version"))
    return Ffmpeg(path, version.group(1)) if version and next(lacking(path), None) is None else None


def lacking(path: str) -> Iterator[str]:
    """What an ffmpeg cannot do that is asked of it here, such as `encoder libopus`; starts programs."""
    for question, names in _NEEDED.items():
        known = set(re.findall(r"[\w,]+", _ask(path, question)))
        yield from (f"{question[1:-1]} {name}" for name in names if name not in known)


@functools.cache
def can_encode(path: str, encoder: str) -> bool:
    """Whether an ffmpeg has an encoder that only few things ask for; starts a program, once."""
    return encoder in re.findall(r"[\w,]+", _ask(path, "-encoders"))


def _ask(path: str, question: str) -> str:
    try:
        answer = subprocess.run(  # noqa: S603 - no shell; the path comes from PATH or from the package
            [path, "-hide_banner", question],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=20,
            check=False,
            env={"LC_ALL": "C.UTF-8", "PATH": os.defpath},
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return answer.stdout.decode("utf-8", "replace")


def input_arguments(sniffed: Sniffed, start: int = 0) -> list[str]:
    """Read the upload on stdin as what it was found to be, and as nothing else; from so many seconds on.

    One protocol, one demuxer and the format's few decoders are open to it: what a playlist or a reference
    inside the file asks for does not exist (threat M4). The bytes before the audio (ID3 tags with their
    compressed frames, garbage) are never parsed by ffmpeg (M6).
    """
    kind = sniffed.format
    return [
        "-nostdin", "-hide_banner", "-nostats", "-loglevel", "info",
        "-max_alloc", str(_MAX_BLOCK),
        "-max_error_rate", "1",  # what decodes, counts: see decode.py
        "-filter_threads", "1", "-filter_complex_threads", "1",
        "-protocol_whitelist", "fd",
        "-format_whitelist", kind.demuxer,
        "-codec_whitelist", ",".join(kind.decoders),
        "-max_streams", "64",
        "-skip_initial_bytes", str(sniffed.audio_offset),
        "-threads", "1",
        "-vn", "-sn", "-dn",
        "-f", kind.demuxer,
        *(("-ss", str(start)) if start else ()),
        "-i", "fd:",
    ]  # fmt: skip


# Nothing of the source's metadata goes into what we make, and nothing of ours or of the moment (threat M19).
CLEAN_OUTPUT = ("-map_metadata", "-1", "-map_chapters", "-1", "-fflags", "+bitexact", "-flags:a", "+bitexact")
