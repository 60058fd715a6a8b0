import asyncio
import gc
import json
import re
from collections import Counter
from datetime import timedelta

import pytest

from tests.core.asking import ask
from tests.world import open_world
from veza.core import clock
from veza.core.errors import DatabaseBusy
from veza.core.exchange import Exchange
from veza.core.metrics import metrics, render
from veza.rooms.tracks import service
from veza.routes import is_uncounted

TRACKS = "/api/v1/tracks"
RANDOM = "01890a5d-ac96-774b-bcce-b302099a8057"
COUNTED = ("x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset")


@pytest.fixture
def world_with(database, tmp_path):
    return lambda **choices: open_world(database, tmp_path / "data", **choices)


@pytest.fixture
async def app(world_with):
    async with world_with() as world:
        yield world.app


def limited(**choices):
    return {"rate_limit_enabled": True, "rate_limit_global": "5/min", **choices}


async def test_what_no_route_has_is_404_and_what_no_route_does_is_405_with_what_it_does(app):
    """G13: Allow names every method, HEAD too; OPTIONS is no method of any route."""
    assert (await ask(app, "GET", "/api/v1/nothing")).error == "NOT_FOUND"
    assert (await ask(app, "GET", "/nothing")).error == "NOT_FOUND"
    for method in ("PATCH", "DELETE", "OPTIONS", "TRACE", "BREW"):
        answer = await ask(app, method, TRACKS)
        assert (answer.status, answer.error) == (405, "METHOD_NOT_ALLOWED")
        assert answer.headers["allow"] == "GET, HEAD, POST"
    assert (await ask(app, "POST", "/healthz")).headers["allow"] == "GET, HEAD"
    assert (await ask(app, "GET", "/api/v1/auth/login")).headers["allow"] == "POST"
    assert (await ask(app, "OPTIONS", "/api/v1/nothing")).status == 404


@pytest.mark.parametrize(
    "path",
    [
        "/api/v1//tracks",
        "//api/v1/tracks",
        "/api//v1/tracks",
        "/api/v1/tracks/",
        "/api/v1/tracks;a=b",
        "/api/v1/x/%2e%2e/tracks",
        "/api/v1/x/../tracks",
        "/api/v1/%2e/tracks",
        "/api/v1%2ftracks",
        f"/api/v1/tracks%2F{RANDOM}",
        "/api/v1/tracks%00",
        "/api/v1/tracks%5c",
        "/healthz/",
        "//healthz",
        "/api/v1/TRACKS",
    ],
)
async def test_a_path_has_one_spelling(app, path):
    """G14: what looks like a path of ours, but is not quite it, is none."""
    assert (await ask(app, "GET", path)).error == "NOT_FOUND"


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("/api/v1/tracks/not-an-id", 400, "INVALID_REQUEST"),
        ("/api/v1/tracks/123", 400, "INVALID_REQUEST"),
        (f"/api/v1/tracks/{{{RANDOM}}}", 400, "INVALID_REQUEST"),
        (f"/api/v1/tracks/{RANDOM}", 404, "TRACK_NOT_FOUND"),
        ("/api/v1/tracks/quota/status", 401, "UNAUTHENTICATED"),
    ],
)
async def test_an_id_is_a_uuid_and_words_come_first(app, path, status, code):
    """G15: literal parts of a path win over ids, and an id that is none is 400."""
    answer = await ask(app, "GET", path)
    assert (answer.status, answer.error) == (status, code)


@pytest.mark.parametrize(
    "query",
    [
        "page=0",
        "page=-1",
        "page=abc",
        "page=1000000000000000000",
        "limit=0",
        "limit=101",
        "sort_by=password",
        "sort_order=sideways",
        "user_id=1",
    ],
)
async def test_a_bad_query_is_400(app, query):
    """G9, G11: no clamping, no guessing."""
    answer = await ask(app, "GET", f"{TRACKS}?{query}")
    assert (answer.status, answer.error) == (400, "INVALID_REQUEST")
    assert list(answer.fields) == [query.partition("=")[0]]


async def test_every_answer_of_the_api_tells_the_callers_standing(world_with):
    """G17, G20: errors, unknown paths and uncounted bytes tell it too; only the last are not counted."""
    async with world_with(**limited(rate_limit_global="8/min")) as world:
        tracks = await ask(world.app, "GET", TRACKS)
        assert [tracks.headers[name] for name in COUNTED[:2]] == ["8", "7"]
        reset = int(tracks.headers["x-ratelimit-reset"])
        assert 0 < reset - clock.now().timestamp() <= 61
        for method, path, status, left in [
            ("GET", "/api/v1/nothing", 404, "6"),
            ("GET", "/api/v1//tracks", 404, "5"),
            ("GET", f"/api/v1/tracks/{RANDOM}/stream", 404, "5"),
            ("HEAD", f"/api/v1/tracks/{RANDOM}/download", 404, "5"),
            ("GET", f"/api/v1/tracks/{RANDOM}/download", 404, "4"),
            ("PUT", f"/api/v1/tracks/{RANDOM}/cover", 401, "3"),
            ("DELETE", f"/api/v1/users/{RANDOM}/avatar", 401, "2"),
            ("GET", "/api/v1/auth/me", 401, "1"),
            ("GET", f"{TRACKS}?page=0", 400, "0"),
        ]:
            answer = await ask(world.app, method, path)
            assert (answer.status, answer.headers["x-ratelimit-remaining"]) == (status, left)
            assert answer.headers["x-ratelimit-reset"] == str(reset)
        refused = await ask(world.app, "GET", TRACKS)
        assert (refused.status, refused.error) == (429, "RATE_LIMITED")
        assert refused.headers["x-ratelimit-remaining"] == "0"
        assert 1 <= int(refused.headers["retry-after"]) <= 60
        free = await ask(world.app, "GET", f"/api/v1/tracks/{RANDOM}/stream")
        assert free.status == 404
        assert COUNTED[0] not in (await ask(world.app, "GET", "/healthz")).headers
        with clock.shifted(timedelta(seconds=61)):
            assert (await ask(world.app, "GET", TRACKS)).headers["x-ratelimit-remaining"] == "7"


@pytest.mark.parametrize(
    ("uncounted", "method", "path", "headers"),
    [
        (True, "GET", "/tracks/1/stream", {}),
        (True, "OPTIONS", "/tracks/1/hls/aac_96/2.m4s", {"origin": "https://a.example"}),
        (True, "GET", "/tracks/1/cover", {}),
        (True, "HEAD", "/users/1/avatar", {}),
        (False, "PUT", "/tracks/1/cover", {}),
        (False, "DELETE", "/tracks/1/cover", {}),
        (False, "PUT", "/playlists/1/cover", {}),
        (False, "DELETE", "/users/1/avatar", {}),
        (False, "PATCH", "/tracks/1/stream", {}),
        (False, "BREW", "/tracks/1/download", {"range": "bytes=5-"}),
        (True, "POST", "/tracks/chunk", {}),
        (True, "POST", "/payments/stripe/webhook", {}),
        (False, "GET", "/tracks/chunk", {}),
        (False, "POST", "/x/tracks/chunk", {}),
        (False, "POST", "/tracks/1/cover", {}),
        (True, "HEAD", "/tracks/1/download", {}),
        (False, "GET", "/tracks/1/download", {}),
        (False, "GET", "/marketplace/download/1/file", {"range": "bytes=0-9"}),
        (True, "GET", "/marketplace/download/1/file", {"range": "bytes=10-19"}),
        (True, "GET", "/tracks/1/download", {"range": "Bytes=5-"}),
        (False, "GET", "/tracks/1/download", {"range": "bytes=5-", "if-range": '"old"'}),
    ],
)
def test_only_what_leaves_nothing_behind_is_not_counted(uncounted, method, path, headers):
    """G17, G20: bytes that are read, and of a download all but its beginning, which is written down."""
    raw = [(name.encode(), value.encode()) for name, value in headers.items()]
    scope = {"method": method, "path": f"/api/v1{path}", "headers": raw}
    assert is_uncounted(Exchange(scope, ())) is uncounted


async def test_an_uncounted_first_request_tells_of_a_whole_window(world_with):
    """G17: as if nothing had been asked, since nothing has."""
    async with world_with(**limited()) as world:
        answer = await ask(world.app, "GET", f"/api/v1/tracks/{RANDOM}/stream")
        assert [answer.headers[name] for name in COUNTED[:2]] == ["5", "5"]


async def test_a_burst_passes_exactly_as_many_as_the_limit(world_with):
    """G17: two hundred at once, and not one too many or too few."""
    async with world_with(**limited(rate_limit_global="100/min")) as world:
        answers = await asyncio.gather(*(ask(world.app, "GET", TRACKS) for _ in range(200)))
        assert Counter(answer.status for answer in answers) == {200: 100, 429: 100}
        left = sorted(int(answer.headers["x-ratelimit-remaining"]) for answer in answers)
        assert left == [0] * 100 + list(range(100))


async def test_limits_can_be_turned_off(app):
    for _ in range(110):
        answer = await ask(app, "GET", TRACKS)
        assert answer.status == 200
    assert not set(COUNTED) & answer.headers.keys()


@pytest.mark.parametrize(
    ("trusted", "peer", "forwarded", "counted"),
    [
        ("", "203.0.113.7", ["198.51.100.1"], "203.0.113.7"),
        ("10.0.0.0/8", "203.0.113.7", ["198.51.100.1"], "203.0.113.7"),
        ("10.0.0.0/8", "10.1.2.3", ["198.51.100.1"], "198.51.100.1"),
        ("10.0.0.0/8", "10.1.2.3", ["6.6.6.6, 198.51.100.1, 10.9.9.9"], "198.51.100.1"),
        ("10.0.0.0/8", "10.1.2.3", ["6.6.6.6", "198.51.100.1"], "198.51.100.1"),
        ("10.0.0.0/8", "10.1.2.3", ["6.6.6.6, nonsense"], "10.1.2.3"),
        ("10.0.0.0/8", "10.1.2.3", ["10.4.4.4"], "10.4.4.4"),
        ("10.0.0.0/8,fd00::/8", "fd00::1", ["2001:db8:1:2:3:4:5:6"], "2001:db8:1:2::1"),
        ("10.0.0.0/8", "10.1.2.3", [], "10.1.2.3"),
        ("10.0.0.0/8", "::ffff:10.1.2.3", ["::FFFF:C633:6401"], "198.51.100.1"),
        ("::ffff:10.0.0.0/104", "10.1.2.3", ["198.51.100.1"], "198.51.100.1"),
        ("::ffff:10.1.2.3", "::ffff:10.1.2.3", ["198.51.100.1"], "198.51.100.1"),
        ("::ffff:10.0.0.0/104", "11.1.2.3", ["198.51.100.1"], "11.1.2.3"),
    ],
)
async def test_only_trusted_proxies_say_for_whom_they_ask(world_with, trusted, peer, forwarded, counted):
    """G16, G18: the right-most address that is not trusted is the caller's, however written; so is a /64."""
    async with world_with(**limited(trusted_proxies=trusted)) as world:
        headers = [("x-forwarded-for", value) for value in forwarded]
        await ask(world.app, "GET", TRACKS, *headers, peer=peer)
        same = await ask(world.app, "GET", TRACKS, peer=counted)
        assert same.headers["x-ratelimit-remaining"] == "3"
        other = await ask(world.app, "GET", TRACKS, peer="192.0.2.99")
        assert other.headers["x-ratelimit-remaining"] == "4"


@pytest.mark.parametrize("path", [TRACKS, "/api/v1/nothing", "/healthz", "/swagger/index.html"])
async def test_security_headers_are_on_every_answer(app, path):
    """G24: no sniffing, no referrer, no embedding, nothing that a browser may run or keep."""
    answer = await ask(app, "GET", path)
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert answer.headers["cross-origin-resource-policy"] == "same-site"
    assert "strict-transport-security" not in answer.headers
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'")
    assert "frame-ancestors 'none'" in policy
    assert Counter(name for name, _ in answer.raw if name != "vary").most_common(1)[0][1] == 1
    assert not {"server", "x-powered-by"} & answer.headers.keys()


async def test_what_is_for_one_caller_is_kept_by_nobody(world_with):
    """G24, G32: no shared cache keeps what a signed-in caller got, and HTTPS is for good."""
    async with world_with(public_url="https://music.example.com") as world:
        ada = await world.person("ada")
        for path in ("/auth/me", "/tracks", "/sessions", f"/users/{ada.id}"):
            answer = await ada.get(path)
            assert answer.status_code == 200
            assert "no-store" in answer.headers["cache-control"]
            assert answer.headers["strict-transport-security"] == "max-age=31536000"
        assert "no-store" not in (await world.guest.get("/tracks")).headers["cache-control"]


async def test_an_etag_is_never_shared_between_callers(world_with):
    """G32: who asks is part of what is asked."""
    async with world_with() as world:
        ada = await world.person("ada")
        first = await world.guest.get("/tracks")
        again = await world.guest.get("/tracks", headers={"If-None-Match": first.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")
        assert again.headers["etag"] == first.headers["etag"]
        assert "Authorization" in first.headers["vary"]
        of_ada = await world.guest.get(f"/users/{ada.id}")
        again = await world.guest.get(f"/users/{ada.id}", headers={"If-None-Match": of_ada.headers["etag"]})
        assert (again.status_code, "content-length" in again.headers) == (304, False), "RFC 9110, 8.6"
        changed = await world.guest.get("/tracks", headers={"If-None-Match": '"other"'})
        assert changed.status_code == 200
        own = await ada.get("/auth/me", headers={"If-None-Match": "*"})
        assert own.status_code == 200


@pytest.mark.parametrize("given", ["abcdefgh", "01890a5d-ac96-774b-bcce-b302099a8057", "X" * 64])
async def test_a_sane_request_id_is_kept(app, given):
    """G23: so that a caller finds its request in our logs."""
    for path in (TRACKS, "/api/v1/nothing", "/healthz"):
        answer = await ask(app, "GET", path, ("x-request-id", given))
        assert answer.headers["x-request-id"] == given


@pytest.mark.parametrize(
    "given", [None, "short", "X" * 65, "a b c d e f", "abcdefgh\r\nevil: 1", "ümlautümlaut"]
)
async def test_any_other_request_id_is_replaced(app, given):
    """G23: nothing that could write a line of a log by itself, and never the same twice."""
    headers = [] if given is None else [("x-request-id", given)]
    made = [(await ask(app, "GET", TRACKS, *headers)).headers["x-request-id"] for _ in range(3)]
    assert len({*made, given}) == 4
    assert all(re.fullmatch("[A-Za-z0-9-]{8,64}", one) for one in made)


EVIL, GOOD = ("origin", "https://evil.example"), ("origin", "https://music.example")
PREFLIGHT = ("access-control-request-method", "POST")


@pytest.mark.parametrize("origin", [EVIL, ("origin", "null"), ("origin", "https://music.example.evil")])
async def test_a_strange_origin_gets_no_leave(world_with, origin):
    """G21: no origin is reflected, null is nobody, and caches keep origins apart."""
    async with world_with(cors_origins="https://music.example, https://b.example") as world:
        for path in (TRACKS, "/api/v1/nothing"):
            answer = await ask(world.app, "GET", path, origin)
            assert not [name for name in answer.headers if name.startswith("access-control")]
            assert ("vary", "Origin") in answer.raw
        asked = await ask(world.app, "OPTIONS", TRACKS, origin, PREFLIGHT)
        assert (asked.status, asked.error) == (403, "FORBIDDEN")
        assert not [name for name in asked.headers if name.startswith("access-control")]


async def test_a_known_origin_gets_leave_without_credentials(world_with):
    """G21: and a page of it may read what the headers say."""
    async with world_with(cors_origins="https://music.example") as world:
        for path in (TRACKS, "/api/v1/nothing", "/api/v1/auth/me"):
            answer = await ask(world.app, "GET", path, GOOD)
            assert answer.headers["access-control-allow-origin"] == "https://music.example"
            shown = answer.headers["access-control-expose-headers"].split(", ")
            # Of a file, a page learns its name and which part of it this is.
            assert {"x-ratelimit-remaining", "content-disposition", "content-range"} <= set(shown)
            assert "access-control-allow-credentials" not in answer.headers
        asked = await ask(world.app, "OPTIONS", TRACKS, GOOD, PREFLIGHT)
        assert (asked.status, asked.body) == (204, b"")
        assert "POST" in asked.headers["access-control-allow-methods"]
        assert "authorization" in asked.headers["access-control-allow-headers"]
        plain = await ask(world.app, "GET", TRACKS)
        assert ("vary", "Origin") in plain.raw, "a cache must not hand it to another origin"


async def test_any_origin_may_be_let_in(world_with):
    async with world_with(cors_origins="*") as world:
        answer = await ask(world.app, "GET", TRACKS, EVIL)
        assert answer.headers["access-control-allow-origin"] == "*"
        assert "access-control-allow-credentials" not in answer.headers


async def test_a_crash_tells_nothing_is_counted_and_breaks_nothing(app, monkeypatch):
    """G22, G35: 500 with the request id; the log has the cause, the caller has not."""
    logged = []

    async def crash(*_, **__):
        raise ZeroDivisionError("SELECT secret FROM /home/veza")

    class Log:
        def exception(self, event, **fields):
            logged.append((event, fields))

    with monkeypatch.context() as patch:
        patch.setattr(service, "list_tracks", crash)
        patch.setattr("veza.core.edge.log", Log())
        before = errors_counted("ZeroDivisionError")
        answer = await ask(app, "GET", f"{TRACKS}?user_id={RANDOM}", ("x-request-id", "find-me-again"))
        assert (answer.status, answer.error) == (500, "INTERNAL_ERROR")
        assert errors_counted("ZeroDivisionError") == before + 1
    assert answer.headers["x-request-id"] == "find-me-again"
    for secret in (b"secret", b"home", b"Zero", b"Traceback", b"litestar", b"line "):
        assert secret not in answer.body
    assert [event for event, _ in logged] == ["request.crashed"]
    assert RANDOM not in repr(logged), "paths and queries may hold secrets"
    assert (await ask(app, "GET", TRACKS)).status == 200
    assert metrics.in_flight == 0


def errors_counted(kind: str) -> float:
    found = re.search(rf'veza_errors_total{{kind="{kind}"}} (\S+)', render().decode())
    return float(found[1]) if found else 0.0


async def test_a_busy_database_asks_for_patience(app, monkeypatch):
    """X1: 503 DB_BUSY with Retry-After."""

    async def busy(*_, **__):
        raise DatabaseBusy(headers={"Retry-After": "1"})

    monkeypatch.setattr(service, "list_tracks", busy)
    answer = await ask(app, "GET", TRACKS)
    assert (answer.status, answer.error) == (503, "DB_BUSY")
    assert answer.headers["retry-after"] == "1"


async def test_the_probes_say_how_it_is(world_with):
    """X13: whoever is about to end asks for no more requests."""
    async with world_with() as world:
        alive, ready = await ask(world.app, "GET", "/healthz"), await ask(world.app, "GET", "/readyz")
        assert (alive.status, json.loads(alive.body)["status"]) == (200, "ok")
        parts = dict.fromkeys(("database", "storage", "queue"), "ok")
        assert (ready.status, json.loads(ready.body)) == (200, {"status": "ready", "checks": parts})
        world.parts.readiness.drain()
        assert (await ask(world.app, "GET", "/readyz")).status == 503
        assert (await ask(world.app, "GET", "/healthz")).status == 200


@pytest.mark.parametrize("path", [TRACKS, f"{TRACKS}/{RANDOM}", f"{TRACKS}/search?q=love", "/api/v1/nothing"])
async def test_a_request_leaves_nothing_for_the_collector_of_garbage(app, path):
    """From the edge or by a route: what it needed goes with it, not when the collector comes by."""
    for _ in range(5):  # what is made once
        await ask(app, "GET", path)
    gc.collect()
    gc.disable()
    try:
        for _ in range(20):
            await ask(app, "GET", path)
        assert gc.collect() < 20
    finally:
        gc.enable()
