"""What the edge counts and logs of each request: under which route, and as what it came to."""

import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.core.asking import ask
from tests.rooms.tracks_house import BYTES, plant
from tests.world import PASSWORD, World, open_world
from veza.core.db import Database
from veza.core.metrics import render
from veza.core.storage import NoSuchFile, StorageUnavailable

RANDOM = "01890a5d-ac96-774b-bcce-b302099a8057"
ELSEWHERE = ("origin", "https://music.example")


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str, int]]:
    """Method, route and status of each request, as they are counted."""
    seen: list[tuple[str, str, int]] = []
    monkeypatch.setattr("veza.core.edge.observe_request", lambda *told: seen.append(told[:3]))
    return seen


@pytest.fixture
async def world(database: Database, tmp_path: Path) -> AsyncIterator[World]:
    async with open_world(database, tmp_path) as made:
        yield made


async def test_requests_are_counted_by_route_and_never_by_path(world: World) -> None:
    for path in (f"/api/v1/tracks/{RANDOM}", f"/api/v1/users/{RANDOM}", "/no/such/path"):
        await ask(world.app, "GET", path)
    figures = render().decode()
    assert RANDOM not in figures
    assert "such" not in figures
    assert 'route="/api/v1/tracks/{track_id}"' in figures
    assert 'route="/api/v1/users/{user_id}"' in figures


@pytest.mark.parametrize("dialect", ["sqlite"])
async def test_each_address_is_counted_under_its_own_name(world: World, counted: list[Any]) -> None:
    """The one that the API's document gives it: no two share a series, a page and what it shows neither."""
    wanted = []
    for route in world.app.app.routes:
        for method in sorted(route.methods - {"OPTIONS"}):
            path = re.sub(r"{[^}]+}", RANDOM, route.path_format)
            await ask(world.app, method, path, body=b"")
            wanted.append((method, route.path_format))
    found = [(method, route) for method, route, _ in counted]
    assert found == wanted
    assert len(set(found)) == len(found) > 200
    assert not world.app.sockets.keys() & {route for _, route in found}


@pytest.mark.parametrize("dialect", ["sqlite"])
async def test_the_short_way_is_counted_as_the_long_one(world: World, counted: list[Any]) -> None:
    """What is answered at the edge, and by the framework where a browser asks for another's page."""
    olga = await world.person("olga")
    track = await plant(world, olga)
    login = {"email": "olga@example.com", "password": PASSWORD}
    token = ("authorization", olga.client.headers["authorization"])
    for method, path, body, route in (
        ("GET", "/tracks", None, "/tracks"),
        ("GET", f"/tracks/{track}", None, "/tracks/{track_id}"),
        ("POST", f"/tracks/{track}/play", {"duration": 1}, "/tracks/{track_id}/play"),
        ("POST", "/auth/login", login, "/auth/login"),
    ):
        counted.clear()
        signed = () if path == "/auth/login" else (token,)
        for headers in (signed, (*signed, ELSEWHERE)):
            answer = await ask(world.app, method, f"/api/v1{path}", *headers, json_body=body)
            assert answer.status == 200
        assert counted == [(method, f"/api/v1{route}", 200)] * 2


class Told:
    """In place of the edge's log: whether it was cached before depends on which test came first."""

    def __init__(self) -> None:
        self.lines: list[dict[str, Any]] = []

    def warning(self, event: str, **fields: Any) -> None:
        self.lines.append({"event": event, **fields})

    exception = warning


@pytest.mark.parametrize(
    ("failure", "status", "kind", "events"),
    [
        (StorageUnavailable("the bucket"), 503, "StorageUnavailable", ["request.broken_off"]),
        (NoSuchFile(), 500, "NoSuchFile", ["request.broken_off"]),
        (ZeroDivisionError("a bug"), 500, "ZeroDivisionError", ["request.crashed", "request.broken_off"]),
    ],
)
async def test_what_breaks_off_is_counted_as_what_it_came_to(
    world: World,
    counted: list[Any],
    monkeypatch: pytest.MonkeyPatch,
    failure: Exception,
    status: int,
    kind: str,
    events: list[str],
) -> None:
    """X15, G35: a bucket that dies, or a file that goes, after the first piece is no success and no crash."""

    async def open_range(*_: Any) -> AsyncIterator[bytes]:
        yield BYTES[:100]
        raise failure

    track = await plant(world, await world.person("olga"))
    log = Told()
    monkeypatch.setattr("veza.core.edge.log", log)
    monkeypatch.setattr(world.parts.storage, "local_name", lambda _key: None)
    monkeypatch.setattr(world.parts.storage, "open_range", open_range)
    counted.clear()
    before = crashes(kind), crashes("LitestarException")
    answer = await world.guest.get(f"/tracks/{track}/download")
    assert (answer.status_code, answer.content) == (200, BYTES[:100])
    assert counted == [("GET", "/api/v1/tracks/{track_id}/download", status)]
    assert [line["event"] for line in log.lines] == events
    assert log.lines[-1]["answered"] == 200
    assert log.lines[0]["exc_info"] is failure
    is_ours = "request.crashed" in events
    assert (crashes(kind), crashes("LitestarException")) == (before[0] + is_ours, before[1])


def crashes(kind: str) -> float:
    found = re.search(rf'veza_errors_total{{kind="{kind}"}} (\S+)', render().decode())
    return float(found[1]) if found else 0.0
