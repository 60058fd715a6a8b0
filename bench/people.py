"""What it costs to be signed in, and what signing in costs everybody else."""

import asyncio
import statistics
import time

from bench.load import load, render
from bench.seed import PASSWORD, email, seeded, track_id, user_id
from bench.servers import Veza
from bench.table import Figure, Target, ratio, rounds
from bench.tracks import TRACKS

_LOGINS = 20


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
    idle, busy = [], []
    with Veza(seeded(100_000)) as veza:
        await asyncio.sleep(2)  # what is done at a start is over
        for _ in range(3):
            idle += await _visit(veza, asyncio.sleep(1.5))
            busy += await _visit(veza, _log_in_all(veza))
        crowd = [await _crowd(veza) for _ in range(3)]
    one, other = (statistics.quantiles(times, n=100)[98] for times in (idle, busy))
    measured = f"{other / one:.2f} ({other * 1000:.2f} ms of {len(busy)})"
    return [
        Figure(
            "p99 of GET /tracks: 20 logins / idle, lone visitor",
            measured, f"{one * 1000:.2f} ms", "≤ 2", other <= 2 * one,
        ),
        _crowded(crowd),
    ]  # fmt: skip


async def _crowd(veza: Veza) -> tuple[float, float]:
    """The p99 of 16 connections that ask without a pause for a second: alone, and while 20 log in."""
    alone = await load(veza.host, veza.port, [render("GET", TRACKS)], 16, 1.0)
    asking = asyncio.ensure_future(load(veza.host, veza.port, [render("GET", TRACKS)], 16, 1.0))
    await asyncio.sleep(0.25)
    await _log_in_all(veza)
    return alone.p99, (await asking).p99


def _crowded(crowd: list[tuple[float, float]]) -> Figure:
    share = statistics.median(busy / alone for alone, busy in crowd)
    alone = statistics.median(alone for alone, _ in crowd)
    name = "p99 of GET /tracks: 20 logins / idle, 16 connections"
    return Figure(name, f"{share:.2f}", f"{alone:.2f} ms", "≤ 2", share <= 2)


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


async def _log_in_all(veza: Veza) -> None:
    form = [
        b'{"email":"%s","password":"%s"}' % (email(n).encode(), PASSWORD.encode()) for n in range(_LOGINS)
    ]

    async def one(body: bytes) -> None:
        reader, writer = await asyncio.open_connection(veza.host, veza.port)
        headers = {"Content-Type": "application/json", "Connection": "close"}
        writer.write(render("POST", "/api/v1/auth/login", headers, body))
        answer = await reader.read()
        assert answer.startswith(b"HTTP/1.1 200"), answer
        writer.close()

    await asyncio.gather(*map(one, form))
