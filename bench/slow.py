"""Five hundred slow sockets, half with heads and half with bodies, and how they are felt by others.

With each byte of a slow one the server has something to do; and after 10 and after 30 seconds it hangs up on
all that came together, who soon come again. So it goes on for longer than either; meanwhile a server that has
them and one that has none are asked in turns. While the other is asked the slow ones stand still: they are of
this machine, and it may be a small one. Rounds in which the machine itself was taken away, where it is a
virtual one, say nothing and do not count.
"""

import asyncio
import signal
import statistics
import subprocess
import sys
import time
from typing import Self

from bench.host import is_ours, taken
from bench.load import load, render
from bench.seed import seeded
from bench.servers import ROOT, Veza
from bench.table import Figure
from bench.tracks import TRACKS

SOCKETS = 500
_CONNECTIONS, _PACE = 4, 800
_SECONDS, _ROUNDS = 0.8, 21


async def slow() -> list[Figure]:
    """The p99 of GET /tracks on a few connections at a fixed pace, with them and without."""
    path = seeded(10_000)
    with Veza(path) as calm, Veza(path) as veza, _Crowd(veza) as crowd:
        await asyncio.sleep(3)  # what is done at a start is over
        await asyncio.to_thread(crowd.tell, SOCKETS)
        turns: list[tuple[bool, list[float], list[float]]] = []
        for turn in range(_ROUNDS):
            found: dict[Veza, list[float]] = {}
            before, began = taken(), time.perf_counter()
            for server in (calm, veza) if turn % 2 else (veza, calm):
                crowd.signal(signal.SIGCONT if server is veza else signal.SIGSTOP)
                found[server] = await _ask(server)
            turns.append((is_ours(before, time.perf_counter() - began), found[calm], found[veza]))
        crowd.signal(signal.SIGCONT)
        ended, there = await asyncio.to_thread(crowd.tell, 0)
    assert there > SOCKETS / 2, there
    kept = [turn for turn in turns if turn[0]] or turns
    alone, beside = ([one * 1000 for turn in kept for one in turn[side]] for side in (1, 2))
    one, them = (statistics.quantiles(times, n=100)[98] for times in (alone, beside))
    return [
        Figure(
            f"p99 of GET /tracks at {_PACE}/s: {SOCKETS} slow sockets / none",
            f"{them / one:.2f} ({them:.2f} ms, worst {max(beside):.0f} ms;"
            f" {ended} were hung up on, {len(kept)} of {_ROUNDS} rounds count)",
            f"{one:.2f} ms, worst {max(alone):.0f} ms",
            "≤ 2",
            them <= 2 * one,
        )
    ]


async def _ask(server: Veza) -> list[float]:
    report = await load(server.host, server.port, [render("GET", TRACKS)], _CONNECTIONS, _SECONDS, pace=_PACE)
    if report.failures or set(report.statuses) != {"200"}:
        raise RuntimeError(str(report))
    return report.times


class _Crowd:
    """Those who are slow (bench/dribble.py)."""

    def __init__(self, veza: Veza) -> None:
        command = [sys.executable, "-m", "bench.dribble", veza.host, str(veza.port), veza.log_in()]
        self._process = subprocess.Popen(
            command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self._process.stdout.readline()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate()

    def signal(self, number: signal.Signals) -> None:
        """Have them stand still, or go on."""
        self._process.send_signal(number)

    def tell(self, wanted: int) -> list[int]:
        """Have so many be there; how many were hung up on since they were told last, and were there now."""
        self._process.stdin.write(f"{wanted}\n")
        self._process.stdin.flush()
        return list(map(int, self._process.stdout.readline().split()))
