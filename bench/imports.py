"""Importing a folder of 10,000 small tagged files beside a running server, until all are listed.

One piece is encoded in each of three formats, with words of a fixed length for tags; each file has its own in
their place, so that no two are alike. Beside it, in the same run: `cp -r` of the folder, and a sync.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from bench.seed import CACHE, seeded, user_id
from bench.servers import ROOT, Veza
from bench.table import Figure
from bench.tracks import TRACKS
from veza.media.ffmpeg import find_ffmpeg

FILES = 10_000
_WORDS = {"title": b"TITLEXXXXX", "artist": b"ARTISTXXXX", "album": b"ALBUMXXXXX", "genre": b"GENREXXXXX"}
_CODECS = {
    "mp3": ("-c:a", "libmp3lame", "-b:a", "128k"),
    "flac": ("-c:a", "flac"),
    "ogg": ("-c:a", "libvorbis"),
}


async def imports() -> list[Figure]:
    """Seconds from the command to its end, when the last track has been listed."""
    folder = _folder()
    plain = _copy(folder)
    with Veza(seeded(10_000)) as veza:
        before = _listed(veza)
        took = _import(folder, veza)
        count = _listed(veza) - before
    assert count == FILES, count
    measured = f"{took:.1f} s ({FILES / took:,.0f} files/s)"
    name = f"import of {FILES:,} files until all are listed"
    return [Figure(name, measured, f"{plain:.1f} s (cp, sync)", "≤ 60 s", took <= 60)]


def _import(folder: Path, veza: Veza) -> float:
    command = [sys.executable, "-c", "from veza.cli import main; main()", "import", str(folder)]
    began = time.perf_counter()
    subprocess.run(
        [*command, "--user", "user0"],
        cwd=ROOT,
        env=os.environ | veza.environment,
        check=True,
        stdout=subprocess.DEVNULL,
    )
    time.sleep(0.1)  # what another process has committed is noticed twenty times a second
    return time.perf_counter() - began


def _listed(veza: Veza) -> int:
    status, data = veza.call("GET", f"{TRACKS}?limit=1&user_id={user_id(0)}")
    assert status == 200, data
    return int(data["pagination"]["total"])


def _copy(folder: Path) -> float:
    target = Path(tempfile.mkdtemp(prefix="copy-", dir=CACHE))
    os.sync()
    began = time.perf_counter()
    subprocess.run(["cp", "-r", str(folder), str(target)], check=True)
    subprocess.run(["sync", "-f", str(target)], check=True)
    took = time.perf_counter() - began
    shutil.rmtree(target)
    return took


def _folder() -> Path:
    """The files, ten to an album; made once."""
    folder = CACHE / f"music-{FILES}"
    if folder.exists():
        return folder
    making = Path(tempfile.mkdtemp(prefix="music-", dir=CACHE))
    bodies = {form: _encode(form, making) for form in _CODECS}
    forms = list(_CODECS)
    for number in range(FILES):
        album, form = number // 10, forms[number % 3]
        words = {
            "title": f"Song {number:05}",
            "artist": f"Band {album % 100:05}",
            "album": f"Disc {album:05}",
            "genre": ("Jazz      ", "Rock      ", "Ambient   ")[album % 3],
        }
        body = bodies[form]
        for name, word in words.items():
            body = body.replace(_WORDS[name], word.encode())
        place = making / f"{album % 100:02}" / f"{album:04}"
        place.mkdir(parents=True, exist_ok=True)
        (place / f"{number:05}.{form}").write_bytes(_signed(body) if form == "ogg" else body)
    making.rename(folder)
    return folder


def _encode(form: str, folder: Path) -> bytes:
    time_ = np.arange(44_100) / 44_100
    tone = np.sin(2 * np.pi * 220 * time_) * np.exp(-time_) * 0.5
    noise = np.random.default_rng(1).standard_normal(len(time_)) * np.exp(-(time_ % 0.5) * 20) * 0.1
    tags = [part for name, word in _WORDS.items() for part in ("-metadata", f"{name}={word.decode()}")]
    target = folder / f"body.{form}"
    sound = ("-f", "f32le", "-ar", "44100", "-ac", "1", "-i", "pipe:0")
    command = [find_ffmpeg().path, "-v", "error", *sound, *_CODECS[form], *tags, str(target)]
    subprocess.run(command, input=(tone + noise).astype(np.float32).tobytes(), check=True)
    body = target.read_bytes()
    target.unlink()
    assert all(word in body for word in _WORDS.values())
    return body


_CRC = np.zeros(256, np.uint32)
for _byte in range(256):
    _value = _byte << 24
    for _ in range(8):
        _value = (_value << 1) ^ (0x04C11DB7 if _value & 0x80000000 else 0)
    _CRC[_byte] = _value & 0xFFFFFFFF
_TABLE = _CRC.tolist()


def _signed(body: bytes) -> bytes:
    """An Ogg file whose second page, the one with the tags, has its checksum anew."""
    second = body.index(b"OggS", 4)
    third = body.index(b"OggS", second + 4)
    page = bytearray(body[second:third])
    page[22:26] = bytes(4)
    crc = 0
    for byte in page:
        crc = (crc << 8 & 0xFFFFFFFF) ^ _TABLE[crc >> 24 ^ byte]
    page[22:26] = crc.to_bytes(4, "little")
    return body[:second] + bytes(page) + body[third:]
