"""Two API processes on one PostgreSQL and one Valkey beside one, where a machine does all the rest as well.

On two cores the load and PostgreSQL leave no second core for a second process. So each process is held to a
quarter of a core, which makes it the bottleneck and leaves the rest to the others; where the system does not
let us, the rates say what two cores give. In either case it is said what a request costs each of them, and
how many requests a second of the processes' own CPU time answers with two beside one: what a second process
adds to the work of the first. From these a reader with more cores knows what they would give.
"""

import asyncio
import json
import os
import random
import statistics
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import uvloop

from bench.load import Report, cpu_seconds, load, render
from bench.postgres import postgres
from bench.quota import quota
from bench.seed import seeded, track_id
from bench.servers import Veza
from bench.table import Figure, show
from bench.tracks import TRACKS
from tests.cluster.nodes import valkey_at

SIZE = 10_000
# Of each process: more of them would say how it fares when too much is asked of it.
CONNECTIONS = 16
SECONDS = 2.0
ROUNDS = 7
SHARE = 0.25
TARGET = 1.6
_LISTENERS = 50


async def cluster() -> list[Figure]:
    """List, detail and play: the rate of two processes over that of one."""
    with tempfile.TemporaryDirectory() as folder, valkey_at(Path(folder), Path(folder) / "s"):
        async with postgres(seeded(SIZE), max_connections="60") as (url, _):
            with ExitStack() as stack:
                # The same secret for both, or one would not know the tokens of the other.
                common = {
                    "secret_key": "0123456789abcdef" * 4,
                    "serve_jobs": "false",
                    "redis_url": f"unix://{folder}/s",
                }
                nodes = [stack.enter_context(Veza(url, copy=False, **common)) for _ in range(2)]
                asked = _asked(nodes[0])
                held = [stack.enter_context(quota(node.pid, SHARE)) for node in nodes]
                setting = f"{SHARE:.0%} of a core each" if all(held) else "cores shared with all else"
                rig = _Rig(nodes, _postmaster(url), setting)
                return [
                    figure for name, requests in asked.items() for figure in await rig.beside(name, requests)
                ]


def _asked(node: Veza) -> dict[str, list[bytes]]:
    dice = random.Random(4)
    ids = [track_id(number) for number in range(SIZE)]
    tokens = [node.log_in(number) for number in range(_LISTENERS)]
    plays = []
    pairs = [(token, one) for token in tokens for one in dice.sample(ids, 1_000)]
    dice.shuffle(pairs)
    for token, one in pairs:
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        plays.append(render("POST", f"{TRACKS}/{one}/play", headers, json.dumps({"duration": 30}).encode()))
    return {
        "list": [render("GET", f"{TRACKS}?page={page}") for page in range(1, 50)],
        "detail": [render("GET", f"{TRACKS}/{one}") for one in dice.sample(ids, 2_000)],
        "play": plays,
    }


def _postmaster(url: str) -> int:
    """The process that all of PostgreSQL descends from."""
    return int((Path(url.partition("host=")[2]) / "data/postmaster.pid").read_text().split()[0])


class _Turn:
    """What a turn measured: answers a second, and a request's CPU µs, of who answers, keeps and asks."""

    def __init__(self, reports: list[Report], api: float, database: float, generator: float) -> None:
        count = sum(report.requests for report in reports)
        self.rate = sum(report.rate for report in reports)
        self.p95 = max(report.p95 for report in reports)
        self.api, self.database, self.generator = (used / count * 1e6 for used in (api, database, generator))


class _Rig:
    """The processes, and the clock of each."""

    def __init__(self, nodes: list[Veza], postmaster: int, setting: str) -> None:
        self.nodes = nodes
        self.postmaster = postmaster
        self.setting = setting

    async def beside(self, name: str, requests: list[bytes]) -> list[Figure]:
        """One and two, taking turns."""
        turns: dict[int, list[_Turn]] = {1: [], 2: []}
        part = len(requests) // (2 * ROUNDS) if name == "play" else 0
        for number in range(ROUNDS):
            for count in (1, 2) if number % 2 == 0 else (2, 1):
                mine = requests
                if part:  # a repeat within half a minute would cost less
                    mine, requests = requests[:part], requests[part:]
                turns[count].append(await self._turn(mine, count))
        ratio = statistics.median(two.rate / one.rate for one, two in zip(*turns.values(), strict=True))
        each = statistics.median(one.api / two.api for one, two in zip(*turns.values(), strict=True))
        one, two = (sorted(found, key=lambda turn: turn.rate)[ROUNDS // 2] for found in turns.values())
        return [
            Figure(
                f"{name}: two API processes / one, PostgreSQL and Valkey, {self.setting}",
                f"{ratio:.2f} ({_pair(one.rate, two.rate)}/s, p95 {_pair(one.p95, two.p95)} ms)",
                f"{len(os.sched_getaffinity(0))} cores for all",
                f"≥ {TARGET}",
                ratio >= TARGET,
            ),
            Figure(
                f"{name}: requests by a second of the processes' CPU, two / one",
                f"{each:.2f} (µs of a request: API {_pair(one.api, two.api)},"
                f" PostgreSQL {_pair(one.database, two.database)})",
                f"the load itself {two.generator:.0f} µs",
                "recorded",
                None,
            ),
        ]

    async def _turn(self, requests: list[bytes], count: int) -> _Turn:
        before = self._clocks(count)
        reports = await asyncio.gather(
            *(_load(node, requests[n::count], CONNECTIONS) for n, node in enumerate(self.nodes[:count]))
        )
        # What was used in the moment before measuring began belongs to requests that are not counted.
        share = SECONDS / (SECONDS + min(0.2, SECONDS / 4))
        used = [(after - earlier) * share for earlier, after in zip(before, self._clocks(count), strict=True)]
        return _Turn(reports, *used)

    def _clocks(self, count: int) -> tuple[float, float, float]:
        children = Path(f"/proc/{self.postmaster}/task/{self.postmaster}/children").read_text().split()
        return (
            sum(node.cpu() for node in self.nodes[:count]),
            sum(cpu_seconds(int(pid)) for pid in (self.postmaster, *children)),
            time.process_time(),
        )


def _pair(one: float, two: float) -> str:
    return f"{one:,.0f} and {two:,.0f}"


async def _load(node: Veza, requests: list[bytes], connections: int) -> Report:
    report = await load(node.host, node.port, requests, connections, SECONDS)
    wrong: dict[str, Any] = {**report.failures}
    if wrong or set(report.statuses) - {"200"}:
        raise RuntimeError(str(report))
    return report


if __name__ == "__main__":
    seeded(SIZE)
    show(uvloop.run(cluster()))
