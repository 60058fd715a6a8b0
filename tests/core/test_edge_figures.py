"""What the edge counts and logs of each request: under which route, and as what it came to."""

import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.core.asking import ask
from tests.rooms.tracks_house import plant
from tests.world import PASSWORD, World, open_world
from veza.core.db import Database
from veza.core.metrics import render

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
