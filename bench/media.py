"""Processing a song, and a buyer's copies of one: how many times real time one core does, all included.

All of it is held to one core: with two, the encoders' threads wake each other across them, which costs a
fifth of the work and is not of it.
"""

import asyncio
import os
import resource
import statistics
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from bench.table import Figure
from veza.media import COPY_FORMATS, FRAGMENT_SECONDS, Growing, Labels, Sound, find_ffmpeg, make_copy, process

_SECONDS = 240
_LEAPS, _LONG = 5, 600
# Chords that swell and a beat of noise: as much work for the encoders as music is.
MUSIC = (
    "aevalsrc=0.2*sin(2*PI*220*t)*(1+sin(t))+0.15*sin(2*PI*277*t)+0.1*random(0)*exp(-30*mod(t\\,0.25))"
    "|0.2*sin(2*PI*220*t)+0.15*sin(2*PI*330*t)*(1+cos(t))+0.1*random(1)*exp(-30*mod(t\\,0.25)):s=44100:d="
)
_KINDS = {"FLAC": ("song.flac", "-sample_fmt", "s16"), "MP3": ("song.mp3", "-b:a", "320k")}


async def media() -> list[Figure]:
    """The time that `process` takes, by the clock, beside the length of the song."""
    figures = []
    with tempfile.TemporaryDirectory() as folder:
        for kind, (file, *options) in _KINDS.items():
            song, work = Path(folder) / file, Path(folder) / kind
            work.mkdir()
            await _play(song, _SECONDS, *options)
            with _one_core():
                before, began = _cpu(), time.perf_counter()
                done = await process(song, work)
                used, took = _cpu() - before, time.perf_counter() - began
            speed, work_of = done.duration / took, done.duration / used
            measured = f"{speed:.0f} ({len(done.renditions)} renditions; {work_of:.0f} by CPU time)"
            name = f"processing of {kind} / real time, one core"
            figures.append(Figure(name, measured, "", "≥ 20", speed >= 20))
    return figures


async def leaps() -> list[Figure]:
    """How long one waits for a piece that is far ahead, while a song of ten minutes is being encoded."""
    waits = list[float]()

    async def leap(growing: Sequence[Growing]) -> None:
        one = growing[len(waits) % len(growing)]
        pieces = len(one.fragments.sizes)
        if one.ahead is not None and pieces and len(waits) < _LEAPS:
            began = time.perf_counter()
            await one.ahead(pieces + (_LONG // FRAGMENT_SECONDS - pieces) // 2)
            waits.append(time.perf_counter() - began)

    with tempfile.TemporaryDirectory() as folder:
        song, work = Path(folder) / "song.mp3", Path(folder) / "work"
        work.mkdir()
        await _play(song, _LONG, "-b:a", "128k")
        await process(song, work, on_grown=leap)
    measured = f"{statistics.median(waits):.2f} s (at most {max(waits):.2f}, of {len(waits)})"
    return [Figure("a minute from the middle, while it is encoded", measured, "", "≤ 3 s", max(waits) <= 3)]


async def copies() -> list[Figure]:
    """The same of each format that a buyer may ask for, from a FLAC of four minutes with a cover."""
    figures = []
    labels = Labels(title="Song", artist="Band", album="Album", comment="standard licence")
    with tempfile.TemporaryDirectory() as folder:
        song, cover = Path(folder) / "song.flac", Path(folder) / "cover"
        await _play(song, _SECONDS, "-sample_fmt", "s16")
        drawn = ("-f", "lavfi", "-i", "testsrc2=s=1000x1000", "-frames:v", "1", "-f", "mjpeg", str(cover))
        await asyncio.to_thread(subprocess.run, [find_ffmpeg().path, "-v", "error", *drawn], check=True)
        for name, kind in COPY_FORMATS.items():
            work = Path(folder) / name
            work.mkdir()
            sound = Sound(_SECONDS, 44_100, 2)
            with _one_core():
                began = time.perf_counter()
                made = await make_copy(song, work, kind, labels, sound=sound, cover=cover)
                took = time.perf_counter() - began
            measured = f"{_SECONDS / took:.0f} ({took:.1f} s; {made.stat().st_size / 1e6:.1f} MB)"
            figures.append(Figure(f"a copy as {name} / real time, one core", measured, "", "", None))
    return figures


async def _play(song: Path, seconds: int, *options: str) -> None:
    made = [find_ffmpeg().path, "-v", "error", "-f", "lavfi", "-i", f"{MUSIC}{seconds}", *options, str(song)]
    await asyncio.to_thread(subprocess.run, made, check=True)


@contextmanager
def _one_core() -> Iterator[None]:
    """This process, its threads to come and its children, on the last core that it may use."""
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {max(allowed)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, allowed)


def _cpu() -> float:
    """CPU seconds of this process and of its children that have ended."""
    kinds = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    return sum(use.ru_utime + use.ru_stime for use in map(resource.getrusage, kinds))
