"""The stream of events: live, resumed without a gap, and no longer than its listener is signed in."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis

from tests.rooms.listening_house import song, until
from tests.rooms.test_notifications import settled, told
from tests.store import Store
from tests.world import PASSWORD, Person, World, open_world
from veza.core import clock
from veza.core.db import Database, open_database
from veza.core.live_relay import CHANNEL, Relay
from veza.rooms.notifications import hub, streams

SECRET = "0123456789abcdef" * 4


class Tap:
    """A listener, straight at the application: what it got, piece by piece."""

    def __init__(self) -> None:
        self.status = 0
        self.headers: dict[str, str] = {}
        self.text = ""
        self.over = False
        self.read = 0
        self._left = asyncio.Event()
        self._got = asyncio.Event()

    async def receive(self) -> dict[str, Any]:
        await self._left.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: dict[str, Any]) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.headers = {name.decode(): value.decode() for name, value in message["headers"]}
        else:
            self.text += message.get("body", b"").decode()
            self.over = not message.get("more_body", False)
        self._got.set()

    def leave(self) -> None:
        self._left.set()

    async def until(self, true: Any, seconds: float = 30) -> None:
        async with asyncio.timeout(seconds):
            while not true():
                self._got.clear()
                await self._got.wait()

    def events(self) -> list[tuple[str, int, dict[str, Any]]]:
        """What came so far, without comments: name, id and data of each event."""
        found = []
        for block in self.text.split("\n\n")[:-1]:
            fields = dict(line.split(": ", 1) for line in block.splitlines() if not line.startswith(":"))
            if "data" in fields:
                found.append((fields["event"], int(fields["id"]), json.loads(fields["data"])))
        return found

    def messages(self) -> list[str]:
        return [data["notification"]["message"] for name, _, data in self.events() if name == "notification"]

    def unread(self) -> int:
        return int([data for name, _, data in self.events() if name == "unread_count"][-1]["unread_count"])


@asynccontextmanager
async def tapped(
    world: World, person: Person, query: str = "", method: str = "GET", **headers: str
) -> AsyncIterator[Tap]:
    """Somebody who listens."""
    sent = {"authorization": person.client.headers.get("authorization", ""), **headers}
    path = f"/api/v1/events{'/signed' if query else ''}"
    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": method, "scheme": "http",
        "path": path, "raw_path": path.encode(), "root_path": "", "client": ("127.0.0.1", 1),
        "query_string": query.encode(), "server": ("veza.test", 80), "state": {}, "extensions": {},
        "headers": [(key.replace("_", "-").encode(), value.encode()) for key, value in sent.items() if value],
    }  # fmt: skip
    tap = Tap()
    running = asyncio.create_task(world.app(scope, tap.receive, tap.send))
    try:
        await tap.until(lambda: tap.status)
        yield tap
    finally:
        tap.leave()
        await asyncio.wait_for(running, 30)


async def test_a_stream_tells_what_happens_and_goes_on_where_it_stopped(
    database: Database, tmp_path: Path
) -> None:
    """N3, N6: whoever comes back gets what they missed, in order, each once, and as they may see it now."""
    async with open_world(database, tmp_path, work=True) as world:
        olga, stan = await world.person("olga"), await world.person("stan")
        tracks = [await song(world, olga) for _ in range(4)]
        await stan.post(f"/tracks/{tracks[0]}/like")
        await settled(world)
        async with tapped(world, olga) as tap:
            assert (tap.status, tap.headers["content-type"]) == (200, "text/event-stream")
            assert (tap.headers["cache-control"], tap.headers["x-accel-buffering"]) == ("no-store", "no")
            await tap.until(lambda: "unread_count" in tap.text)
            assert tap.text.startswith("retry: 3000\n\n")
            assert (tap.messages(), tap.unread()) == ([], 1)
            await stan.post(f"/users/{olga.id}/follow")
            await tap.until(lambda: len(tap.messages()) == 1 and tap.unread() == 2)
            assert tap.messages() == ["stan started following you"]
            place = tap.events()[-1][1]
            # What is read elsewhere is told, too.
            await olga.post("/notifications/read-all")
            await tap.until(lambda: tap.unread() == 0)
        for track_id in tracks[1:]:
            await stan.post(f"/tracks/{track_id}/like")
        await settled(world)
        await olga.delete(f"/notifications/{(await told(olga))[0]['id']}")
        async with tapped(world, olga, last_event_id=str(place)) as tap:
            await tap.until(lambda: "unread_count" in tap.text)
            missed = [id_ for name, id_, _ in tap.events() if name == "notification"]
            assert len(missed) == 2
            assert missed == sorted(missed)
            assert tap.unread() == 2
        async with tapped(world, olga, last_event_id=str(2**62)) as tap:
            await tap.until(lambda: "unread_count" in tap.text)
            await stan.delete(f"/users/{olga.id}/follow")
            await stan.post("/playlists", json={"title": "x"})
            await (await world.person("ruth")).post(f"/users/{olga.id}/follow")
            await tap.until(lambda: tap.messages() == ["ruth started following you"])
        for wrong in ("-1", "x", "9" * 30, "9" * 5_000, "²"):
            async with tapped(world, olga, last_event_id=wrong.encode().decode("latin-1")) as tap:
                await tap.until(lambda: tap.over)
                assert tap.status == 400
        async with tapped(world, olga, method="HEAD") as tap:
            assert (tap.status, tap.over, tap.text) == (200, True, "")
        async with tapped(world, world.guest) as tap:
            assert tap.status == 401


async def test_a_stream_lasts_no_longer_than_its_session(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """H4: signed out, suspended, deleted: it ends within five seconds, and its addresses with it."""
    monkeypatch.setattr(hub, "LOOK_SECONDS", 0.1)
    monkeypatch.setattr(hub, "MOST_OF_USER", 2)
    monkeypatch.setattr(streams, "BEAT_SECONDS", 0.1)
    async with open_world(database, tmp_path) as world:
        olga, stan, ruth = [await world.person(name) for name in ("olga", "stan", "ruth")]
        address = (await olga.get("/events/token")).json()["data"]
        signature = address["url"].partition("?")[2]
        assert address["url"].startswith("http://127.0.0.1:8080/api/v1/events/signed?sig=")
        async with (
            tapped(world, world.guest, signature) as by_address,
            tapped(world, olga) as by_token,
            tapped(world, stan) as stans,
            tapped(world, ruth) as ruths,
        ):
            async with tapped(world, olga) as third:
                await third.until(lambda: third.over)
                assert (third.status, json.loads(third.text)["error"]["code"]) == (429, "TOO_MANY_STREAMS")
                assert third.headers["retry-after"] == "30"
            await by_address.until(lambda: ": beat\n\n" in by_address.text)
            assert (await world.guest.get(f"/auth/me?{signature}")).status_code == 401
            await olga.post("/sessions/logout")
            await database.script("UPDATE users SET suspended_at = 1 WHERE username = 'ruth'")
            await stan.delete(f"/users/{stan.id}", json={"password": PASSWORD})
            for tap in (by_address, by_token, stans, ruths):
                await tap.until(lambda tap=tap: tap.over)
        async with tapped(world, world.guest, signature) as tap:
            assert tap.status == 403
        boss = await world.person("boss", "admin")
        signature = (await boss.get("/events/token")).json()["data"]["url"].partition("?")[2]
        with clock.shifted(timedelta(hours=2)):
            async with tapped(world, world.guest, signature) as tap:
                await tap.until(lambda: tap.over)
                assert (tap.status, json.loads(tap.text)["error"]["code"]) == (403, "URL_EXPIRED")
        async with tapped(world, boss) as tap:
            world.parts.live.close()
            await tap.until(lambda: tap.over)


@pytest.mark.parametrize("dialect", ["postgresql"])
async def test_processes_tell_each_other_s_listeners(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By Valkey at once; without it by looking; a session that ends there ends here."""
    monkeypatch.setattr(hub, "LOOK_SECONDS", 60.0)
    other_database = open_database(database.url)
    store = Store(tmp_path)
    async with (
        open_world(database, tmp_path / "one", work=True, secret_key=SECRET) as one,
        open_world(other_database, tmp_path / "other", secret_key=SECRET) as other,
    ):
        olga, stan, ruth = [await one.person(name) for name in ("olga", "stan", "ruth")]
        for world in (one, other):
            world.parts.live._outward = Relay(f"unix://{tmp_path}/s")
        with store:
            async with one.parts.live.running(), other.parts.live.running(), tapped(other, olga) as tap:
                await tap.until(lambda: "unread_count" in tap.text)
                await _heard(store, 2)
                await stan.post(f"/users/{olga.id}/follow")
                await tap.until(lambda: tap.messages() == ["stan started following you"])
        monkeypatch.setattr(hub, "LOOK_SECONDS", 0.1)
        other.parts.live._closed = False
        async with tapped(other, olga) as tap:
            await tap.until(lambda: "unread_count" in tap.text)
            await ruth.post(f"/users/{olga.id}/follow")
            await tap.until(lambda: len(tap.messages()) == 1)
            await olga.post("/sessions/logout")
            await tap.until(lambda: tap.over)
    await other_database.close()


async def _heard(store: Store, count: int) -> None:
    """Wait until so many processes hear the channel of the store."""

    async def are_there() -> bool:
        return await client.pubsub_numsub(CHANNEL) == [(CHANNEL.encode(), count)]

    async with Redis.from_url(store.url) as client:
        await until(are_there)
