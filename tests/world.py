"""A small cast of people around the whole application, as it is when it serves, but for the sockets."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import msgspec

from tests.quick import CheapHasher, QuickClient
from veza.app import make_app, working
from veza.core.db import Database
from veza.core.edge import Edge
from veza.parts import Parts, make_parts
from veza.rooms.accounts.admin import create_user
from veza.settings import Settings

PASSWORD = "seven purple lanterns"
JSON = dict[str, Any]


class Person:
    """Somebody with a client of their own; a guest's has no token."""

    def __init__(self, client: httpx.AsyncClient, data: JSON) -> None:
        self.client = client
        self.id: str = data["user"]["id"] if data else ""
        self.username: str = data["user"]["username"] if data else ""
        self.refresh_token: str = data["token"]["refresh_token"] if data else ""

    async def get(self, path: str, **options: Any) -> httpx.Response:
        return await self.client.get(path, **options)

    async def post(self, path: str, **options: Any) -> httpx.Response:
        return await self.client.post(path, **options)

    async def put(self, path: str, **options: Any) -> httpx.Response:
        return await self.client.put(path, **options)

    async def delete(self, path: str, **options: Any) -> httpx.Response:
        return await self.client.request("DELETE", path, **options)

    async def upload(self, file: Path, **fields: str) -> JSON:
        """Upload a file; what the answer says of the track."""
        content = await asyncio.to_thread(file.read_bytes)
        answer = await self.post("/tracks", files={"file": (file.name, content)}, data=fields)
        assert answer.status_code == 201, answer.text
        return dict(answer.json()["data"]["track"])


class World:
    """The application and who is in it."""

    def __init__(self, parts: Parts, app: Edge) -> None:
        self.parts = parts
        self.app = app
        self.guest = Person(self.client({}), {})
        self._people: dict[str, Person] = {}

    def client(self, headers: Mapping[str, str]) -> httpx.AsyncClient:
        """A client of nobody's, who sends these headers each time."""
        transport = httpx.ASGITransport(self.app, raise_app_exceptions=False)
        return QuickClient(transport=transport, base_url="http://veza.test/api/v1", headers=headers)

    async def person(self, name: str, role: str = "user") -> Person:
        """Whoever has this name, signed in; made at first with this role."""
        if name not in self._people:
            await self._make(name, role)
            self._people[name] = await self.signed_in(name)
        return self._people[name]

    async def signed_in(self, name: str) -> Person:
        """Whoever has this name, signed in anew."""
        login = {"email": f"{name}@example.com", "password": PASSWORD}
        data = (await self.guest.post("/auth/login", json=login)).json()["data"]
        headers = {"Authorization": f"Bearer {data['token']['access_token']}"}
        return Person(self.client(headers), data)

    async def _make(self, name: str, role: str) -> None:
        parts = self.parts
        address = f"{name}@example.com"
        await create_user(
            parts.database,
            parts.hasher,
            username=name,
            email=address,
            password=PASSWORD,
            admin=role == "admin",
        )
        if role not in {"user", "admin"}:
            boss = await self.person("boss", "admin")
            user = (await boss.get(f"/users/by-username/{name}")).json()["data"]["profile"]
            await boss.put(f"/admin/users/{user['id']}/role", json={"role": role})

    async def ready(self, person: Person, track_id: str, *, seconds: float = 30) -> JSON:
        """Wait until a track is ready or has failed; what its status then says. Needs a world that works."""
        async with asyncio.timeout(seconds):
            while True:
                status = (await person.get(f"/tracks/{track_id}/status")).json()["data"]
                if status["status"] in {"ready", "failed"}:
                    return dict(status)
                await asyncio.sleep(0.05)


Opening = Callable[..., AbstractAsyncContextManager[World]]
# What opens worlds instead: with `--cluster` the application is many processes (tests/cluster/spread.py).
elsewhere: list[Opening] = []


def open_world(
    database: Database, folder: Path, *, work: bool = False, **choices: Any
) -> AbstractAsyncContextManager[World]:
    """A world on an empty database; ``choices`` are settings. With ``work`` its jobs are run."""
    opening = elsewhere[-1] if elsewhere else _open_here
    return opening(database, folder, work=work, **choices)


@asynccontextmanager
async def _open_here(
    database: Database, folder: Path, *, work: bool = False, **choices: Any
) -> AsyncIterator[World]:
    settings = Settings(**{"data_dir": folder / "data", "rate_limit_enabled": False, **choices})
    parts = msgspec.structs.replace(make_parts(settings, database=database), hasher=CheapHasher())
    world = World(parts, make_app(parts, work=False))
    await database.start()
    if not work:
        yield world
        return
    async with working(parts):
        yield world
