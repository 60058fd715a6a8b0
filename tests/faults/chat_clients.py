"""Clients of the chat at a real server: each with a socket, and what it was told."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import msgspec
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from tests.quick import CheapHasher
from tests.world import PASSWORD
from veza.app import make_app
from veza.core.db import Database
from veza.core.server import serve_async
from veza.parts import make_parts
from veza.settings import Settings

WAIT = 30.0


class Talker:
    """Somebody with an account, and a socket that may be opened again and again."""

    def __init__(self, name: str, url: str, data: Any) -> None:
        self.name = name
        self.url = url
        self.id = data["user"]["id"]
        self.token = data["token"]["access_token"]
        self.client = httpx.AsyncClient(
            base_url=f"{url}/api/v1", headers={"Authorization": f"Bearer {self.token}"}, timeout=WAIT
        )
        self.socket: ClientConnection | None = None
        self.told: list[Any] = []
        self._answers: dict[int, asyncio.Future[Any]] = {}
        self._count = 0
        self._reading: asyncio.Task[None] | None = None
        self._stirred = asyncio.Event()
        self.closed: int | None = None

    def move(self, url: str) -> None:
        """The server has come back at another address."""
        self.url = url
        self.client.base_url = httpx.URL(f"{url}/api/v1")

    async def chat_token(self) -> str:
        return str((await self.client.get("/chat/token")).json()["data"]["token"])

    async def open(self, url: str | None = None, **options: Any) -> "Talker":
        """Open a socket, at this server or another."""
        address = (url or self.url).replace("http", "ws", 1) + "/api/v1/chat/ws"
        self.socket = await connect(
            address, subprotocols=["veza.chat.v1", await self.chat_token()], compression=None, **options
        )
        assert self.socket.subprotocol == "veza.chat.v1"
        self._answers.clear()
        self.closed = None
        self._reading = asyncio.create_task(self._read(self.socket))
        return self

    async def _read(self, socket: ClientConnection) -> None:
        try:
            async for text in socket:
                frame = json.loads(text)
                if frame["type"] in {"ack", "error", "pong"} and frame["id"] in self._answers:
                    self._answers.pop(frame["id"]).set_result(frame)
                else:
                    self.told.append(frame)
                self._stirred.set()
        except ConnectionClosed:
            pass
        self.closed = socket.close_code
        for waiting in self._answers.values():
            if not waiting.done():
                waiting.set_exception(ConnectionError())
        self._stirred.set()

    async def ask(self, kind: str, **fields: Any) -> Any:
        """Send a frame; the answer to it."""
        assert self.socket is not None
        self._count += 1
        answer = self._answers[self._count] = asyncio.get_running_loop().create_future()
        try:
            await self.socket.send(json.dumps({"type": kind, "id": self._count, **fields}))
        except ConnectionClosed:
            raise ConnectionError from None
        return await asyncio.wait_for(answer, WAIT)

    async def until(self, true: Any) -> None:
        async with asyncio.timeout(WAIT):
            while not true():
                self._stirred.clear()
                await self._stirred.wait()

    async def back(self, room_id: str, url: str | None = None) -> None:
        """Come to this server, and hear all of a room that was not heard yet."""
        await self.leave()
        await self.open(url)
        heard = self.messages()
        where = {"after": heard[-1]["id"]} if heard else {"since": 0}
        answer = await self.ask("join", room_id=room_id, **where)
        assert answer["type"] == "ack", answer

    async def leave(self) -> None:
        if self.socket is not None:
            await self.socket.close()
        if self._reading is not None:
            await self._reading

    async def end(self) -> None:
        await self.leave()
        await self.client.aclose()

    def messages(self) -> list[Any]:
        return [frame["message"] for frame in self.told if frame["type"] == "message"]

    def of(self, kind: str) -> list[Any]:
        return [frame for frame in self.told if frame["type"] == kind]


class Here:
    """The whole server, with its sockets, in this very loop; no start of a process is waited for."""

    def __init__(self, url: str, stop: asyncio.Event, running: "asyncio.Task[int]") -> None:
        self.url = url
        self._stop = stop
        self._running = running

    async def end(self) -> int:
        self._stop.set()
        return await asyncio.wait_for(self._running, WAIT)


@asynccontextmanager
async def serving_here(database: Database, folder: Path, **choices: Any) -> AsyncIterator[Here]:
    settings = Settings(data_dir=folder, **choices)
    parts = msgspec.structs.replace(make_parts(settings, database=database), hasher=CheapHasher())
    found: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    stop = asyncio.Event()
    running = asyncio.create_task(
        serve_async(
            make_app(parts, work=False),
            port=0,
            ready=lambda host, port: found.set_result(f"http://{host}:{port}"),
            on_drain=parts.live.close,
            stop=stop,
            signals=False,
            drain_seconds=5,
        )
    )
    here = Here(await asyncio.wait_for(found, WAIT), stop, running)
    try:
        yield here
    finally:
        await here.end()


async def talker(url: str, name: str) -> Talker:
    """Somebody new."""
    person = {"username": name, "email": f"{name}@example.com", "password": PASSWORD,
              "password_confirm": PASSWORD}  # fmt: skip
    async with httpx.AsyncClient(base_url=f"{url}/api/v1", timeout=WAIT) as client:
        answer = await client.post("/auth/register", json=person)
    assert answer.status_code == 201, answer.text
    return Talker(name, url, answer.json()["data"])


async def open_room(owner: Talker, *members: Talker, kind: str = "private") -> str:
    answer = await owner.client.post("/chat/rooms", json={"name": "Backstage", "type": kind})
    room_id = str(answer.json()["data"]["room"]["id"])
    for member in members:
        added = await owner.client.post(f"/chat/rooms/{room_id}/members", json={"user_id": member.id})
        assert added.status_code == 201, added.text
    return room_id
