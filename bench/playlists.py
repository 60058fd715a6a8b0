"""A playlist of 10,000 tracks: reading pages, adding, moving, and bringing all into another order."""

import http.client
import json
import random
import time
from typing import Any

from bench.postgres import postgres
from bench.seed import seeded, track_id
from bench.servers import Veza
from bench.table import Figure

TRACKS = 10_000
_ADDED = 100
# Milliseconds that the p95 may take.
_ONE, _ALL = 15, 250


async def playlists() -> list[Figure]:
    """The p95 of each, one after another by one who is signed in; each change is durable when answered."""
    with Veza(seeded(TRACKS)) as veza:
        return _measure(veza, f"playlist of {TRACKS:,}")


async def on_postgres() -> list[Figure]:
    """The same with PostgreSQL."""
    async with postgres(seeded(TRACKS)) as (url, _):
        with Veza(url, copy=False) as veza:
            return _measure(veza, f"playlist of {TRACKS:,}, PostgreSQL")


def _measure(veza: Veza, name: str) -> list[Figure]:
    client = _Client(veza)
    dice = random.Random(5)
    ids = [str(track_id(number)) for number in range(TRACKS)]
    made = client.call("POST", "/playlists", {"title": "Measured"})
    path = f"/playlists/{made['playlist']['id']}"
    before, after = ids[:-_ADDED], ids[-_ADDED:]
    for one in before:
        client.call("POST", f"{path}/tracks", {"track_id": one})
    times = {
        "append": [client.time("POST", f"{path}/tracks", {"track_id": one}) for one in after],
        "the playlist with its first 100 tracks": [client.time("GET", path) for _ in range(200)],
        "first page of 20": [client.time("GET", f"{path}/tracks") for _ in range(200)],
        "last page of 20": [client.time("GET", f"{path}/tracks?page=500") for _ in range(200)],
        "move": [
            client.time("PUT", f"{path}/tracks/{one}", {"position": dice.randrange(TRACKS) + 1})
            for one in dice.sample(ids, 200)
        ],
        "reorder whole": [
            client.time("PUT", f"{path}/tracks/reorder", {"track_ids": dice.sample(ids, TRACKS)})
            for _ in range(100)
        ],
    }
    return [
        _figure(f"{name}: {what}", found, _ALL if "whole" in what else _ONE) for what, found in times.items()
    ]


def _figure(what: str, times: list[float], limit: float) -> Figure:
    found = sorted(times)
    p50, p95 = found[len(found) // 2], found[int(len(found) * 0.95)]
    return Figure(
        what,
        f"p50 {p50:.1f} p95 {p95:.1f} ms",
        "-",
        f"p95 ≤ {limit} ms",
        p95 <= limit,
    )


class _Client:
    """Somebody signed in, on one connection."""

    def __init__(self, veza: Veza) -> None:
        token = veza.log_in()
        self._headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        self._connection = http.client.HTTPConnection(veza.host, veza.port, timeout=30)

    def call(self, method: str, path: str, body: Any = None) -> Any:
        """The data of a good answer."""
        text = None if body is None else json.dumps(body)
        self._connection.request(method, f"/api/v1{path}", text, self._headers)
        answer = self._connection.getresponse()
        data = json.loads(answer.read())
        if answer.status not in {200, 201}:
            raise RuntimeError(f"{method} {path}: {answer.status} {data}")
        return data["data"]

    def time(self, method: str, path: str, body: Any = None) -> float:
        """Milliseconds from the question to the whole answer."""
        text = None if body is None else json.dumps(body)
        began = time.perf_counter()
        self._connection.request(method, f"/api/v1{path}", text, self._headers)
        answer = self._connection.getresponse()
        answer.read()
        took = (time.perf_counter() - began) * 1000
        if answer.status != 200:
            raise RuntimeError(f"{method} {path}: {answer.status}")
        return took
