"""The chat: what an idle socket weighs, how soon a full room hears, how much is kept a second (H7)."""

import asyncio
import json
import resource
import secrets
import statistics
import tempfile
import time
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

from bench.servers import Veza
from bench.sockets import Client, connect
from bench.table import Figure
from veza.access.secrets import Keyring
from veza.access.tokens import Tokens
from veza.core import clock
from veza.core.db import Database, open_database
from veza.core.db.migrate import upgrade
from veza.core.ids import new_id
from veza.rooms.accounts import store as accounts
from veza.rooms.chat import members_store, rooms_store
from veza.rooms.chat.rooms_store import RoomRow
from veza.rooms.chat.tokens import LASTS, PURPOSE
from veza.rooms.sessions import store as sessions

PATH = "/api/v1/chat/ws"
IDLE, CROWD, TALKERS = 5_000, 1_000, 128
RATE, SECONDS = 20, 10
_AT_ONCE = 100


class House:
    """People who are signed in, and the rooms that they are in."""

    def __init__(self, secret: str) -> None:
        self.secret = secret
        self.tokens = Tokens(Keyring.load_or_create(Path(tempfile.mkdtemp()), secret))
        self.sessions: list[UUID] = []
        self.crowd = UUID(int=0)
        self.pairs: list[UUID] = []

    async def build(self, path: Path) -> None:
        database = open_database(f"sqlite:///{path}")
        await upgrade(database)
        people: list[UUID] = []
        for start in range(0, IDLE, 500):
            async with database.write() as tx:
                for n in range(start, start + 500):
                    user = await accounts.add(
                        tx,
                        username=f"person{n}",
                        email=f"{n}@example.com",
                        email_verified=True,
                        password_hash="",
                        role="user",
                    )
                    people.append(user.id)
                    opened = await sessions.add(
                        tx, user.id, ip="127.0.0.1", user_agent="", lifetime=timedelta(days=1)
                    )
                    self.sessions.append(opened[0])
        self.crowd = await self._room(database, people[:CROWD])
        self.pairs = [await self._room(database, people[n : n + 2]) for n in range(CROWD, CROWD + TALKERS, 2)]
        await database.close()

    async def _room(self, database: Database, people: list[UUID]) -> UUID:
        room = RoomRow(
            id=new_id(), type="private", name="Bench", topic="", pair=None, seq=0, version=0,
            message_count=0, member_count=len(people), slow_seconds=0, created_by=people[0],
            created_at=clock.now(), last_message_at=None,
        )  # fmt: skip
        async with database.write() as tx:
            await rooms_store.add(tx, room)
            for person in people:
                await members_store.add(tx, room.id, person, "member", 0)
        return room.id

    async def come(self, veza: Veza, numbers: range, hear: Any) -> list[Client]:
        """These people open sockets, a hundred at a time."""
        gate = asyncio.Semaphore(_AT_ONCE)
        self.took: list[float] = []

        async def one(n: int) -> Client:
            async with gate:
                began = time.perf_counter()
                token = self.tokens.issue(PURPOSE, LASTS, {"sid": self.sessions[n]})
                client = await connect(veza.host, veza.port, PATH, token, hear)
                assert (await client.ask("ping"))["type"] == "pong"
                self.took.append(time.perf_counter() - began)
                return client

        return await asyncio.gather(*(one(n) for n in numbers))


def _hear(client: Client, text: bytes) -> None:
    """Answers come first, and have an id; whatever else is told is of no interest."""
    if text.startswith((b'{"type":"ack"', b'{"type":"pong"', b'{"type":"error"')):
        client.answered(json.loads(text))


async def chat() -> list[Figure]:
    """All of it, on one server."""
    resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
    house = House(secrets.token_hex(32))
    with tempfile.TemporaryDirectory() as folder:
        await house.build(Path(folder) / "veza.db")
        limits = {"rate_limit_chat": "100000000/min", "secret_key": house.secret}
        with Veza(Path(folder) / "veza.db", **limits) as veza:
            return [
                *await _kept(house, veza),
                *await _crowd(house, veza),
                *await _idle(house, veza),
            ]


async def _idle(house: House, veza: Veza) -> list[Figure]:
    await asyncio.sleep(1)
    before = veza.memory()
    began = time.perf_counter()
    clients = await house.come(veza, range(IDLE), _hear)
    took = time.perf_counter() - began
    after = veza.memory()
    slow = sorted(house.took)[int(IDLE * 0.99)]
    await asyncio.sleep(2)
    for client in clients:
        client.transport.abort()
    return [
        Figure(
            f"{IDLE:,} sockets that come at once, and are idle",
            f"{after:.0f} MB, {(after - before) * 1024 / IDLE:.0f} KB each; {took:.1f} s, p99 {slow:.2f} s",
            "", "≤ 250 MB, p99 < 1 s", after <= 250 and slow < 1,
        )
    ]  # fmt: skip


async def _crowd(house: House, veza: Veza) -> list[Figure]:
    """A room of a thousand at twenty messages a second: each says when it was sent."""
    took: list[float] = []

    def hear(client: Client, text: bytes) -> None:
        if text.startswith(b'{"type":"message"'):
            at = text.index(b'"content":"') + 11
            took.append(time.perf_counter() - float(text[at : text.index(b'"', at)]))
        else:
            _hear(client, text)

    clients = await house.come(veza, range(CROWD), hear)
    await asyncio.gather(*(client.ask("join", room_id=str(house.crowd)) for client in clients))
    await asyncio.sleep(3)  # who came is told
    used = veza.cpu()
    began = time.perf_counter()
    asked = []
    for n in range(RATE * SECONDS):
        await asyncio.sleep(max(began + n / RATE - time.perf_counter(), 0))
        words = f"{time.perf_counter()}"
        asked.append(
            asyncio.create_task(
                clients[n % CROWD].ask("message", room_id=str(house.crowd), content=words, client_id=words)
            )
        )
    await asyncio.gather(*asked)
    await asyncio.sleep(1)
    used = (veza.cpu() - used) / (time.perf_counter() - began)
    for client in clients:
        client.transport.abort()
    took.sort()
    whole = len(took) == RATE * SECONDS * CROWD
    p50, p99 = (took[int(len(took) * part)] * 1000 for part in (0.5, 0.99))
    return [
        Figure(
            f"a room of {CROWD:,} at {RATE} messages a second: heard after",
            f"p50 {p50:.0f}, p99 {p99:.0f} ms; {len(took):,} times; {used:.0%} of a core",
            "", "p99 ≤ 250 ms, all heard", whole and p99 <= 250,
        )
    ]  # fmt: skip


async def _kept(house: House, veza: Veza) -> list[Figure]:
    """Pairs that talk as fast as they are acknowledged; before that, one pair alone."""
    clients = await house.come(veza, range(CROWD, CROWD + TALKERS), _hear)
    rooms = [str(house.pairs[n // 2]) for n in range(TALKERS)]
    await asyncio.gather(*(one.ask("join", room_id=room) for one, room in zip(clients, rooms, strict=True)))
    alone = []
    for n in range(400):
        began = time.perf_counter()
        answer = await clients[0].ask("message", room_id=rooms[0], content=f"hello {n}", client_id=f"a{n}")
        alone.append(time.perf_counter() - began)
        assert answer["type"] == "ack", answer
        await asyncio.sleep(0.025)  # within what one socket may say
    kept, until = 0, time.perf_counter() + 6

    async def talk(n: int) -> None:
        nonlocal kept
        count = 0
        while time.perf_counter() < until:
            count += 1
            answer = await clients[n].ask(
                "message", room_id=rooms[n], content=f"so {count}", client_id=f"b{count}"
            )
            if answer["type"] == "ack":
                kept += 1
            else:
                await asyncio.sleep(0.1)

    await asyncio.gather(*(talk(n) for n in range(TALKERS)))
    for client in clients:
        client.transport.abort()
    p50, p99 = statistics.median(alone) * 1000, sorted(alone)[int(len(alone) * 0.99)] * 1000
    return [
        Figure("a message between two: acknowledged after", f"p50 {p50:.1f}, p99 {p99:.1f} ms", "",
               "p50 ≤ 5 ms", p50 <= 5),
        Figure(f"messages kept and acknowledged a second, {TALKERS} sockets", f"{kept / 6:,.0f}/s", "",
               "≥ 1,000/s", kept / 6 >= 1_000),
    ]  # fmt: skip
