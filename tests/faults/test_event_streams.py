"""Streams of events at a real server: they are open for hours, and end with it."""

import asyncio
from pathlib import Path

from tests.faults.test_process_serve import person, serving
from veza.core import clock


async def test_a_server_that_ends_does_not_wait_for_its_listeners(tmp_path: Path) -> None:
    """X13: open streams are ended, not waited for."""
    async with serving(tmp_path / "data") as served:
        made = (await served.client.post("/auth/register", json=person("ada"))).json()["data"]
        token = {"Authorization": f"Bearer {made['token']['access_token']}"}
        async with served.client.stream("GET", "/events", headers=token) as answer:
            pieces = answer.aiter_text()
            assert (await anext(pieces)).startswith("retry:")
            began = clock.monotonic()
            ended = asyncio.create_task(served.end())
            async for _ in pieces:
                pass
            assert await ended == 0
            assert clock.monotonic() - began < 20, "it was long for them, as for requests under way"
