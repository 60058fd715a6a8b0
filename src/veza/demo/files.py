"""The demo's songs as files: played, encoded, tagged, and with a cover of their own."""

import colorsys
import subprocess
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from veza.demo.songs import ARTISTS, Song, perform
from veza.demo.synth import RATE
from veza.media import can_encode, find_ffmpeg

_SIDE = 640  # pixels
_CODECS = {
    "flac": ("-c:a", "flac", "-sample_fmt", "s16"),
    "ogg": ("-c:a", "libvorbis", "-q:a", "6"),
    "mp3": ("-c:a", "libmp3lame", "-q:a", "2", "-id3v2_version", "3"),
}
# ffmpeg puts no picture into this one.
_BARE = {"ogg"}
_SECONDS = 120


class SongFailed(Exception):
    """The file of a song could not be made."""


def write_song(song: Song, folder: Path) -> Path:
    """Write the song's file into ``folder``; the same song gives the same bytes with the same encoder.

    Blocks for about a second. Raises :class:`veza.media.MediaUnavailable`, :class:`SongFailed`.
    """
    try:
        return _write(song, folder, find_ffmpeg().path)
    except subprocess.TimeoutExpired:
        raise SongFailed(f"ffmpeg did not encode {song.title} within {_SECONDS} seconds.") from None
    except subprocess.CalledProcessError as problem:
        said = problem.stderr.decode("utf-8", "replace").strip().rpartition("\n")[2]
        why = said or f"it ended with {problem.returncode}"
        raise SongFailed(f"ffmpeg could not encode {song.title}: {why}") from None
    except OSError as problem:
        raise SongFailed(f"{song.title} could not be written to {folder}: {problem.strerror}.") from None


def _write(song: Song, folder: Path, ffmpeg: str) -> Path:
    form = _form_of(song, ffmpeg)
    target, picture = folder / f"{song.title}.{form}", folder / f"{song.title}.png"
    draw_cover(song).save(picture)
    tags = {"title": song.title, "artist": ARTISTS[song.artist], "album": song.album, "genre": song.genre}
    words = [part for name, text in tags.items() for part in ("-metadata", f"{name}={text}")]
    image = () if form in _BARE else ("-i", str(picture), "-map", "0", "-map", "1", "-c:v", "copy",
                                           "-disposition:v", "attached_pic")  # fmt: skip
    subprocess.run(  # noqa: S603 - no shell; the path was found by us, and the sound is ours
        [
            ffmpeg, "-v", "error", "-y",
            "-f", "f32le", "-ar", str(RATE), "-ac", "2", "-i", "pipe:0",
            *image, *words, "-fflags", "+bitexact", "-flags:a", "+bitexact", *_CODECS[form], str(target),
        ],
        input=perform(song).tobytes(),
        check=True,
        stderr=subprocess.PIPE,
        timeout=_SECONDS,
    )  # fmt: skip
    picture.unlink()
    return target


def _form_of(song: Song, ffmpeg: str) -> str:
    # What Veza itself asks of an ffmpeg leaves this one encoder out, and FLAC in.
    return "flac" if song.form == "ogg" and not can_encode(ffmpeg, "libvorbis") else song.form


def draw_cover(song: Song) -> Image.Image:
    """Circles and a horizon, in colours that go together."""
    dice, hue = np.random.default_rng(song.seed), song.seed % 360 / 360
    image = Image.new("RGB", (_SIDE, _SIDE), _colour(hue, 0.18))
    draw = ImageDraw.Draw(image)
    for number in range(14):
        x, y, size = dice.integers(0, _SIDE, 2).tolist() + dice.integers(30, 240, 1).tolist()
        colour = _colour(hue + float(dice.normal(0, 0.06)), 0.3 + 0.04 * number)
        draw.ellipse((x - size, y - size, x + size, y + size), fill=colour if number % 3 else None,
                     outline=colour, width=6)  # fmt: skip
    draw.rectangle((0, round(_SIDE * 0.78), _SIDE, _SIDE), fill=_colour(hue + 0.5, 0.25))
    return image


def _colour(hue: float, light: float) -> tuple[int, int, int]:
    red, green, blue = colorsys.hls_to_rgb(hue % 1, light, 0.55)
    return round(red * 255), round(green * 255), round(blue * 255)
