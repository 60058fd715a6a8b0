"""A long ordinary day: `python -m bench.soak [--minutes N]`, half an hour unless told otherwise.

The most that the server answers of a mixture, with songs uploaded meanwhile, is measured first, and for a
minute: in its first seconds nothing is kept, written back or worked off yet. Then it is asked for 70 % of
that at a fixed pace, and songs are uploaded as before. After a warm-up, which does not count, the time is
cut into fifths: nothing may fail, the server may not grow, and the last fifth may not be slower than the
first. How slow a fifth is its median ten seconds say: what the host did to a few of them is not the server's;
and how large the server then is, the median of looks every ten seconds of its second half: what an
upload takes that is just under way is no growth.

This is the bench of X19; its twelve hours are `--minutes 720`.
"""

import argparse
import asyncio
import http.client
import json
import random
import re
import statistics
import subprocess
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import uvloop

from bench.host import awake
from bench.load import Report, load, render
from bench.media import MUSIC
from bench.search import SEARCH, questions
from bench.seed import seeded, track_id
from bench.servers import Veza
from bench.table import Figure, show
from bench.tracks import TRACKS
from veza.media import find_ffmpeg

SIZE = 100_000
MINUTES = 30.0
PARTS = 5
LOAD = 0.7
CONNECTIONS = 16
GROWTH, SLOWER = 2.0, 1.5
# Some are those of a song that is just encoded.
MORE_FILES = 8
# Of a hundred requests; every like is taken back.
SHARES = {"list": 30, "detail": 35, "play": 14, "like": 2, "unlike": 2, "search": 10, "range": 7}
_LISTENERS = 40
# More in a second than it answers.
_MOST = 4_000
_SONGS, _SONG_SECONDS, _BETWEEN_UPLOADS = 4, 30, 15.0
_PEAK_SECONDS, _PIECE_SECONDS = 60.0, 10.0
# The warm-up is a sixth as long as what counts, and so long at least.
_LEAST_WARM_SECONDS = 60.0
_RANGE = 64 * 1024
_BOUNDARY = "a-line-that-is-not-in-the-file"


async def soak(path: Path, minutes: float) -> list[Figure]:
    """What failed, by how much the server grew, and its p99 by fifths of the time."""
    song = await asyncio.to_thread(_make_song)
    with Veza(path) as veza:
        day = _Day(veza, song, questions(path))
        await day.begin()
        peak = await day.ask(_PEAK_SECONDS)
        pace = LOAD * peak.rate
        await day.ask(max(minutes * 60 / 6, _LEAST_WARM_SECONDS), pace)
        warm, files, reports, grown = day.size(), [veza.open_files()], [], []
        for _ in range(PARTS):
            reports.append(await day.ask(minutes * 60 / PARTS, pace))
            grown.append(day.size() - warm)
            files.append(veza.open_files())
        slow = [statistics.median(one.p99s(round(one.seconds / _PIECE_SECONDS) or 1)) for one in reports]
        setting = f"{minutes:g} min at {pace:,.0f}/s of {peak.rate:,.0f}/s"
        return [
            _failed(setting, reports, day),
            Figure(
                f"soak, {setting}: growth of memory after the warm-up, by fifths",
                " ".join(f"{one:.1f}" for one in grown) + " MB", f"{warm:.0f} MB", f"≤ {GROWTH:g} MB",
                grown[-1] <= GROWTH,
            ),
            Figure(
                f"soak, {setting}: open files after the warm-up, and by fifths", " ".join(map(str, files)),
                "", f"≤ {MORE_FILES} more", files[-1] - files[0] <= MORE_FILES,
            ),
            Figure(
                f"soak, {setting}: p99 of the median ten seconds, by fifths",
                " ".join(f"{one:.1f}" for one in slow) + f" ms (p50 {reports[-1].p50:.2f} ms)",
                f"{day.late():.1f} s is the oldest work late", f"last ≤ {SLOWER:g} x first",
                slow[-1] <= SLOWER * slow[0],
            ),
        ]  # fmt: skip


def _failed(setting: str, reports: list[Report], day: "_Day") -> Figure:
    statuses, failures = Counter[str](day.uploads), Counter[str]()
    for report in reports:
        statuses += report.statuses
        failures += report.failures
    bad = {status: count for status, count in statuses.items() if status[0] != "2"} | dict(failures)
    total = sum(statuses.values())
    return Figure(
        f"soak, {setting}: failures",
        f"{bad or 'none'} of {total:,} requests, {day.uploads.total()} uploads among them",
        "", "no 5xx, no other", not bad,
    )  # fmt: skip


class _Day:
    """What is asked, and by whom; a token outlives no fifth, so each begins with new ones."""

    def __init__(self, veza: Veza, song: bytes, words: dict[str, list[str]]) -> None:
        self.veza = veza
        self.song = song
        self.words = [query for kind in ("two words", "three letters", "a typo") for query in words[kind]]
        self.dice = random.Random(5)
        self.songs: list[str] = []
        self.uploads: Counter[str] = Counter()
        self.sizes: list[float] = []

    async def begin(self) -> None:
        """Some songs to listen to, once they are ready."""
        token = self.veza.log_in()
        self.songs = [await asyncio.to_thread(self._upload, token) for _ in range(_SONGS)]
        for song in self.songs:
            await asyncio.to_thread(self._wait_for, song, token)
        self.uploads.clear()

    def _wait_for(self, song: str, token: str) -> None:
        while self.veza.call("GET", f"{TRACKS}/{song}/status", token=token)[1]["status"] != "ready":
            time.sleep(0.2)

    async def ask(self, seconds: float, pace: float = 0) -> Report:
        """The mixture for so long, and an upload now and then; as much as there can be, unless at a pace."""
        veza = self.veza
        tokens = await asyncio.to_thread(lambda: [veza.log_in(number) for number in range(_LISTENERS)])
        # Nearly none twice: what is kept of answers and pages is then full before it counts.
        requests = await asyncio.to_thread(self._mixture, tokens, round((pace or _MOST) * seconds))
        uploading = asyncio.create_task(self._go_on_uploading(tokens[0]))
        looking = asyncio.create_task(self._look_at_sizes())
        report = await load(veza.host, veza.port, requests, CONNECTIONS, seconds, pid=veza.pid, pace=pace)
        looking.cancel()
        kinds = ", ".join(f"{kind} {veza.memory(kind):.1f}" for kind in ("RssAnon", "RssFile", "RssShmem"))
        print(f"{report}; {self.size():.1f} MB (at the end: {kinds})", flush=True)
        uploading.cancel()
        await asyncio.wait([uploading])
        if not uploading.cancelled():
            uploading.result()
        await asyncio.sleep(1)  # till the server has closed what this was asked on
        return report

    async def _look_at_sizes(self) -> None:
        self.sizes = [self.veza.memory()]
        while True:
            await asyncio.sleep(_PIECE_SECONDS)
            self.sizes.append(self.veza.memory())

    def size(self) -> float:
        """How large the server was in the second half of what was last asked, in MB."""
        return statistics.median(self.sizes[len(self.sizes) // 2 :])

    def late(self) -> float:
        """How long the oldest thing that is to be done has been due, in seconds."""
        connection = http.client.HTTPConnection(self.veza.host, self.veza.port)
        connection.request("GET", "/metrics")
        text = connection.getresponse().read().decode()
        connection.close()
        found = re.findall(r"^veza_(?:jobs|events)_late_seconds\S* (\S+)$", text, re.MULTILINE)
        return max(map(float, found), default=0.0)

    def _mixture(self, tokens: list[str], count: int) -> list[bytes]:
        kinds = self.dice.choices(list(SHARES), list(SHARES.values()), k=count)
        return [self._render(kind, self.dice.choice(tokens)) for kind in kinds]

    def _render(self, kind: str, token: str) -> bytes:
        dice, headers = self.dice, {"Authorization": f"Bearer {token}"}
        # As uneven as listening is: the track of rank r is asked for 1/r as often as the first one.
        track = f"{TRACKS}/{track_id(int(SIZE ** dice.random()) - 1)}"
        if kind == "list":
            return render("GET", f"{TRACKS}?page={int(50 ** dice.random())}", headers)
        if kind == "detail":
            return render("GET", track, headers)
        if kind == "play":
            body = json.dumps({"duration": dice.randrange(90)}).encode()
            return render("POST", f"{track}/play", headers | {"Content-Type": "application/json"}, body)
        if kind in {"like", "unlike"}:
            return render("POST" if kind == "like" else "DELETE", f"{track}/like", headers)
        if kind == "search":
            return render("GET", f"{SEARCH}?{dice.choice(self.words)}", headers)
        start = dice.randrange(4) * _RANGE
        ranged = headers | {"Range": f"bytes={start}-{start + _RANGE - 1}"}
        return render("GET", f"{TRACKS}/{dice.choice(self.songs)}/stream", ranged)

    async def _go_on_uploading(self, token: str) -> None:
        while True:
            await asyncio.sleep(_BETWEEN_UPLOADS)
            await asyncio.to_thread(self._upload, token)

    def _upload(self, token: str) -> str:
        """The id of a new track."""
        head = f"--{_BOUNDARY}\r\nContent-Disposition: form-data; name="
        title = f'{head}"title"\r\n\r\nSong of {time.time_ns()}\r\n'
        file = f'{head}"file"; filename="song.mp3"\r\nContent-Type: audio/mpeg\r\n\r\n'
        body = title.encode() + file.encode() + self.song + f"\r\n--{_BOUNDARY}--\r\n".encode()
        connection = http.client.HTTPConnection(self.veza.host, self.veza.port, timeout=60)
        kind = f"multipart/form-data; boundary={_BOUNDARY}"
        connection.request("POST", TRACKS, body, {"Content-Type": kind, "Authorization": f"Bearer {token}"})
        answer = connection.getresponse()
        text: Any = json.loads(answer.read())
        connection.close()
        self.uploads[str(answer.status)] += 1
        return str(text["data"]["track"]["id"]) if answer.status == 201 else ""


def _make_song() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        song = Path(folder) / "song.mp3"
        made = [find_ffmpeg().path, "-v", "error", "-f", "lavfi", "-i", f"{MUSIC}{_SONG_SECONDS}"]
        subprocess.run([*made, "-b:a", "192k", str(song)], check=True)
        return song.read_bytes()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m bench.soak", description=__doc__.partition("\n")[0])
    parser.add_argument("--minutes", type=float, default=MINUTES)
    minutes, path = parser.parse_args().minutes, seeded(SIZE)
    with awake():
        figures = uvloop.run(soak(path, minutes))
    show(figures)
    raise SystemExit(any(figure.held is False for figure in figures))
