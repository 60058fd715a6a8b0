"""What it costs to be signed in, and what signing in costs everybody else."""

import asyncio
import statistics
import subprocess
import sys
import time
from typing import Self

from bench.host import is_ours, taken
from bench.load import load, render
from bench.seed import seeded, track_id, user_id
from bench.servers import ROOT, Veza
from bench.table import Figure, Target, ratio, rounds
from bench.tracks import TRACKS

# Rounds of a second and half of one; some hundred visits each, so that a p99 is of more than fifty times: of
# half as many it differs by a third from run to run.
_ENOUGH, _ROUNDS, _CROWDS = 21, 45, 9


async def signed_in() -> list[Figure]:
    """CPU time and rate of requests with a token beside the same without; and of the ordinary routes."""
    with Veza(seeded(100_000)) as veza:
        token = {"Authorization": f"Bearer {veza.log_in()}"}
        targets = {}
        for name, path in {
            "GET /tracks": TRACKS,
            "GET /tracks/{id}": f"{TRACKS}/{track_id(1)}",
            "GET /users/{id}": f"/api/v1/users/{user_id(1)}",
        }.items():
            targets[name] = Target(veza, [render("GET", path)])
            targets[f"{name}, signed in"] = Target(veza, [render("GET", path, token)])
        got = await rounds(targets, seconds=0.8, times=3)
    figures = []
    for name in list(targets)[::2]:
        work = ratio(got[f"{name}, signed in"], got[name], lambda report: report.cpu_us or 1)
        rate = ratio(got[name], got[f"{name}, signed in"], lambda report: report.rate)
        measured = f"{work:.2f} by CPU time, {rate:.2f} by rate"
        held = work <= 1.25
        figures.append(Figure(f"signed-in / anonymous {name}", measured, "1", "≤ 1.25", held))
    return figures


async def logins() -> list[Figure]:
    """The p99 of GET /tracks while 20 log in at once, beside the one without: of a lone visitor, and of many.

    The visitor asks with pauses: so that p99 is of waiting for the server and not for the load itself.
    """
    turns: list[tuple[list[float], list[float]]] = []
    with Veza(seeded(100_000)) as veza, _People(veza) as people:
        await asyncio.sleep(5)  # what is done at a start is over
        await people.log_in()
        for turn in range(_ROUNDS):
            before, began = taken(), time.perf_counter()
            found = await _visit(veza, asyncio.sleep(1)), await _visit(veza, people.log_in())
            # As with plays: only rounds in which the machine was ours, unless there are too few of them.
            if is_ours(before, time.perf_counter() - began) or turn + _ENOUGH - len(turns) >= _ROUNDS:
                turns.append(found)
            if len(turns) == _ENOUGH:
                break
        crowd = [await _crowd(veza, people) for _ in range(_CROWDS)]
    idle, busy = ([time for turn in turns for time in turn[side]] for side in (0, 1))
    one, other = (statistics.quantiles(times, n=100)[98] for times in (idle, busy))
    measured = f"{other / one:.2f} ({other * 1000:.2f} ms of {len(busy)})"
    return [
        Figure(
            "p99 of GET /tracks: 20 logins / idle, lone visitor",
            measured, f"{one * 1000:.2f} ms", "≤ 2", other <= 2 * one,
        ),
        _crowded(crowd),
    ]  # fmt: skip


class _People:
    """Those who log in at once (bench/logins.py)."""

    def __init__(self, veza: Veza) -> None:
        command = [sys.executable, "-m", "bench.logins", veza.host, str(veza.port)]
        self._process = subprocess.Popen(
            command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self._hear()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate()

    async def log_in(self) -> None:
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        await asyncio.to_thread(self._hear)

    def _hear(self) -> None:
        assert self._process.stdout.readline(), "nobody could log in"


async def _crowd(veza: Veza, people: _People) -> tuple[float, float, float]:
    """The p99 of 16 connections that ask without a pause for a second: alone, and while 20 log in, and again.

    And how many seconds the 20 took, at most.
    """
    alone = await load(veza.host, veza.port, [render("GET", TRACKS)], 16, 1.0)
    asking = asyncio.ensure_future(load(veza.host, veza.port, [render("GET", TRACKS)], 16, 1.0))
    slowest = 0.0
    while not asking.done():
        began = time.perf_counter()
        await people.log_in()
        slowest = max(slowest, time.perf_counter() - began)
    return alone.p99, (await asking).p99, slowest


def _crowded(crowd: list[tuple[float, float, float]]) -> Figure:
    share = statistics.median(busy / alone for alone, busy, _ in crowd)
    alone, _, slowest = (statistics.median(times) for times in zip(*crowd, strict=True))
    name = "p99 of GET /tracks: 20 logins / idle, 16 connections"
    return Figure(name, f"{share:.2f} (the 20 took {slowest:.2f} s)", f"{alone:.2f} ms", "≤ 2", share <= 2)


async def _visit(veza: Veza, until) -> list[float]:
    reader, writer = await asyncio.open_connection(veza.host, veza.port)
    request, times = render("GET", TRACKS), []
    work = asyncio.ensure_future(until)
    while not work.done():
        began = time.perf_counter()
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200"), head
        await reader.readexactly(int(head.lower().partition(b"content-length: ")[2].split(b"\r")[0]))
        times.append(time.perf_counter() - began)
        await asyncio.sleep(0.002)
    await work
    writer.close()
    return times
