"""Uploads in chunks to a real server that is killed all the time: cut off, repeated, shuffled, spoiled."""

import asyncio
import hashlib
import itertools
import json
import os
import random
import signal
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.faults.test_kill import PASSWORD, WAIT, nursery
from tests.rooms.uploads_house import form, wave
from veza.core.db import open_database
from veza.core.installation import identify, stamp_key
from veza.core.storage import LocalStorage, open_chunks, open_storage
from veza.rooms.tracks.jobs import sweep_files as sweep_tracks
from veza.rooms.uploads.jobs import sweep_files

CLIENTS = 4
BUSY = {"IDEMPOTENCY_IN_PROGRESS", "UPLOAD_CHANGED"}


class Sender:
    """Somebody who sends one file after the other, and repeats whatever is not answered."""

    def __init__(self, http: httpx.AsyncClient, port: int, name: str, dice: random.Random) -> None:
        self.http, self.port, self.name, self.dice = http, port, name, dice
        self.done = self.cuts = 0
        self._numbers = itertools.count()

    async def ask(self, method: str, path: str, *statuses: int, **options: Any) -> httpx.Response:
        while True:
            try:
                answer = await self.http.request(method, path, **options)
            except (httpx.HTTPError, AttributeError):  # the latter when the server dies just as it accepts
                await asyncio.sleep(0.01)
                continue
            if answer.status_code == 503 or any(code in answer.text for code in BUSY):
                await asyncio.sleep(0.01)
                continue
            assert answer.status_code in statuses, answer.text
            return answer

    async def send_one(self) -> None:
        """A whole upload: whatever happens, what was acknowledged is there, and the file is the same."""
        content = wave(self.dice.randint(60, 40_000), self.dice.getrandbits(30))
        size = self.dice.randint(-(-len(content) // 12), len(content))
        self.content, self.size, self.total = content, size, -(-len(content) // size)
        name = f"{self.name}-{next(self._numbers)}"
        start = {"filename": f"{name}.wav", "total_chunks": self.total, "total_size": len(content)}
        self.fields = {key: str(value) for key, value in start.items()}
        key = {"Idempotency-Key": name}
        started = await self.ask("POST", "/tracks/initiate", 200, json=start, headers=key)
        self.fields["upload_id"] = started.json()["data"]["upload_id"]
        acknowledged: set[int] = set()
        missing = list(range(1, self.total + 1))
        where = f"/tracks/resume/{self.fields['upload_id']}"
        while missing:
            numbers = missing + self.dice.choices(range(1, self.total + 1), k=2)
            self.dice.shuffle(numbers)
            sent = await asyncio.gather(*(self.chunk(number) for number in numbers[:5]))
            acknowledged |= set(sent) - {0}
            state = (await self.ask("GET", where, 200)).json()["data"]
            assert acknowledged <= set(state["received"]), "an acknowledged chunk was lost"
            missing = state["missing_chunks"]
        for _ in range(self.dice.choice((1, 1, 2))):
            told = await self.ask(
                "POST", "/tracks/complete", 201, json={"upload_id": self.fields["upload_id"]}
            )
            data = told.json()["data"]
            assert data["md5"] == hashlib.md5(content).hexdigest()
        await self.ask("DELETE", f"/tracks/{data['track']['id']}", 200, 404)
        self.done += 1

    async def chunk(self, number: int) -> int:
        """Send a chunk; its number, if that was acknowledged."""
        data = self.content[(number - 1) * self.size : number * self.size]
        luck = self.dice.random()
        if luck < 0.2:
            await self.cut(number, data)
            return 0
        if luck < 0.3:
            # Other bytes first, which the right ones replace.
            await self.whole(number, bytes(len(data)))
        await self.whole(number, data)
        return number

    async def whole(self, number: int, data: bytes) -> None:
        fields = self.fields | {"chunk_number": str(number)}
        await self.ask("POST", "/tracks/chunk", 200, data=fields, files={"chunk": ("blob", data)})

    async def cut(self, number: int, data: bytes) -> None:
        """Leave in the middle."""
        parts = [*(self.fields | {"chunk_number": str(number)}).items(), ("chunk", data)]
        body, headers = form(parts)
        head = "POST /api/v1/tracks/chunk HTTP/1.1\r\nHost: veza\r\n"
        headers |= {
            "Content-Length": str(len(body)), "Authorization": self.http.headers["Authorization"],
        }  # fmt: skip
        head += "".join(f"{key}: {value}\r\n" for key, value in headers.items()) + "\r\n"
        while True:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", self.port)
            except OSError:
                await asyncio.sleep(0.01)
            else:
                break
        writer.write(head.encode() + body[: self.dice.randrange(len(body))])
        await asyncio.sleep(self.dice.choice((0, 0.002)))
        writer.transport.abort()
        self.cuts += 1


async def test_uploads_end_with_equal_hashes(tmp_path: Path, pytestconfig: pytest.Config) -> None:
    """C11, C12, C18, C19, C24, C26: many uploads, cut, repeated, shuffled, the server killed under them."""
    wanted = int(pytestconfig.getoption("--uploads"))
    dice = random.Random(int.from_bytes(os.urandom(2)))
    async with nursery(tmp_path) as servers:
        await servers.start()
        await servers.ready()
        limits = httpx.Limits(max_keepalive_connections=CLIENTS * 3)
        base = f"{servers.address}/api/v1"
        async with httpx.AsyncClient(base_url=base, timeout=5, limits=limits) as http:
            account = {"username": "olga", "email": "olga@example.com"}
            words = {"password": PASSWORD, "password_confirm": PASSWORD}
            answer = await http.post("/auth/register", json=account | words, timeout=WAIT)
            signed = answer.json()["data"]
            http.headers["Authorization"] = f"Bearer {signed['token']['access_token']}"
            senders = [Sender(http, servers.port, f"s{number}", dice) for number in range(CLIENTS)]

            async def work(sender: Sender) -> None:
                while sum(one.done for one in senders) < wanted:
                    await sender.send_one()

            async with asyncio.TaskGroup() as group:
                working = [group.create_task(work(sender)) for sender in senders]
                kills, longest = 0, 1.2
                while not all(task.done() for task in working):
                    await servers.end(signal.SIGKILL)
                    await servers.start()
                    await servers.ready()
                    kills += 1
                    before = sum(sender.done for sender in senders)
                    await asyncio.wait(working, timeout=dice.uniform(0.1, longest))
                    # On a slow disk nothing would ever come to its end.
                    longest = 1.2 if sum(sender.done for sender in senders) > before else longest * 1.5
            await _settle(tmp_path)
        await servers.end(signal.SIGTERM)
    assert kills
    assert sum(sender.cuts for sender in senders) > wanted // 4
    await _check(tmp_path)
    assert b"request.crashed" not in (tmp_path / "log").read_bytes()


async def _settle(folder: Path) -> None:
    database = open_database(f"sqlite:///{folder / 'data' / 'veza.db'}")
    left = "SELECT COUNT(*) FROM jobs WHERE dead_at IS NULL AND unique_key IS NULL"
    async with asyncio.timeout(WAIT):
        while (await database.rows(left))[0][0]:  # noqa: ASYNC110 - a process tells no event
            await asyncio.sleep(0.1)
    await database.close()


async def _check(folder: Path) -> None:
    """Nothing is left, neither on the disk nor in the quota: every track has been deleted again."""
    data = folder / "data"
    database = open_database(f"sqlite:///{data / 'veza.db'}")
    storage = open_storage(f"file://{data / 'files'}", scratch=data / "scratch", s3={})
    assert isinstance(storage, LocalStorage)
    await sweep_files(database, storage, open_chunks(storage), timedelta(0))
    await storage.sweep_scratch(timedelta(0))
    await sweep_tracks(database, storage, timedelta(0))
    stamped = storage.local_path(stamp_key((await identify(database)).id))
    assert [path for path in storage.folder.rglob("*") if path.is_file()] == [stamped]
    states = await database.rows("SELECT DISTINCT status FROM transfers")
    assert states == [("completed",)], json.dumps(states)
    assert await database.rows("SELECT storage_used FROM users") == [(0,)]
    await storage.close()
    await database.close()
