"""What tests of webhooks share: hooks that lead to a receiver, and looking into their logs."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

from standardwebhooks import Webhook

from tests.receiver import Got
from tests.world import JSON, Person, World, open_world
from veza.core import clock
from veza.core.db import Database
from veza.core.outgoing import Courier, Guard
from veza.rooms.webhooks.dispatch import Dispatcher
from veza.rooms.webhooks.queues_store import CHANNEL
from veza.rooms.webhooks.sending import Sender


@asynccontextmanager
async def open_house(database: Database, folder: Path, **choices: Any) -> AsyncIterator[World]:
    """A world that delivers, to this very machine as well."""
    choices = {"work": True, "webhook_allow_private": True, **choices}
    async with open_world(database, folder, **choices) as world:
        yield world


async def hook(person: Person, url: str, *events: str, **more: Any) -> JSON:
    """A hook of these events, or of all; what the answer says of it."""
    answer = await person.post("/webhooks", json={"url": url, "events": list(events or ("*",)), **more})
    assert answer.status_code == 201, answer.text
    return dict(answer.json()["data"])


async def log_of(person: Person, hook_id: str, query: str = "") -> list[JSON]:
    """The deliveries of a hook, the newest first."""
    answer = await person.get(f"/webhooks/{hook_id}/deliveries{query}")
    assert answer.status_code == 200, answer.text
    return list(answer.json()["data"]["deliveries"])


async def ended(person: Person, hook_id: str, count: int, seconds: float = 30) -> list[JSON]:
    """The log of a hook, once so many deliveries in it have come to an end."""
    async with asyncio.timeout(seconds):
        while True:
            found = await log_of(person, hook_id, "?limit=100")
            if sum(one["status"] != "pending" for one in found) >= count:
                return found
            await asyncio.sleep(0.02)


async def tried(person: Person, hook_id: str, count: int, seconds: float = 30) -> list[JSON]:
    """The log of a hook, once its newest delivery was tried so often."""
    async with asyncio.timeout(seconds):
        while True:
            found = await log_of(person, hook_id)
            if found and len(found[0]["attempts"]) >= count:
                return found
            await asyncio.sleep(0.02)


async def rename(person: Person, playlist_id: str, *titles: str) -> None:
    """Each is told to hooks of `playlist.updated`."""
    for title in titles:
        assert (await person.put(f"/playlists/{playlist_id}", json={"title": title})).status_code == 200


async def playlist(person: Person) -> str:
    """A new one; its id."""
    answer = await person.post("/playlists", json={"title": "Evening"})
    return str(answer.json()["data"]["playlist"]["id"])


@asynccontextmanager
async def dispatching(world: World, seconds: float = 15) -> AsyncIterator[Dispatcher]:
    """One that works on what is to be delivered, as a worker of its own would."""
    courier = Courier(Guard(allow_private=True), seconds=seconds)
    made = Dispatcher(world.parts.database, Sender(world.parts.keyring, courier))
    work = asyncio.create_task(made.run())
    try:
        yield made
    finally:
        work.cancel()
        await asyncio.gather(work, return_exceptions=True)


@contextmanager
def later(world: World, by: timedelta) -> Iterator[None]:
    """So much later, and whoever waits for that time is told."""
    with clock.shifted(by):
        world.parts.database.wake(CHANNEL)
        yield


def verified(got: Got, secret: str) -> Any:
    """The body, if it was signed with this secret; by the reference library."""
    encoded: str | bytes = secret if secret.startswith("whsec_") else secret.encode()
    return Webhook(encoded).verify(got.raw, got.headers)
