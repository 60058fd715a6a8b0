"""Every route there is, asked by everybody: what its signature promises is what it answers.

Nothing here names a route, so a new one is held to the same by itself.
"""

import re
from datetime import timedelta
from uuid import uuid4

import pytest
from litestar.routes import HTTPRoute

from tests.core.asking import ask
from tests.world import PASSWORD, open_world
from veza.core import clock
from veza.core.http import JSON_BYTES

ROLES = ("user", "moderator", "admin")
# By one of these a route says that it wants to know who asks.
ASKERS = {"actor", "viewer", "listener"}


def calls(app):
    """(method, path, handler) of every route, with ids of things that do not exist."""
    for route in app.app.routes:
        if isinstance(route, HTTPRoute):
            path = re.sub(r"{\w+}", lambda _: str(uuid4()), route.path_format)
            for handler in route.route_handlers:
                for method in sorted(handler.http_methods - {"OPTIONS"}):
                    yield method, path, handler


def wanted(handler) -> set[str]:
    return set(handler.parsed_fn_signature.parameters)


@pytest.fixture
async def world(database, tmp_path):
    async with open_world(database, tmp_path / "data") as opened:
        yield opened


JSON, FORM = "application/json", "multipart/form-data; boundary=b"
# (Content-Type, body): none, empty, malformed, not valid, of the wrong type, too large.
BODIES = [
    ("", b""),
    (JSON, b""),
    (JSON, b"{"),
    (JSON, b'{"no_such_field": 1}'),
    ("text/plain", b"x"),
    (FORM, b"x"),
    (JSON, b" " * (JSON_BYTES + 1)),
]


async def test_a_guest_is_asked_to_sign_in_wherever_a_member_is_needed(world):
    """G1, D2: 401 with WWW-Authenticate and before anything else, whatever was sent; never 500."""
    seen = 0
    for method, path, handler in calls(world.app):
        for content_type, body in BODIES if method != "GET" else BODIES[:2]:
            for query in ("", "?page=x&limit=0&sort_by=x"):
                headers = [("content-type", content_type)] if content_type else []
                answer = await ask(world.app, method, path + query, *headers, body=body)
                assert answer.status < 500, (method, path, answer.body)
                if answer.status >= 400:
                    assert answer.error
                if "actor" in wanted(handler):
                    seen += 1
                    assert (answer.status, answer.error) == (401, "UNAUTHENTICATED"), (method, path)
                    assert answer.headers["www-authenticate"] == "Bearer"
                else:
                    assert answer.status != 401, (method, path)
    assert seen > 100


async def test_a_bad_token_is_seen_before_the_body(world):
    """G1, G2: what is wrong with the token comes before what is wrong with the rest."""
    for method, path, handler in calls(world.app):
        if ASKERS & wanted(handler):
            for content_type, body in BODIES:
                headers = [("authorization", "Bearer a.b.c"), ("content-type", content_type)]
                answer = await ask(world.app, method, path + "?page=x", *headers, body=body)
                assert (answer.status, answer.error) == (401, "INVALID_TOKEN"), (method, path)


@pytest.mark.parametrize(
    ("authorization", "code"),
    [
        (("",), "UNAUTHENTICATED"),
        (("Bearer",), "UNAUTHENTICATED"),
        (("Bearer ",), "UNAUTHENTICATED"),
        (("Basic dTpw",), "UNAUTHENTICATED"),
        (("Bearer a.b.c", "Bearer a.b.c"), "UNAUTHENTICATED"),
        (("Bearer a.b.c",), "INVALID_TOKEN"),
        (("Bearer \xff\xfe",), "INVALID_TOKEN"),
        (("Bearer " + "x" * 60_000,), "INVALID_TOKEN"),
    ],
)
async def test_a_bad_token_is_refused_even_where_none_is_needed(world, authorization, code):
    """G1, G2: nobody who shows a token is silently taken for a guest."""
    headers = [("authorization", value) for value in authorization]
    for method, path, handler in calls(world.app):
        if ASKERS & wanted(handler):
            answer = await ask(world.app, method, path, *headers)
            assert (answer.status, answer.error) == (401, code), (method, path)


async def test_whoever_is_signed_in_no_longer_is_refused_everywhere(world):
    """A13, A18, U8: who signed out, is suspended or gone, or whose token is a day old, seen before or not."""
    boss = await world.person("boss", "admin")
    people = {name: await world.person(name) for name in ("left", "banned", "erased", "late")}
    for person in people.values():
        assert (await person.get("/tracks")).status_code == 200, "and remembered by their token"
    ended = {
        "left": people["left"].post("/sessions/logout"),
        "banned": boss.post(f"/admin/users/{people['banned'].id}/suspend", json={"reason": "Spam"}),
        "erased": people["erased"].delete(f"/users/{people['erased'].id}", json={"password": PASSWORD}),
    }
    for name, person in people.items():
        if name in ended:
            assert (await ended[name]).status_code == 200, name
        header = ("authorization", person.client.headers["authorization"])
        with clock.shifted(timedelta(days=name == "late", minutes=1)):
            for method, path, handler in calls(world.app):
                if ASKERS & wanted(handler):
                    answer = await ask(world.app, method, path, header)
                    assert (answer.status, answer.error) == (401, "INVALID_TOKEN"), (name, method, path)


@pytest.mark.parametrize("role", ROLES)
async def test_no_route_fails_for_anybody_signed_in(world, role):
    """D2, G24: whoever is signed in is never asked to, breaks nothing, and gets what no cache keeps."""
    token = await sign_in(world, role)
    for method, path, handler in calls(world.app):
        for body in (b"", b"{}", b'{"id": 1, "role": "admin"}'):
            headers = [("authorization", f"Bearer {token}"), ("content-type", "application/json")]
            answer = await ask(world.app, method, path, *headers, body=body)
            assert answer.status < 500, (method, path, body, answer.body)
            if ASKERS & wanted(handler):
                assert answer.status != 401, (method, path)
                assert "no-store" in answer.headers["cache-control"], (method, path)
            alive = await ask(world.app, "GET", "/api/v1/auth/me", ("authorization", f"Bearer {token}"))
            if alive.status == 401:
                assert answer.status == 200, (method, path)
                token = await sign_in(world, role)


@pytest.mark.parametrize("role", ["guest", "user"])
async def test_to_read_changes_nothing(world, database, role):
    """G31: no GET of what is not there leaves a trace in any table; HEAD answers the same.

    What is there is read in `tests/rooms/test_*_guard.py`; that HEAD has no body is the server's doing.
    """
    headers = [] if role == "guest" else [("authorization", f"Bearer {await sign_in(world, role)}")]
    before = await contents(database)
    for method, path, _ in calls(world.app):
        if method == "GET" and "/metrics" not in path:
            read = await ask(world.app, "GET", path, *headers)
            looked = await ask(world.app, "HEAD", path, *headers)
            assert looked.status == read.status, path
            own = {"x-request-id", "x-ratelimit-remaining", "x-ratelimit-reset"}
            assert looked.headers.keys() - own == read.headers.keys() - own, path
    assert await contents(database) == before


async def sign_in(world, role: str) -> str:
    person = await world.person(f"one-{role}", role)
    login = {"email": f"{person.username}@example.com", "password": PASSWORD}
    answer = await world.guest.post("/auth/login", json=login)
    return str(answer.json()["data"]["token"]["access_token"])


async def contents(database) -> dict[str, list]:
    """The rows of each table, sorted; from PostgreSQL at once, for each question there connects anew."""
    if database.dialect == "sqlite":
        listed = "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
        tables = [name for (name,) in await database.rows(listed)]
        return {name: sorted(map(repr, await database.rows(f"SELECT * FROM {name}"))) for name in tables}
    found = {
        name: []
        for (name,) in await database.rows("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
    }
    each = (f"SELECT '{name}', CAST(whole AS text) FROM {name} AS whole" for name in found)
    for name, row in await database.rows(" UNION ALL ".join(each)):
        found[name].append(row)
    return {name: sorted(rows) for name, rows in found.items()}
