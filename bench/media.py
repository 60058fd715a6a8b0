"""Processing a song: how many times real time one core does, all renditions and measurements included."""

import asyncio
import resource
import subprocess
import tempfile
import time
from pathlib import Path

from bench.table import Figure
from veza.media import find_ffmpeg, process

_SONG = 180  # seconds
# Chords that swell and a beat of noise: as much work for the encoders as music is.
_MUSIC = (
    "aevalsrc=0.2*sin(2*PI*220*t)*(1+sin(t))+0.15*sin(2*PI*277*t)+0.1*random(0)*exp(-30*mod(t\\,0.25))"
    f"|0.2*sin(2*PI*220*t)+0.15*sin(2*PI*330*t)*(1+cos(t))+0.1*random(1)*exp(-30*mod(t\\,0.25)):s=44100:d={_SONG}"
)
_KINDS = {"FLAC": ("song.flac", "-sample_fmt", "s16"), "MP3": ("song.mp3", "-b:a", "320k")}


async def media() -> list[Figure]:
    """CPU time of all that `process` starts, beside the length of the song."""
    figures = []
    with tempfile.TemporaryDirectory() as folder:
        for kind, (file, *options) in _KINDS.items():
            song, work = Path(folder) / file, Path(folder) / kind
            work.mkdir()
            made = [find_ffmpeg().path, "-v", "error", "-f", "lavfi", "-i", _MUSIC, *options, str(song)]
            await asyncio.to_thread(subprocess.run, made, check=True)
            before, began = _cpu(), time.perf_counter()
            done = await process(song, work)
            used, took = _cpu() - before, time.perf_counter() - began
            speed, clock = done.duration / used, done.duration / took
            measured = f"{speed:.0f} ({len(done.renditions)} renditions; {clock:.0f} by the clock)"
            name = f"processing of {kind} / real time, one core"
            figures.append(Figure(name, measured, "", "≥ 20", speed >= 20))
    return figures


def _cpu() -> float:
    """CPU seconds of this process and of its children that have ended."""
    kinds = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    return sum(use.ru_utime + use.ru_stime for use in map(resource.getrusage, kinds))
