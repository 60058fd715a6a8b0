"""Events of a real server that is killed all the time: each is told at least once, and none is invented."""

import asyncio
import os
import random
import signal
from collections import Counter
from pathlib import Path

import httpx
import pytest

from tests.faults.test_kill import PASSWORD, WAIT, nursery
from tests.receiver import Got, Receiver, receiving
from veza.core.db import open_database
from veza.core.ids import new_id

CLIENTS = 4
HOOKS = 3


class Teller:
    """Somebody who changes a playlist again and again, and counts what was acknowledged."""

    def __init__(self, http: httpx.AsyncClient, playlist: str) -> None:
        self.http, self.playlist = http, playlist
        self.acknowledged = 0

    async def tell(self) -> None:
        while True:
            try:
                answer = await self.http.put(f"/playlists/{self.playlist}", json={"title": new_id().hex})
            except (httpx.HTTPError, AttributeError):  # the latter when the server dies just as it accepts
                await asyncio.sleep(0.01)
                continue
            if answer.status_code == 200:
                self.acknowledged += 1
                return
            assert answer.status_code == 503, answer.text
            await asyncio.sleep(0.01)


async def test_every_event_is_told_whoever_is_killed(tmp_path: Path, pytestconfig: pytest.Config) -> None:
    """W10, W11: at least once, always under the same id; what is ordered in its order."""
    wanted = int(pytestconfig.getoption("--events"))
    dice = random.Random(int.from_bytes(os.urandom(2)))
    (tmp_path / "veza.toml").write_text("webhook_allow_private = true\n")
    async with receiving() as receiver, nursery(tmp_path) as servers:
        await servers.start()
        await servers.ready()
        limits = httpx.Limits(max_keepalive_connections=CLIENTS * 2)
        base = f"{servers.address}/api/v1"
        async with httpx.AsyncClient(base_url=base, timeout=5, limits=limits) as http:
            tellers = await _prepare(http, receiver)

            async def work(teller: Teller) -> None:
                while sum(one.acknowledged for one in tellers) < wanted:
                    await teller.tell()

            kills = 0
            async with asyncio.TaskGroup() as group:
                working = [group.create_task(work(teller)) for teller in tellers]
                while not all(task.done() for task in working):
                    await asyncio.wait(working, timeout=dice.uniform(0.5, 2.5))
                    await servers.end(signal.SIGKILL)
                    await servers.start()
                    await servers.ready()
                    kills += 1
            await _settle(tmp_path)
        await servers.end(signal.SIGTERM)
    assert kills
    await _check(tmp_path, receiver.got, sum(one.acknowledged for one in tellers))
    assert b"request.crashed" not in (tmp_path / "log").read_bytes()


async def _prepare(http: httpx.AsyncClient, receiver: Receiver) -> list[Teller]:
    account = {"username": "olga", "email": "olga@example.com"}
    words = {"password": PASSWORD, "password_confirm": PASSWORD}
    signed = (await http.post("/auth/register", json=account | words, timeout=WAIT)).json()["data"]
    http.headers["Authorization"] = f"Bearer {signed['token']['access_token']}"
    for number in range(HOOKS):
        body = {"url": f"{receiver.url}/{number}", "events": ["playlist.updated"], "ordered": number == 0}
        assert (await http.post("/webhooks", json=body, timeout=WAIT)).status_code == 201
    title = {"title": "Evening"}
    made = [(await http.post("/playlists", json=title, timeout=WAIT)).json() for _ in range(CLIENTS)]
    return [Teller(http, one["data"]["playlist"]["id"]) for one in made]


async def _settle(folder: Path) -> None:
    database = open_database(f"sqlite:///{folder / 'data' / 'veza.db'}")
    left = "SELECT COUNT(*) FROM webhook_deliveries WHERE status <> 'delivered'"
    async with asyncio.timeout(120):
        while (await database.rows(left))[0][0]:  # noqa: ASYNC110 - a process tells no event
            await asyncio.sleep(0.1)
    await database.close()


async def _check(folder: Path, got: list[Got], acknowledged: int) -> None:
    database = open_database(f"sqlite:///{folder / 'data' / 'veza.db'}")
    rows = await database.rows(
        "SELECT id, created_at FROM events WHERE kind = 'playlist.updated' ORDER BY id"
    )
    await database.close()
    happened = [bytes(row[0]).hex() for row in rows]
    assert len(happened) >= acknowledged, "an acknowledged change was lost"
    for number in range(HOOKS):
        told = [one for one in got if one.line.startswith(f"POST /hook/{number} ")]
        ids = [one.headers["webhook-id"].replace("-", "") for one in told]
        assert set(ids) == set(happened), "each at least once, and none invented"
        stamps = {(one.headers["webhook-id"], one.body["timestamp"]) for one in told}
        assert len(stamps) == len(happened), "an id is one event's"
        if number == 0:
            first = list(Counter(ids))
            assert first == sorted(first), "in the order in which they happened"
