"""Plays that are durable when they are acknowledged, and statistics of ten million of them."""

import json
import os
import random
import shutil
import time
from pathlib import Path
from typing import Any

import apsw

from bench.host import is_ours, taken
from bench.load import load, render
from bench.seed import CACHE, seeded, track_id
from bench.servers import Veza, bare
from bench.table import Figure, Target, median, ratio, rounds
from bench.tracks import TRACKS

CONNECTIONS = 64
_LISTENERS = 100
_TRACKS = 100_000
_TEN_MILLION = 10_000_000
_SECONDS, _PART = 2.5, 20_000
# Rounds in which the host left us the machine are wanted, and how many there may be until there are.
_ENOUGH, _ROUNDS = 3, 8


async def plays() -> list[Figure]:
    """Acknowledged plays a second over 64 connections, beside the same server reading and forgetting them."""
    with bare("discard") as plain, Veza(seeded(_TRACKS)) as veza:
        requests = _requests(veza, _ROUNDS * _PART)
        got: dict[str, list[Any]] = {"plain": [], "plays": []}
        told = 0
        for turn in range(_ROUNDS):
            # Each round with plays of its own: a repeat within half a minute would cost less.
            part = requests[turn * _PART : (turn + 1) * _PART]
            targets = {
                "plain": Target(plain, part, CONNECTIONS),
                "plays": Target(veza, part, CONNECTIONS),
            }
            before = taken()
            found = await rounds(targets, seconds=_SECONDS, times=1)
            told += found["plays"][0].requests
            # What the host did meanwhile is not Veza's; but if it never leaves us alone, all rounds count.
            if is_ours(before, 2 * _SECONDS) or turn + _ENOUGH - len(got["plays"]) >= _ROUNDS:
                for name, reports in found.items():
                    got[name] += reports
            if len(got["plays"]) == _ENOUGH:
                break
        kept = _count(veza)
        syncs = _syncs(veza.folder)
    rate = median(got["plays"], lambda report: report.rate)
    share = ratio(got["plays"], got["plain"], lambda report: report.rate)
    slow = median(got["plays"], lambda report: report.p95)
    return [
        Figure(
            "POST /tracks/{id}/play: durable and acknowledged a second, 64 connections",
            f"{rate:,.0f}/s ({share:.0%} of the bare server's), p95 {slow:.1f} ms",
            f"{median(got['plain'], lambda report: report.rate):,.0f}/s; {syncs:,.0f} syncs/s",
            "≥ 4,000/s", rate >= 4_000,
        ),
        Figure(
            "plays acknowledged, and plays kept", f"{told:,} and {kept:,}", "", "none lost", kept >= told
        ),
    ]  # fmt: skip


def _requests(veza: Veza, count: int) -> list[bytes]:
    """Plays of tracks as uneven as listening is, by several listeners; no pair of both twice."""
    dice = random.Random(3)
    tokens = [veza.log_in(number) for number in range(_LISTENERS)]
    seen, requests = set(), []
    while len(requests) < count:
        # The track of rank r is heard 1/r as often as the first one, until all have heard it.
        pair = (dice.randrange(_LISTENERS), int(_TRACKS ** dice.random()) - 1)
        if pair in seen:
            continue
        seen.add(pair)
        body = json.dumps({"duration": dice.randrange(90), "device": "Chrome Browser"}).encode()
        headers = {"Authorization": f"Bearer {tokens[pair[0]]}", "Content-Type": "application/json"}
        requests.append(render("POST", f"{TRACKS}/{track_id(pair[1])}/play", headers, body))
    return requests


def _count(veza: Veza) -> int:
    """How many plays there are, asked of the file itself."""
    with apsw.Connection(str(veza.folder / "veza.db"), apsw.SQLITE_OPEN_READONLY) as connection:
        return int(connection.execute("SELECT COUNT(*) FROM plays").fetchall()[0][0])


def _syncs(folder: Path) -> float:
    """How often in a second this disk can make four kilobytes durable."""
    with (folder / "sync").open("wb", buffering=0) as file:
        began, times = time.perf_counter(), 0
        while time.perf_counter() < began + 0.5:
            file.write(b"x" * 4096)
            os.fdatasync(file.fileno())
            times += 1
    return times / (time.perf_counter() - began)


async def statistics() -> list[Figure]:
    """The p95 of statistics at ten million plays, of popular tracks and others."""
    path = played()
    dice = random.Random(4)
    some = [int(dice.paretovariate(0.5)) % _TRACKS for _ in range(2_000)]
    with Veza(path, copy=False) as veza:
        ask = [render("GET", f"{TRACKS}/{track_id(number)}/stats") for number in some]
        report = await load(veza.host, veza.port, ask, 4, 3, pid=veza.pid)
    held = report.p95 <= 10 and set(report.statuses) == {"200"}
    measured = f"{report.p95:.2f} ms at {report.rate:,.0f}/s"
    return [
        Figure("GET /tracks/{id}/stats: p95 at 10,000,000 plays, 4 clients", measured, "", "≤ 10 ms", held)
    ]


def played() -> Path:
    """The path of a database with ten million plays, made if there is none yet for the present schema."""
    tracks = seeded(_TRACKS)
    path = CACHE / tracks.name.replace("tracks", "plays")
    if not path.exists():
        for old in CACHE.glob("plays-*"):
            old.unlink(missing_ok=True)
        part = path.with_suffix(".part")
        shutil.copy(tracks, part)
        began = time.perf_counter()
        _play(part)
        part.rename(path)
        print(f"made {path.name} in {time.perf_counter() - began:.0f} s", flush=True)
    return path


# Each track has ten listeners, and each of them ten plays, on a day of its own each.
_LISTENERS_ROWS = """
WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < :pairs - 1),
ranked AS (SELECT id, ROW_NUMBER() OVER (ORDER BY id) - 1 AS rank FROM tracks),
people AS (SELECT id, ROW_NUMBER() OVER (ORDER BY id) - 1 AS number FROM users)
INSERT INTO listeners (track_id, user_id, plays, last_play, last_at, last_ms)
SELECT ranked.id, people.id, 10, randomblob(16), 1750000000000000, 120000
FROM n JOIN ranked ON ranked.rank = i / 10 JOIN people ON people.number = i % 10 * 7
"""
_PLAYS_ROWS = """
INSERT INTO plays (listener_id, id, at, heard_ms, part, device)
WITH RECURSIVE k(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM k WHERE i < 9)
SELECT l.id, CAST(printf('%016d', i) AS BLOB), 1750000000000000 - i * 86400000000, 120000, 557103,
       'Chrome Browser'
FROM listeners l CROSS JOIN k ORDER BY l.id, i
"""
_SUMS = """
INSERT INTO play_days (track_id, day, plays, heard_ms, parts)
SELECT l.track_id, p.at / 86400000000, COUNT(*), SUM(p.heard_ms), SUM(p.part)
FROM listeners l JOIN plays p ON p.listener_id = l.id GROUP BY 1, 2;
INSERT INTO track_stats (track_id, plays, listeners, heard_ms, parts, charted, shown)
SELECT d.track_id, SUM(d.plays), (SELECT COUNT(*) FROM listeners l WHERE l.track_id = d.track_id),
       SUM(d.heard_ms), SUM(d.parts), SUM(d.plays), SUM(d.plays) FROM play_days d GROUP BY 1
"""


def _play(path: Path) -> None:
    """Ten million plays of all the tracks, and what is kept of them."""
    connection = apsw.Connection(str(path))
    for pragma in ("journal_mode=OFF", "synchronous=OFF", "cache_size=-800000", "temp_store=MEMORY"):
        connection.execute(f"PRAGMA {pragma}").fetchall()
    connection.execute("BEGIN")
    connection.execute(_LISTENERS_ROWS, {"pairs": _TEN_MILLION // 10}).fetchall()
    connection.execute(_PLAYS_ROWS).fetchall()
    connection.execute(_SUMS).fetchall()
    connection.execute("COMMIT")
    connection.execute("PRAGMA journal_mode=WAL").fetchall()
    connection.close()
