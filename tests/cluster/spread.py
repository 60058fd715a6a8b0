"""A world whose application is many processes: the tests of all rooms are run in it with `--cluster`."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NoReturn

import httpx
import msgspec
import pytest

from tests.cluster.nodes import TEST_SECONDS, Nodes, Stand, open_nodes
from tests.quick import CheapHasher, QuickClient
from tests.world import Person, World
from veza.app import make_app
from veza.core.db import Database
from veza.core.edge import Edge
from veza.core.ids import new_id
from veza.parts import Parts, make_parts
from veza.settings import Settings

SECRET = "0123456789abcdef" * 4
# Where a world says that it is: tests go by this, and their clients find the proxy all the same.
ADDRESS = "http://127.0.0.1:8080"
OURS = {("veza.test", None), ("veza.example", None), ("127.0.0.1", 8080)}


class Through(httpx.AsyncBaseTransport):
    """Takes what is meant for the platform to a port, and each request on a connection of its own.

    ``ip``: from whom it says, as a proxy does, that it comes.
    """

    def __init__(self, port: int, ip: str = "") -> None:
        self._port = port
        self._from = [(b"x-forwarded-for", ip.encode())] if ip else []
        self._inner = httpx.AsyncHTTPTransport(limits=httpx.Limits(max_keepalive_connections=0))

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if (request.url.host, request.url.port) in OURS:
            request = httpx.Request(
                request.method,
                f"http://127.0.0.1:{self._port}/",
                headers=[*request.headers.raw, *self._from],
                stream=request.stream,
                # The path as it is, down to the last disguise.
                extensions={**request.extensions, "target": request.url.raw_path},
            )
        return await self._inner.handle_async_request(request)

    async def aclose(self) -> None:
        await self._inner.aclose()


class Described:
    """An application that can be looked at, but is not the one that answers."""

    def __init__(self, app: Edge) -> None:
        self.app = app.app

    def __getattr__(self, name: str) -> NoReturn:
        pytest.skip(f"looks into the process for its {name}")

    def __call__(self, *_: Any) -> NoReturn:
        pytest.skip("talks to the application itself")


class SpreadWorld(World):
    """Who is in it talks to all nodes in turn."""

    def __init__(self, parts: Parts, app: Edge, nodes: Nodes) -> None:
        self.nodes = nodes
        self._ways = {port: Through(port) for port in (nodes.proxy.port, *nodes.proxy.ports)}
        super().__init__(parts, app)
        self.app = Described(app)  # type: ignore[assignment]  # seen, not used

    def client(self, headers: Mapping[str, str], port: int = 0) -> httpx.AsyncClient:
        way = self._ways[port or self.nodes.proxy.port]
        return QuickClient(transport=way, base_url="http://veza.test/api/v1", headers=headers, timeout=30)

    def at(self, number: int, person: Person) -> Person:
        """The same person, who talks to one node alone."""
        there = Person(self.client(person.client.headers, self.nodes.proxy.ports[number]), {})
        there.id, there.username, there.refresh_token = person.id, person.username, person.refresh_token
        return there

    async def close(self) -> None:
        await asyncio.gather(*(way.aclose() for way in self._ways.values()))
        await self.parts.limiter.close()  # what a test gave parts of the world to do has opened connections


@asynccontextmanager
async def open_spread_world(
    stand: Stand, database: Database, folder: Path, *, work: bool = False, **choices: Any
) -> AsyncIterator[SpreadWorld]:
    """A world of two API processes; with ``work`` two workers run its jobs."""
    choices = {
        "rate_limit_enabled": False,
        "public_url": ADDRESS,
        "secret_key": SECRET,
        "storage_url": f"s3://tests/{new_id().hex}",
        "s3": stand.s3,
        "presigned_downloads": False,
        "mail_dir": folder / "data" / "mail",
        **choices,
    }
    settings = Settings(**{"data_dir": folder / "data", "redis_url": stand.valkey_url, **choices})
    parts = msgspec.structs.replace(make_parts(settings, database=database), hasher=CheapHasher())
    app = make_app(parts, work=False)
    await database.start()
    stand.forget()
    shared = {**choices, "database_url": database.url, "redis_url": stand.valkey_url}
    async with (
        asyncio.timeout(TEST_SECONDS),
        open_nodes(stand, folder / "nodes", shared, workers=2 * work) as nodes,
        parts.live.running(),
    ):
        world = SpreadWorld(parts, app, nodes)
        try:
            yield world
        finally:
            await world.close()
    assert "crashed" not in nodes.said()
