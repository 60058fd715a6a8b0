"""A real server, killed two hundred times (`--kills`) while people upload, change and delete."""

import asyncio
import itertools
import os
import random
import signal
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import pytest

from tests.faults.nursery import Forked, fork_aside
from tests.media.corpus import BY_NAME, make
from tests.ports import free_ports
from veza.core.db import open_database
from veza.core.installation import identify, stamp_key
from veza.core.storage import LocalStorage, open_storage
from veza.rooms.tracks import store
from veza.rooms.tracks.jobs import original_key, sweep_files

CLIENTS = 4
TRACKS_EACH = 3
PASSWORD = "seven purple lanterns"
# Seconds after which something hangs; on a machine with other work nothing here is quick.
WAIT = 120.0


class Nursery:
    """Starts servers on one folder and one port, one after the other, and kills them."""

    def __init__(self, folder: Path, environment: dict[str, str], log: int) -> None:
        self.folder, self.environment, self.log = folder, environment, log
        self.server: Forked | None = None
        self.port = int(environment["VEZA_PORT"])
        self.address = f"http://127.0.0.1:{self.port}"

    async def start(self) -> None:
        async with asyncio.timeout(WAIT):
            self.server = await fork_aside(
                "serve", folder=self.folder, environment=self.environment, log=self.log
            )

    async def end(self, how: signal.Signals) -> None:
        assert self.server is not None
        os.kill(self.server.pid, how)
        async with asyncio.timeout(WAIT):
            await self.server.wait()

    async def ready(self) -> None:
        async with asyncio.timeout(WAIT):
            while not await asyncio.to_thread(self._listens):  # noqa: ASYNC110 - a process tells no event
                await asyncio.sleep(0.005)

    def _listens(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0


@asynccontextmanager
async def nursery(folder: Path) -> AsyncIterator[Nursery]:
    [port] = free_ports(1)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("VEZA_")}
    environment |= {
        "VEZA_DATA_DIR": str(folder / "data"), "VEZA_PORT": str(port), "VEZA_RATE_LIMIT_ENABLED": "false",
        "VEZA_LOG_LEVEL": "warning", "VEZA_LOG_FORMAT": "json",
    }  # fmt: skip
    with (folder / "log").open("wb") as log:
        made = Nursery(folder, environment, log.fileno())
        try:
            yield made
        finally:
            if made.server is not None:
                made.server.kill()
                await made.server.wait()


class Client:
    """Somebody who repeats each request until it is answered, and remembers what the answers promised."""

    def __init__(self, http: httpx.AsyncClient, music: bytes, name: str, dice: random.Random) -> None:
        self.http, self.music, self.name, self.dice = http, music, name, dice
        self.titles: dict[str, str] = {}
        self.deleted: set[str] = set()
        self.wrong: list[str] = []
        self.answers = 0
        self._numbers = itertools.count()
        self.over = False

    async def ask(self, method: str, path: str, **options: Any) -> tuple[httpx.Response, bool]:
        """The answer, and whether it took more than one request: then an earlier one may have worked, too."""
        repeated = False
        while True:
            try:
                answer = await self.http.request(method, path, **options)
            except (httpx.HTTPError, AttributeError):  # the latter when the server dies just as it accepts
                answer = None
            # 503: it is just starting or ending. 409: the first request with this key is still under way.
            busy = answer is not None and (answer.status_code == 503 or "IN_PROGRESS" in answer.text)
            if answer is not None and not busy:
                self.answers += 1
                return answer, repeated
            repeated = True
            await asyncio.sleep(0.01)

    async def live(self) -> None:
        while not self.over:
            await self.look()
            if len(self.titles) < TRACKS_EACH:
                await self.upload()
            elif self.dice.random() < 0.7:
                await self.change()
            else:
                await self.delete()

    async def upload(self) -> None:
        number = next(self._numbers)
        form: dict[str, Any] = {
            "files": {"file": ("a.mp3", self.music)},
            "data": {"title": f"{self.name} {number}"},
        }
        headers = {"Idempotency-Key": f"{self.name}-{number}"}
        answer, _ = await self.ask("POST", "/tracks", headers=headers, **form)
        if self.expect(answer, 201):
            track = answer.json()["data"]["track"]
            self.titles[track["id"]] = track["title"]

    async def change(self) -> None:
        track = self.dice.choice(list(self.titles))
        title = f"{self.name} {next(self._numbers)}"
        body = {"title": title} | ({"is_public": False} if self.dice.random() < 0.2 else {})
        # Whoever asks while this is under way sees one title or the other; here nobody else does.
        answer, _ = await self.ask("PUT", f"/tracks/{track}", json=body)
        if self.expect(answer, 200):
            self.titles[track] = title

    async def delete(self) -> None:
        track = self.dice.choice(list(self.titles))
        answer, repeated = await self.ask("DELETE", f"/tracks/{track}")
        if self.expect(answer, *((200, 404) if repeated else (200,))):
            del self.titles[track]
            self.deleted.add(track)

    async def look(self) -> None:
        """Whether the server keeps its word."""
        for track, title in [*self.titles.items()]:
            answer, _ = await self.ask("GET", f"/tracks/{track}")
            if self.expect(answer, 200) and answer.json()["data"]["track"]["title"] != title:
                self.wrong.append(f"{track} should be {title}: {answer.text}")
        if self.deleted:
            answer, _ = await self.ask("GET", f"/tracks/{self.dice.choice(sorted(self.deleted))}")
            self.expect(answer, 404)

    def expect(self, answer: httpx.Response, *statuses: int) -> bool:
        if answer.status_code not in statuses:
            self.wrong.append(
                f"{answer.request.method} {answer.request.url}: {answer.status_code} {answer.text}"
            )
        return answer.status_code in statuses


async def test_two_hundred_kills(request: pytest.FixtureRequest, tmp_path: Path) -> None:
    """C19, C33, X14, G28, G29: what was answered holds, and nothing is left over or stuck."""
    kills = int(request.config.getoption("--kills"))
    music = make(BY_NAME["a.mp3"], tmp_path, 0.35).read_bytes()
    dice = random.Random(int.from_bytes(os.urandom(2)))
    async with nursery(tmp_path) as servers:
        await servers.start()
        await servers.ready()
        limits = httpx.Limits(max_keepalive_connections=CLIENTS)
        base = f"{servers.address}/api/v1"
        async with httpx.AsyncClient(base_url=base, timeout=5, limits=limits) as http:
            account = {
                "username": "olga",
                "email": "olga@example.com",
                "password": PASSWORD,
                "password_confirm": PASSWORD,
            }
            signed = (await http.post("/auth/register", json=account, timeout=WAIT)).json()["data"]
            http.headers["Authorization"] = f"Bearer {signed['token']['access_token']}"
            clients = [Client(http, music, f"c{number}", dice) for number in range(CLIENTS)]
            living = [asyncio.create_task(client.live()) for client in clients]
            for turn in range(kills):
                # Some die while they start, a few live long enough to finish a track.
                if dice.random() > 0.1:
                    await servers.ready()
                await asyncio.sleep(1.0 if turn % 40 == 0 else dice.uniform(0.0, 0.12))
                async with asyncio.timeout(WAIT):  # a slow machine has promised something by then, too
                    while sum(client.answers for client in clients) <= turn:  # noqa: ASYNC110 - nobody tells
                        await asyncio.sleep(0.01)
                await servers.end(signal.SIGKILL)
                await servers.start()
            await servers.ready()
            for client in clients:
                client.over = True
            async with asyncio.timeout(WAIT):
                await asyncio.gather(*living)
            assert [client.wrong for client in clients] == [[]] * CLIENTS
            await _settle(http, signed["user"]["id"], tmp_path)
        await servers.end(signal.SIGTERM)
        titles = {track: title for client in clients for track, title in client.titles.items()}
        await _check(tmp_path, titles, music)
        # An idle machine gives ten times as many.
        assert sum(client.answers for client in clients) > kills
    assert b"request.crashed" not in (tmp_path / "log").read_bytes()


async def _states(http: httpx.AsyncClient, user_id: str) -> list[str]:
    asked = {"user_id": user_id, "limit": 100}
    found = (await http.get("/tracks", params=asked, timeout=WAIT)).json()["data"]["tracks"]
    return [track["status"] for track in found]


async def _settle(http: httpx.AsyncClient, user_id: str, folder: Path) -> None:
    """Wait until no track is in work and no job but the recurring ones is left."""
    database = open_database(f"sqlite:///{folder / 'data' / 'veza.db'}")
    left = "SELECT COUNT(*) FROM jobs WHERE dead_at IS NULL AND unique_key IS NULL"
    async with asyncio.timeout(WAIT):
        while set(await _states(http, user_id)) - {"ready", "failed"} or (await database.rows(left))[0][0]:  # noqa: ASYNC110 - a process tells no event
            await asyncio.sleep(0.1)
    await database.close()


async def _check(folder: Path, titles: dict[str, str], music: bytes) -> None:
    """Rows, files, quotas and counts, as they lie on the disk."""
    data = folder / "data"
    database = open_database(f"sqlite:///{data / 'veza.db'}")
    storage = open_storage(f"file://{data / 'files'}", scratch=data / "scratch", s3={})
    assert isinstance(storage, LocalStorage)
    await storage.sweep_scratch(timedelta(0))
    await sweep_files(database, storage, timedelta(0))
    kept = {}
    async with database.read() as view:
        for (raw,) in await database.rows("SELECT id FROM tracks"):
            track = await store.find(view, UUID(bytes=raw))
            assert track is not None
            kept[str(track.id)] = track
        assert {track_id: track.title for track_id, track in kept.items()} == titles
        named, counted = set(), dict[str, int]()
        for track in kept.values():
            assert track.status in {"ready", "failed"}
            if track.status == "ready":
                original = storage.local_path(original_key(track.id)).read_bytes()
                assert original == music
                keys = await store.rendition_keys(view, track.id)
                assert len(keys) == 3
                named |= {original_key(track.id), f"tracks/{track.id}/peaks.dat", *keys}
            for scope in store.scopes_of(track):
                counted[scope] = counted.get(scope, 0) + 1
    files = {str(path.relative_to(storage.folder)) for path in storage.folder.rglob("*") if path.is_file()}
    assert files == named | {stamp_key((await identify(database)).id)}
    assert list((data / "scratch").rglob("*")) == []
    used = sum(track.file_size for track in kept.values() if track.status == "ready")
    assert await database.rows("SELECT storage_used FROM users") == [(used,)]
    assert dict(await database.rows("SELECT scope, total FROM track_counts WHERE total <> 0")) == counted
    await storage.close()
    await database.close()
