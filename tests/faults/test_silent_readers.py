"""Clients that ask, and read nothing of what they are answered: what they keep from others."""

import asyncio
import socket
import tracemalloc
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.faults.server_harness import WAIT
from tests.world import open_world
from veza.core.db import Database
from veza.core.server import listen, serve_async

END = b" HTTP/1.1\r\nHost: veza.test\r\nContent-Length: 0\r\n\r\n"
# Counted for nobody.
LARGE = b"GET /swagger/swagger-ui-bundle.js" + END
LARGE_BYTES = 1_700_000
KERNEL_BYTES = 64 << 10  # of a connection, on either side: far less
# As many as PostgreSQL's connections here.
MANY = 10


class Watched:
    """An application, and how far its answers are: how many have begun, by status, and how many are over."""

    def __init__(self, app: Callable[..., Awaitable[None]]) -> None:
        self.app = app
        self.begun: list[int] = []
        self.over = 0

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        async def seen(message: Any) -> None:
            if message["type"] == "http.response.start":
                self.begun.append(message["status"])
            await send(message)

        await self.app(scope, receive, seen)
        self.over += scope["type"] == "http"

    async def until(self, begun: int, over: int = 0) -> None:
        async with asyncio.timeout(WAIT):
            while len(self.begun) < begun or self.over < over:  # noqa: ASYNC110 - whatever begins them
                await asyncio.sleep(0.01)


@asynccontextmanager
async def serving(app: Watched) -> AsyncIterator[int]:
    """A server in this very loop; its port."""
    [listener] = listen("127.0.0.1", 0)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, KERNEL_BYTES)  # its connections inherit that
    up, stop = asyncio.Event(), asyncio.Event()
    task = asyncio.create_task(
        serve_async(app, listeners=[listener], ready=lambda *_: up.set(), stop=stop, signals=False)
    )
    async with asyncio.timeout(WAIT):
        await up.wait()
    port: int = listener.getsockname()[1]
    try:
        yield port
    finally:
        stop.set()
        await asyncio.wait_for(task, WAIT)


@asynccontextmanager
async def silent(port: int, asked: bytes) -> AsyncIterator[None]:
    """As many connections as there are, each of which asks this, and reads nothing."""
    wires = [socket.socket() for _ in range(MANY)]
    try:
        for wire in wires:
            wire.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, KERNEL_BYTES)
            wire.settimeout(0)
            await asyncio.get_running_loop().sock_connect(wire, ("127.0.0.1", port))
            await asyncio.get_running_loop().sock_sendall(wire, asked)
        yield
    finally:
        for wire in wires:
            wire.close()


@pytest.mark.parametrize(
    ("refused", "status"),
    [
        (b"POST /api/v1/auth/verify-email?token=x", 400),
        (b"GET /api/v1/users/01890a5d-ac96-774b-bcce-b302099a8057", 404),
    ],
)
async def test_who_does_not_read_an_error_holds_up_nobody(
    database: Database, tmp_path: Path, refused: bytes, status: int
) -> None:
    """G25, X7: an error waits for its reader without its transaction: neither the writer nor a connection."""
    async with open_world(database, tmp_path) as world:
        ada = await world.person("ada")
        watched = Watched(world.app)
        async with serving(watched) as port, silent(port, LARGE + refused + END):
            await watched.until(2 * MANY, over=MANY)
            assert sorted(watched.begun) == [200] * MANY + [status] * MANY
            assert watched.over == MANY
            answer = await ada.put(f"/users/{ada.id}", json={"bio": "Here I am"})
            assert (answer.status_code, watched.over) == (200, MANY)


@pytest.mark.parametrize("dialect", ["sqlite"])
async def test_what_nobody_reads_is_in_memory_once(database: Database, tmp_path: Path) -> None:
    """G25: however many ask for a page's script uncompressed."""
    async with open_world(database, tmp_path) as world:
        watched = Watched(world.app)
        tracemalloc.start()
        try:
            async with serving(watched) as port, silent(port, LARGE):
                # Of several that come at once each may have one made.
                await watched.until(MANY)
                before = tracemalloc.get_traced_memory()[0]
                async with silent(port, LARGE):
                    await watched.until(2 * MANY)
                    assert tracemalloc.get_traced_memory()[0] - before < LARGE_BYTES
        finally:
            tracemalloc.stop()
