"""Start to ready, and memory."""

import asyncio
import random
import statistics
import subprocess
import sys
import time

from bench.load import load, render
from bench.seed import seeded, track_id, user_id
from bench.servers import Veza, hello
from bench.table import Figure
from bench.tracks import TRACKS


async def start() -> list[Figure]:
    """Seconds from the command to the line that says it is ready, on a database that is there already."""
    times, bare = [], []
    for _ in range(5):
        with Veza(seeded(100_000)) as veza:
            times.append(veza.start_seconds)
        began = time.perf_counter()
        await asyncio.to_thread(subprocess.run, [sys.executable, "-c", "pass"], check=True)
        bare.append(time.perf_counter() - began)
    found = statistics.median(times)
    measured = f"{found:.2f} s (worst of 5: {max(times):.2f} s)"
    return [
        Figure(
            "start to ready", measured, f"python alone {statistics.median(bare):.2f} s", "≤ 2 s", found <= 2
        )
    ]


async def memory() -> list[Figure]:
    """Resident memory after 10,000 requests of many kinds, kept answers and large pages among them."""
    dice = random.Random(3)
    requests = [
        *(render("GET", f"{TRACKS}/{track_id(dice.randrange(100_000))}") for _ in range(4_000)),
        *(render("GET", f"{TRACKS}?page={page}&limit=100") for page in range(1, 1_001)),
        *(render("GET", f"/api/v1/users/{user_id(n % 100)}") for n in range(1_000)),
        *(render("GET", f"{TRACKS}/{track_id(n)}/status") for n in range(500)),
    ]
    dice.shuffle(requests)
    with hello() as plain, Veza(seeded(100_000)) as veza:
        before, count = veza.memory(), 0
        while count < 10_000:
            report = await load(veza.host, veza.port, requests, 16, 2.0)
            count += report.requests
        found, own = veza.memory(), plain.memory()
    measured = f"{found:.0f} MB after {count:,} requests ({before:.0f} MB when ready)"
    return [Figure("resident memory", measured, f"hello-world {own:.0f} MB", "≤ 150 MB", found <= 150)]
