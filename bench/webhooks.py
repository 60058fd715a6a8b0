"""Deliveries a second to a receiver on this machine, what they cost others, and how soon events are told."""

import asyncio
import socket
import time
from contextlib import closing
from typing import Any

import apsw

from bench.load import load as load_with
from bench.load import render
from bench.seed import seeded
from bench.servers import Server, Veza, bare
from bench.table import Figure

_HOOKS = 20
_HANGING = 6
_TRACKS = 10_000
# Events of one measurement: as many as are told in the time there is.
_MOST = 500


async def webhooks() -> list[Figure]:
    """One owner's twenty hooks: each event is twenty deliveries, by the process that makes the events."""
    with bare("discard") as receiver, Veza(seeded(_TRACKS), webhook_allow_private="true") as veza:
        token = veza.log_in()
        for _ in range(_HOOKS):
            _hook(veza, token, f"http://{receiver.host}:{receiver.port}/")
        other = veza.log_in(1)  # who has no hooks
        idle = await _changes(veza, other, seconds=1.0)
        made = len(await _changes(veza, token, seconds=3.0))
        took = await _drained(veza, token, made * _HOOKS)
        _, others = await asyncio.gather(
            _changes(veza, token, seconds=2.0), _changes(veza, other, seconds=2.0)
        )
        ceiling = await _ceiling(receiver)
    rate = made * _HOOKS / took
    latency, share = await _while_some_hang()
    return [
        Figure(
            "webhook deliveries a second to a local receiver, events and their commits included",
            f"{rate:,.0f}/s ({made:,} events to {_HOOKS} hooks)", f"{ceiling:,.0f}/s", "≥ 500/s", rate >= 500,
        ),
        Figure(
            "p99 of a request of somebody without hooks meanwhile",
            f"{_p99(others):.1f} ms", f"idle {_p99(idle):.1f} ms", "-", None,
        ),
        Figure(
            "event to first attempt, p99, while 30 % of the receivers hang",
            f"{latency:,.0f} ms at {share:,.0f} deliveries/s", "", "≤ 2,000 ms", latency <= 2_000,
        ),
    ]  # fmt: skip


def _hook(veza: Veza, token: str, url: str) -> str:
    body = {"url": url, "events": ["playlist.updated"]}
    status, data = veza.call("POST", "/api/v1/webhooks", body, token)
    assert status == 201, (status, data)
    return str(data["id"])


async def _changes(veza: Veza, token: str, *, seconds: float, pause: float = 0.0) -> list[float]:
    """Change a playlist again and again, at most :data:`_MOST` times; how many milliseconds each took."""
    status, data = veza.call("POST", "/api/v1/playlists", {"title": "Evening"}, token)
    assert status == 201, (status, data)
    path, took, ends = f"/api/v1/playlists/{data['playlist']['id']}", [], time.perf_counter() + seconds
    while (began := time.perf_counter()) < ends and len(took) < _MOST:
        title = {"title": f"Evening {len(took)}"}
        status, _ = await asyncio.to_thread(veza.call, "PUT", path, title, token)
        assert status == 200
        took.append((time.perf_counter() - began) * 1000)
        await asyncio.sleep(pause)
    return took


def _p99(times: list[float]) -> float:
    return sorted(times)[int(len(times) * 0.99)]


async def _drained(veza: Veza, token: str, wanted: int) -> float:
    """Seconds from the first event until so many deliveries were made."""
    async with asyncio.timeout(40):
        while True:
            _, stats = await asyncio.to_thread(veza.call, "GET", "/api/v1/webhooks/stats", None, token)
            if stats["successful_deliveries"] >= wanted:
                break
            await asyncio.sleep(0.05)
    rows = _attempts(veza)
    return (max(at for _, at in rows) - min(event for event, _ in rows)) / 1e6


def _attempts(veza: Veza) -> list[tuple[int, int]]:
    """When each event happened, and when it was first tried, in microseconds."""
    moment = "CAST((julianday(json_extract(attempts, '$[0].at')) - 2440587.5) * 86400000000.0 AS INTEGER)"
    with closing(apsw.Connection(str(veza.folder / "veza.db"), apsw.SQLITE_OPEN_READONLY)) as connection:
        asked = f"SELECT event_at, {moment} FROM webhook_deliveries WHERE json_array_length(attempts) > 0"
        return [(int(event), int(at)) for event, at in connection.execute(asked)]


async def _ceiling(receiver: Server) -> float:
    asks = [render("POST", "/", {"Content-Type": "application/json"}, b'{"a": 1}' * 100)]
    report: Any = await load_with(receiver.host, receiver.port, asks, 16, 1.0, pid=receiver.pid)
    return float(report.rate)


async def _while_some_hang() -> tuple[float, float]:
    """The p99 in milliseconds over the receivers that answer, and how many deliveries a second there were."""
    with closing(socket.socket()) as silent, bare("discard") as receiver:
        silent.bind(("127.0.0.1", 0))
        silent.listen(1024)  # whoever connects is let in, and never answered
        with Veza(seeded(_TRACKS), webhook_allow_private="true") as veza:
            token = veza.log_in()
            for number in range(_HOOKS):
                port = silent.getsockname()[1] if number < _HANGING else receiver.port
                _hook(veza, token, f"http://127.0.0.1:{port}/")
            began = time.perf_counter()
            made = len(await _changes(veza, token, seconds=12.0, pause=0.03))
            share = made * (_HOOKS - _HANGING) / (time.perf_counter() - began)
            await _drained(veza, token, made * (_HOOKS - _HANGING))
            waits = [(at - event) / 1000 for event, at in _attempts(veza)]
    return _p99(waits), share
