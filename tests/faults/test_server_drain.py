"""Start, drain and end of the server process."""

import asyncio
import errno
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from tests.faults.server_harness import PATIENT, SOON, WAIT, App, running, until
from veza.core.server import _Server

HOST = b"Host: veza.test\r\n"
GET = b"GET /hello HTTP/1.1\r\n" + HOST + b"\r\n"
BENCH = Path(__file__).parents[2] / "bench"
UNHURRIED = {**PATIENT, "drain_seconds": WAIT, "drain_idle_seconds": WAIT}
PROGRAM = """
import asyncio, sys
from veza.core.server import serve

async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        for _ in range(2):
            event = await receive()
            print(event["type"], flush=True)
            if mode == "fail":
                await send({"type": "lifespan.startup.failed", "message": "no database"})
                return
            await send({"type": event["type"] + ".complete"})
        return
    print("request", flush=True)
    loop, told = asyncio.get_running_loop(), asyncio.Event()
    loop.add_reader(0, told.set)
    await told.wait()
    loop.remove_reader(0)
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"ok"})

mode = sys.argv[1]
options = eval(sys.argv[2])
say = lambda host, port: print("ready", host, port, flush=True)
drain = lambda: print("drain", flush=True)
sys.exit(serve(app, ready=say, on_drain=drain, **options))
"""


def start(mode="run", **options):
    options = {"port": 0, "drain_seconds": 600, **options}
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM, mode, repr(options)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def address_of(process):
    assert process.stdout.readline() == "lifespan.startup\n"
    word, host, port = process.stdout.readline().split()
    assert word == "ready"
    return host, int(port)


def ask(address):
    """Ask something that is answered when a line is said to the process."""
    wire = socket.create_connection(address, timeout=WAIT)
    wire.sendall(GET)
    return wire


def go(process):
    process.stdin.write("\n")
    process.stdin.flush()


def is_refused(address):
    try:
        socket.create_connection(address).close()
    except ConnectionRefusedError:
        return True
    return False


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_drains_and_exits_with_0(number):
    """X13: the request under way is answered, an idle connection closed, nothing new accepted."""
    with start() as process:
        address = address_of(process)
        with ask(address) as wire, socket.create_connection(address, timeout=WAIT) as idle:
            assert process.stdout.readline() == "request\n"
            process.send_signal(number)
            assert process.stdout.readline() == "drain\n"
            until(lambda: is_refused(address))  # a moment after that is said
            go(process)
            assert b"connection: close\r\n" in wire.recv(1000)
            assert idle.recv(10) == b""
        out, err = process.communicate(timeout=WAIT)
    assert (out, err, process.returncode) == ("lifespan.shutdown\n", "", 0)


def test_a_second_signal_ends_at_once():
    """X13: for whoever cannot wait; the application is still told."""
    with start() as process, ask(address_of(process)):
        assert process.stdout.readline() == "request\n"
        process.send_signal(signal.SIGTERM)
        assert process.stdout.readline() == "drain\n"
        process.send_signal(signal.SIGTERM)
        process.wait(WAIT)  # and whoever asked still waits
        out = process.stdout.read()
    assert (out, process.returncode) == ("lifespan.shutdown\n", 1)


def test_a_taken_port_is_one_clear_line():
    """X9: and the application is never started."""
    with socket.create_server(("127.0.0.1", 0)) as other, start(port=other.getsockname()[1]) as process:
        out, err = process.communicate(timeout=WAIT)
        port = other.getsockname()[1]
    assert (out, process.returncode) == ("", 1)
    assert (
        err == f"veza: 127.0.0.1:{port} is already in use; stop what listens there, or choose another port\n"
    )


def test_an_address_that_is_not_ours_is_one_clear_line():
    """X9."""
    with start(host="192.0.2.1", port=8080) as process:
        out, err = process.communicate(timeout=WAIT)
    assert (out, process.returncode) == ("", 1)
    assert err == f"veza: cannot listen on 192.0.2.1:8080: {os.strerror(errno.EADDRNOTAVAIL)}\n"


def test_an_application_that_does_not_start():
    """X3: exit code 1, and nothing was ever accepted."""
    with start("fail") as process:
        out, _ = process.communicate(timeout=WAIT)
    assert (out, process.returncode) == ("lifespan.startup\n", 1)


def test_two_processes_on_one_port():
    """Several processes share a port when told to."""
    with start(reuse_port=True) as one:
        host, port = address_of(one)
        with start(reuse_port=True, port=port) as two:
            assert address_of(two) == (host, port)
            for process in (one, two):
                process.terminate()
            assert [process.wait(WAIT) for process in (one, two)] == [0, 0]


def test_a_unix_socket(tmp_path):
    """A left-over socket is replaced, a live one is not, and the path is gone afterwards."""
    path = str(tmp_path / "veza.sock")
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(path)
    with start(uds=path) as process:
        assert process.stdout.readline() == "lifespan.startup\n"
        assert process.stdout.readline() == f"ready {path} 0\n"
        with socket.socket(socket.AF_UNIX) as wire:
            wire.connect(path)
            wire.sendall(GET)
            go(process)
            assert wire.recv(1000).startswith(b"HTTP/1.1 200 ")
        with start(uds=path) as second:
            assert second.wait(WAIT) == 1
        process.terminate()
        assert process.wait(WAIT) == 0
    assert not Path(path).exists()


def test_ipv6():
    """X20."""
    with start(host="::1") as process:
        with ask(address_of(process)) as wire:
            go(process)
            assert wire.recv(1000).startswith(b"HTTP/1.1 200 ")
        process.terminate()
        assert process.wait(WAIT) == 0


def test_a_request_that_arrives_during_the_drain():
    """X13: on a connection that was idle: it gets its answer, and is told that it is the last."""
    with running(**UNHURRIED) as server, server.open(GET) as wire:
        assert "connection" not in wire.answer().headers
        server.stop()
        assert server.drained.wait(WAIT)
        wire.send(GET)
        assert wire.answer().headers["connection"] == "close"
        assert wire.answer() is None
    assert server.exit_code == [0]
    assert server.app.seen[-1] == "lifespan.shutdown"


def test_an_upload_that_begins_during_the_drain():
    """C31: comes back with 503 and Retry-After, before a byte of it is read."""
    with running(**UNHURRIED) as server, server.open(GET) as wire:
        wire.answer()
        server.stop()
        assert server.drained.wait(WAIT)
        wire.send(b"POST /count HTTP/1.1\r\n" + HOST + b"Content-Length: 5\r\n\r\n")
        answer = wire.answer()
        assert (answer.status, answer.code) == (503, "SERVICE_UNAVAILABLE")
        assert int(answer.headers["retry-after"]) > 0
    assert "/count" not in server.app.seen


def test_uploads_under_way_at_the_drain(monkeypatch):
    """C31: one that ends in time is taken, one that does not gets 503, and its application sees it leave."""
    over, gone_within = threading.Event(), _Server._gone_within

    async def gone_until_told(server, seconds):
        while seconds == UNHURRIED["drain_seconds"] and not over.is_set():  # noqa: ASYNC110 - another thread sets it
            await asyncio.sleep(0.01)
        return await gone_within(server, min(seconds, 1))

    monkeypatch.setattr(_Server, "_gone_within", gone_until_told)
    with running(**UNHURRIED) as server:
        half = b"POST /count HTTP/1.1\r\n" + HOST + b"Content-Length: 10\r\n\r\nhello"
        with server.open(half) as quick, server.open(half) as slow:
            until(lambda: server.app.at_work == 2)
            server.stop()
            assert server.drained.wait(WAIT)
            quick.send(b"hello")
            answer = quick.answer()
            assert (answer.status, json.loads(answer.body), answer.headers["connection"]) == (
                200,
                10,
                "close",
            )
            over.set()
            answer = slow.answer()
            assert (answer.status, answer.headers["retry-after"]) == (503, "5")
        server.thread.join(30)
    assert server.exit_code == [0]
    assert server.app.seen[-2:] == ["disconnect", "lifespan.shutdown"]


def test_a_request_that_outlives_the_drain():
    """X13: gets 503 where nothing was answered yet, and is cancelled; the server ends in time."""
    with (
        running(drain_seconds=0.3) as server,
        server.open(b"GET /nap?30 HTTP/1.1\r\n" + HOST + b"\r\n") as wire,
    ):
        server.wait_for("/nap")
        began = time.monotonic()
        server.stop()
        assert wire.answer().status == 503
        server.thread.join(WAIT)
        assert time.monotonic() - began < SOON
    assert server.exit_code == [0]


def test_websockets_live_and_are_told_to_come_back():
    """H5, X13: echo, large frames refused with 1009, no compression, and 1012 at the drain."""
    with running(stands=True) as server:
        url = f"ws://127.0.0.1:{server.address[1]}/"
        with connect(url) as wire:
            assert wire.response.headers.get("Sec-WebSocket-Extensions") is None
            wire.send("hello")
            assert wire.recv(WAIT) == "hello"
            wire.send("x" * 70_000)
            with pytest.raises(ConnectionClosed) as closed:
                wire.recv(WAIT)
            assert closed.value.rcvd.code == 1009
        with connect(url) as wire:
            wire.send("hello")
            assert wire.recv(WAIT) == "hello"
            server.pass_by(0.8)  # none of HTTP's deadlines is a WebSocket's
            server.stop()
            with pytest.raises(ConnectionClosed) as closed:
                wire.recv(WAIT)
            assert closed.value.rcvd.code == 1012


def test_a_websocket_behind_a_slow_request_is_refused():
    """G26: two answers would meet on one connection."""
    handshake = (
        b"GET /hello HTTP/1.1\r\n"
        + HOST
        + b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
        + b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
    with running() as server:
        answers = server.ask(b"GET /nap?0.2 HTTP/1.1\r\n" + HOST + b"\r\n" + handshake)
    assert [answer.status for answer in answers] == [200, 400]


def test_the_application_is_told_of_both_ends():
    """The lifespan is run whole."""
    app = App()
    with running(app):
        assert app.seen == ["lifespan.startup"]
    assert app.seen == ["lifespan.startup", "lifespan.shutdown"]
