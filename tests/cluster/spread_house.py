"""The room of sessions where many processes are it, for its tests with `--cluster`."""

import asyncio
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx

from tests.cluster.nodes import TEST_SECONDS, Stand, open_nodes
from tests.cluster.spread import Through
from tests.rooms.sessions_house import BASE_URL, SECRET, House
from veza.core.db import Database
from veza.core.ids import new_id
from veza.core.limits import Limit

MANY = "1000000/min"


class SpreadHouse(House):
    """Its clients talk to all nodes in turn; the jobs are done by the tests, as ever."""

    port = 0

    def way_from(self, ip: str) -> httpx.AsyncBaseTransport:
        return Through(self.port, ip)


@asynccontextmanager
async def open_spread_house(
    stand: Stand, database: Database, per_address: Limit | None
) -> AsyncIterator[SpreadHouse]:
    made = SpreadHouse(database, per_address)
    settings = {
        "database_url": database.url,
        "redis_url": stand.valkey_url,
        "storage_url": f"s3://tests/{new_id().hex}",
        "s3": stand.s3,
        "secret_key": SECRET,
        "public_url": BASE_URL,
        "trusted_proxies": "127.0.0.1",
        "rate_limit_global": MANY,
        "rate_limit_login": f"{per_address.count}/{per_address.seconds}s" if per_address else MANY,
    }
    stand.forget()
    try:
        with tempfile.TemporaryDirectory() as folder:
            async with (
                asyncio.timeout(TEST_SECONDS),
                open_nodes(stand, Path(folder), settings, workers=0) as nodes,
            ):
                made.port = nodes.proxy.port
                yield made
    finally:
        made.hasher.close()
