"""What is not HTTP/1.1 is refused, once, and nothing is understood in two ways."""

import hashlib
import inspect
import json
import logging
import re
from functools import partial
from time import thread_time
from timeit import timeit

import pytest
from uvicorn.protocols.http import flow_control, httptools_impl

from tests.faults.server_harness import PATIENT, running
from veza.core.server_head import check_head

HOST = b"Host: veza.test\r\n"
GET = b"GET /hello HTTP/1.1\r\n" + HOST + b"\r\n"
LAST = b"GET /hello/last HTTP/1.1\r\n" + HOST + b"Connection: close\r\n\r\n"
SMUGGLED = b"GET /hello/smuggled HTTP/1.1\r\n" + HOST + b"\r\n"


def post(headers: bytes, body: bytes = b"") -> bytes:
    return b"POST /show HTTP/1.1\r\n" + HOST + headers + b"\r\n" + body


def chunked(body: bytes) -> bytes:
    return post(b"Transfer-Encoding: chunked\r\n", body)


BROKEN = {
    "no host": b"GET /hello HTTP/1.1\r\n\r\n",
    "two hosts": b"GET /hello HTTP/1.1\r\n" + HOST + HOST + b"\r\n",
    "two hosts, 1.0": b"GET /hello HTTP/1.0\r\n" + HOST + HOST + b"\r\n",
    "a host with a path": b"GET /hello HTTP/1.1\r\nHost: a/b\r\n\r\n",
    "a host with a blank": b"GET /hello HTTP/1.1\r\nHost: a b\r\n\r\n",
    "a host with a user": b"GET /hello HTTP/1.1\r\nHost: a@b\r\n\r\n",
    "CL and TE": post(b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", b"0\r\n\r\n"),
    "TE and CL": post(b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n", b"0\r\n\r\n"),
    "two CL, different": post(b"Content-Length: 1\r\nContent-Length: 2\r\n", b"ab"),
    "two CL, equal": post(b"Content-Length: 1\r\nContent-Length: 1\r\n", b"a"),
    "CL as a list": post(b"Content-Length: 1, 1\r\n", b"a"),
    "CL +4": post(b"Content-Length: +4\r\n", b"abcd"),
    "CL -1": post(b"Content-Length: -1\r\n"),
    "CL 0x4": post(b"Content-Length: 0x4\r\n", b"abcd"),
    "CL empty": post(b"Content-Length: \r\n"),
    "CL too large": post(b"Content-Length: 99999999999999999999\r\n"),
    "TE xchunked": post(b"Transfer-Encoding: xchunked\r\n", b"0\r\n\r\n"),
    "TE gzip, chunked": post(b"Transfer-Encoding: gzip, chunked\r\n", b"0\r\n\r\n"),
    "TE ,chunked": post(b"Transfer-Encoding: ,chunked\r\n", b"0\r\n\r\n"),
    "TE identity": post(b"Transfer-Encoding: identity\r\n"),
    "TE twice": post(b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", b"0\r\n\r\n"),
    "TE with VT": post(b"Transfer-Encoding: \x0bchunked\r\n", b"0\r\n\r\n"),
    "TE in 1.0": b"POST /show HTTP/1.0\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "LF after the request line": b"GET /hello HTTP/1.1\n" + HOST + b"\r\n",
    "LF after a header": b"GET /hello HTTP/1.1\r\nHost: x\n\r\n",
    "LF for the blank line": b"GET /hello HTTP/1.1\r\nHost: x\r\n\n",
    "CR in a value": b"GET /hello HTTP/1.1\r\n" + HOST + b"A: b\rc\r\n\r\n",
    "blank before the colon": b"GET /hello HTTP/1.1\r\nHost : x\r\n\r\n",
    "folded line": b"GET /hello HTTP/1.1\r\n" + HOST + b"A: b\r\n c\r\n\r\n",
    "folded first line": b"GET /hello HTTP/1.1\r\n Host: x\r\n\r\n",
    "NUL in a value": b"GET /hello HTTP/1.1\r\n" + HOST + b"A: b\0c\r\n\r\n",
    "control in a value": b"GET /hello HTTP/1.1\r\n" + HOST + b"A: b\x01c\r\n\r\n",
    "no name": b"GET /hello HTTP/1.1\r\n" + HOST + b": x\r\n\r\n",
    "no colon": b"GET /hello HTTP/1.1\r\n" + HOST + b"what\r\n\r\n",
    "unprintable target": b"GET /hello\xff HTTP/1.1\r\n" + HOST + b"\r\n",
    "blank in the target": b"GET /hello there HTTP/1.1\r\n" + HOST + b"\r\n",
    "HTTP/2.0": b"GET /hello HTTP/2.0\r\n" + HOST + b"\r\n",
    "HTTP/0.9": b"GET /hello HTTP/0.9\r\n" + HOST + b"\r\n",
    "unknown method": b"BREW /hello HTTP/1.1\r\n" + HOST + b"\r\n",
    "CONNECT": b"CONNECT a:80 HTTP/1.1\r\n" + HOST + b"\r\n",
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    "WebSocket with a body": post(
        b"Connection: Upgrade\r\nUpgrade: websocket\r\nContent-Length: 4\r\n", b"abcd"
    ),
}
BROKEN_CHUNKS = {
    "0x4": b"0x4\r\nabcd\r\n0\r\n\r\n",
    "+4": b"+4\r\nabcd\r\n0\r\n\r\n",
    "-4": b"-4\r\nabcd\r\n0\r\n\r\n",
    "blank": b"4 \r\nabcd\r\n0\r\n\r\n",
    "empty": b"\r\nabcd\r\n0\r\n\r\n",
    "overflow": b"FFFFFFFFFFFFFFFFF\r\nabcd\r\n",
    "too short": b"5\r\nabcd\r\n0\r\n\r\n",
    "too long": b"3\r\nabcd\r\n0\r\n\r\n",
    "LF after the size": b"4\nabcd\r\n0\r\n\r\n",
    "LF after the data": b"4\r\nabcd\n0\r\n\r\n",
    "LF in an extension": b"4;a\nb\r\nabcd\r\n0\r\n\r\n",
    "CR in an extension": b"4;a\rb\r\nabcd\r\n0\r\n\r\n",
    "CL in a trailer": b"0\r\nContent-Length: 5\r\n\r\n",
    "LF in a trailer": b"0\r\nA: b\n\r\n",
}


@pytest.fixture(scope="module")
def shared():
    with running(**PATIENT) as server:
        yield server


@pytest.fixture
def server(shared):
    yield shared
    shared.settle()


def assert_refused(answer, status=400, code="INVALID_REQUEST"):
    assert (answer.status, answer.code) == (status, code)
    body = json.loads(answer.body)
    assert body.keys() == {"success", "error"}
    assert body["success"] is False
    assert body["error"]["message"]
    assert body["error"]["details"] == []
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["connection"] == "close"
    assert re.fullmatch("[A-Za-z0-9-]{8,64}", answer.headers["x-request-id"])


@pytest.mark.parametrize("name", BROKEN)
def test_broken_requests_get_one_400_and_the_end(server, name):
    """G26: and what follows in the same bytes is never a request."""
    server.app.seen.clear()
    answers = server.ask(BROKEN[name] + SMUGGLED)
    assert len(answers) == 1
    assert_refused(answers[0])
    assert server.app.seen == []


@pytest.mark.parametrize("name", BROKEN_CHUNKS)
def test_broken_chunks_end_the_request(server, name):
    """G26: the application had the head already; it sees the client leave, and the client sees one 400."""
    server.app.seen.clear()
    with server.open(chunked(b"2\r\nok\r\n")) as wire:
        server.wait_for("/show")
        wire.send(BROKEN_CHUNKS[name] + SMUGGLED)
        answers = wire.answers()
    assert len(answers) == 1
    assert_refused(answers[0])
    server.wait_for("disconnect")
    assert server.app.seen == ["/show", "disconnect"]


@pytest.mark.parametrize("broken", ["no host", "CL and TE", "LF after a header"])
def test_a_refusal_waits_for_its_turn(server, broken):
    """G26: the answers to what came before are whole, and come first."""
    slow = b"GET /nap?0.1 HTTP/1.1\r\n" + HOST + b"\r\n"
    answers = server.ask(slow + GET + BROKEN[broken] + SMUGGLED)
    assert [answer.status for answer in answers] == [200, 200, 400]
    assert [json.loads(answer.body) for answer in answers[:2]] == ["slept", "hello"]


def test_a_broken_body_behind_a_slow_request(server):
    """G26: the request that was queued with half a body is refused in its turn, and never runs."""
    server.app.seen.clear()
    answers = server.ask(b"GET /nap?0.1 HTTP/1.1\r\n" + HOST + b"\r\n" + chunked(b"zz\r\n") + SMUGGLED)
    assert [answer.status for answer in answers] == [200, 400]
    assert server.app.seen == ["/nap"]


def test_a_refused_head_never_runs(server):
    """G26: an unknown Transfer-Encoding is refused before the application is started, not after."""
    server.app.seen.clear()
    server.ask(BROKEN["TE xchunked"])
    server.ask(LAST)
    assert server.app.seen == ["/hello/last"]


def test_nothing_follows_a_last_request(server):
    """G26: what comes after `Connection: close` is not read as a request."""
    server.app.seen.clear()
    assert [answer.status for answer in server.ask(LAST + SMUGGLED)] == [200]
    assert server.app.seen == ["/hello/last"]


FINE = {
    "1.0 without host": b"GET /hello HTTP/1.0\r\n\r\n",
    "IPv6 host": b"GET /hello HTTP/1.1\r\nHost: [::1]:8080\r\n\r\n",
    "empty host": b"GET /hello HTTP/1.1\r\nHost:\r\n\r\n",
    "absolute target": b"GET http://veza.test/hello HTTP/1.1\r\n" + HOST + b"\r\n",
    "absolute target without a path": b"GET http://veza.test HTTP/1.1\r\n" + HOST + b"\r\n",
    "empty lines before": b"\r\n\r\n" + GET,
    "tab in a value": b"GET /hello HTTP/1.1\r\n" + HOST + b"A: b\tc\r\n\r\n",
    "chunk extension": chunked(b"4;a=b\r\nabcd\r\n0\r\n\r\n"),
    "Chunked": post(b"Transfer-Encoding: Chunked\r\n", b"0\r\n\r\n"),
    "another Upgrade": b"GET /hello HTTP/1.1\r\n" + HOST + b"Connection: Upgrade\r\nUpgrade: h2c\r\n\r\n",
}


@pytest.mark.parametrize("name", FINE)
def test_unusual_but_right(server, name):
    """G26: strict is not narrow."""
    assert [answer.status for answer in server.ask(FINE[name] + LAST)] == [200] * (1 + ("1.0" not in name))


@pytest.mark.parametrize("pieces", ["one", "bytes"])
def test_the_body_after_an_unknown_upgrade_is_a_body(server, pieces):
    """G26: uvicorn loses it, or would take it for the next request."""
    offer = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n"
    data = post(offer + b"Content-Length: %d\r\n" % len(SMUGGLED), SMUGGLED) + LAST
    with server.open() as wire:
        for piece in [data] if pieces == "one" else [data[n : n + 7] for n in range(0, len(data), 7)]:
            wire.send(piece)
        shown, last = wire.answers()
    assert json.loads(shown.body)["body"].encode() == SMUGGLED
    assert json.loads(last.body) == "hello"


def test_every_byte_may_come_alone(server):
    """G26: how the network cuts a request does not change it."""
    data = chunked(b"3;x=y\r\nabc\r\n1\r\nd\r\n0\r\nTrailer: t\r\n\r\n") + LAST
    with server.open() as wire:
        for byte in data:
            wire.send(bytes([byte]))
        shown, last = wire.answers()
    assert json.loads(shown.body)["body"] == "abcd"
    assert last.status == 200


def test_trailers_are_not_headers(server):
    """G26: a trailer could otherwise say who is asking after everything was checked."""
    with server.open(chunked(b"1\r\na\r\n0\r\nX-Late: 1\r\nAuthorization: Bearer x\r\n\r\n")) as wire:
        headers = json.loads(wire.answer().body)["headers"]
    assert "x-late" not in headers
    assert "authorization" not in headers


@pytest.mark.parametrize("endless", [b"0\r\nX: ", b"4;ext="])
def test_endless_chunk_matter_is_cut(server, endless):
    """G27: a trailer or an extension that never ends is no way to fill memory."""
    with server.open(chunked(b"1\r\na\r\n" + endless)) as wire:
        for _ in range(320):  # what came in one read with the head is not counted: at most 256 KiB
            wire.send(b"x" * 1024)
        answers = wire.answers()
    assert [answer.status for answer in answers] == [400]


def head(size: int) -> bytes:
    """A request whose head has exactly so many bytes."""
    start = b"GET /hello HTTP/1.1\r\n" + HOST + b"Connection: close\r\nX-Big: "
    return start + b"x" * (size - len(start) - 4) + b"\r\n\r\n"


HEADS = {
    "100 headers": (b"GET /hello HTTP/1.1\r\n" + HOST + b"A: b\r\n" * 98 + b"Connection: close\r\n\r\n", 200),
    "101 headers": (b"GET /hello HTTP/1.1\r\n" + HOST + b"A: b\r\n" * 100 + b"\r\n", 431),
    "2,000 headers": (b"GET /hello HTTP/1.1\r\n" + HOST + b"A: b\r\n" * 2000 + b"\r\n", 431),
    "32 KiB": (head(32 * 1024), 200),
    "33 KiB": (head(33 * 1024), 431),
    "70 KB": (head(70_000), 431),
    "300 KB without an end": (head(300_000)[:-4], 431),
    "8 KiB target": (b"GET /" + b"a" * 8191 + b" HTTP/1.1\r\n" + HOST + b"\r\n", 200),
    "longer target": (b"GET /" + b"a" * 8192 + b" HTTP/1.1\r\n" + HOST + b"\r\n", 414),
    "100 KB of target": (b"GET /" + b"a" * 100_000, 414),
}


@pytest.mark.parametrize("name", HEADS)
def test_the_size_of_a_head(server, name, monkeypatch):
    """G27: 431 for headers, 414 for the target; a large body in the same bytes is no large head."""
    data, status = HEADS[name]
    monkeypatch.setattr(type(server.app), "a" * 8191, type(server.app).hello, raising=False)
    with server.open(data) as wire:
        answer = wire.answer()
        assert answer.status == status
        if status != 200:
            assert_refused(answer, status, {431: "HEADERS_TOO_LARGE", 414: "URI_TOO_LONG"}[status])
            assert wire.answer() is None


def test_a_large_body_in_the_same_bytes_is_no_large_head(server):
    """G27."""
    with server.open(post(b"Content-Length: 200000\r\n", b"x" * 200_000)) as wire:
        assert len(json.loads(wire.answer().body)["body"]) == 200_000
    with server.open(post(b"Content-Length: 60000\r\n", b"x" * 60_000) + GET[:20]) as wire:
        assert wire.answer().status == 200
        wire.send(GET[20:])
        assert wire.answer().status == 200


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        (b"abcDEF-123", True),
        (b"short", False),
        (b"a" * 65, False),
        (b"a b c d e f", False),
        (b"<script>", False),
    ],
)
def test_the_request_id_of_a_refusal(server, sent, kept):
    """G23: only letters, digits and hyphens come back."""
    (answer,) = server.ask(b"GET / HTTP/1.1\r\nX-Request-ID: " + sent + b"\r\n\r\n")
    assert (answer.headers["x-request-id"] == sent.decode()) is kept


def test_no_body_in_answer_to_head(server):
    """G13: also when the request is refused, or the answer says 304."""
    with server.open(b"HEAD /hello HTTP/1.1\r\n\r\n") as wire:
        assert wire.answer(head_only=True).status == 400
        assert wire.until_closed() == b""
    with server.open(b"HEAD /hello HTTP/1.1\r\n" + HOST + b"\r\n" + GET) as wire:
        assert wire.answer(head_only=True).headers["content-length"] == "7"
        assert json.loads(wire.answer().body) == "hello"
    with server.open(b"GET /unchanged HTTP/1.1\r\n" + HOST + b"\r\n" + GET) as wire:
        assert wire.answer().status == 304
        assert json.loads(wire.answer().body) == "hello"


def test_a_crash_is_a_500_in_the_envelope(server, caplog):
    """G35: for what the application did not catch itself."""
    caplog.set_level(logging.CRITICAL, "uvicorn.error")
    (answer,) = server.ask(b"GET /boom HTTP/1.1\r\n" + HOST + b"\r\n")
    assert_refused(answer, 500, "INTERNAL_ERROR")


def test_a_header_value_cannot_write_headers(server, caplog):
    """G23: line ends in a response header end in a 500, not in a header more."""
    caplog.set_level(logging.CRITICAL, "uvicorn.error")
    (answer,) = server.ask(b"GET /split HTTP/1.1\r\n" + HOST + b"\r\n")
    assert answer.status == 500
    assert "set-cookie" not in answer.headers


def test_pipelining_has_an_end(server):
    """G25: one packet of small requests must not become thousands of waiting ones."""
    answers = server.ask(GET * 200)
    assert [answer.status for answer in answers] == [200] * 65 + [503]
    assert answers[-1].headers["retry-after"]


def test_one_zero_without_length_ends_with_the_connection(server):
    """RFC 9112, 6.1: nothing chunked for HTTP/1.0."""
    with server.open(b"GET /stream?1 HTTP/1.0\r\n\r\n") as wire:
        head, _, body = wire.until_closed().partition(b"\r\n\r\n")
    assert b"transfer-encoding" not in head
    assert len(body) == 1 << 16


def test_the_check_is_cheap():
    """G26: for a request as browsers send them, less work than 300 turns of a loop that does nothing."""
    names = [
        b"host",
        b"user-agent",
        b"accept",
        b"accept-language",
        b"accept-encoding",
        b"authorization",
        b"cookie",
    ]
    names += [b"connection", b"referer", b"sec-fetch-dest", b"sec-fetch-mode", b"if-none-match"]
    good: set[bytes] = set()
    work = partial(check_head, [(name, b"veza.test") for name in names], "1.1", good)
    checks, turns = [], []
    for _ in range(200):
        checks.append(timeit(work, timer=thread_time, number=50))
        turns.append(timeit(timer=thread_time, number=300 * 50))
    assert min(checks) < min(turns)


def test_uvicorn_is_the_one_we_know():
    """Our protocol overrides parts of these files: after an upgrade, read what changed, then change this."""
    source = inspect.getsource(httptools_impl) + inspect.getsource(flow_control)
    assert hashlib.sha256(source.encode()).hexdigest()[:16] == "ea814cf42e50628d"
