"""Files on their way out."""

import hashlib
import os
import socket
import struct
import time
from pathlib import Path

import pytest

from tests.faults.server_harness import PATIENT, SOON, App, running, temporary_file, until
from veza.core import filebytes
from veza.core.filebytes import send_file

HOST = b"Host: veza.test\r\n"
GET = b"GET /hello HTTP/1.1\r\n" + HOST + b"\r\n"
CONTENT = b"".join(hashlib.sha256(b"%d" % n).digest() for n in range(1 << 16)) * 4  # 8 MiB


@pytest.fixture(scope="module")
def shared():
    with temporary_file(CONTENT) as path, running(**PATIENT) as server:
        server.app.file = path
        yield server


@pytest.fixture
def server(shared):
    yield shared
    shared.settle()


@pytest.fixture(params=["memory", "disk"])
def source(request, monkeypatch):
    """The bytes are in the page cache, or as if they were not."""
    if request.param == "disk":
        monkeypatch.setattr(filebytes, "_in_memory", lambda *_: False)


def get(start: int, length: int, method: bytes = b"GET") -> bytes:
    return b"%b /sendfile?%d,%d HTTP/1.1\r\n%b\r\n" % (method, start, length, HOST)


def open_files(path: str) -> int:
    return sum(os.path.realpath(number) == path for number in Path("/proc/self/fd").iterdir())


@pytest.mark.usefixtures("source")
@pytest.mark.parametrize(
    ("start", "length"), [(0, len(CONTENT)), (0, 1), (len(CONTENT) - 1, 1), (300_001, 700_003), (0, 0)]
)
def test_exactly_these_bytes(server, start, length):
    """T18: and the connection goes on with the next request, pipelined or not."""
    with server.open(get(start, length) + GET) as wire:
        assert wire.answer().body == CONTENT[start : start + length]
        assert wire.answer().status == 200
        wire.send(get(5, 10))
        assert wire.answer().body == CONTENT[5:15]
    until(lambda: open_files(server.app.file) == 0)


def test_head_sends_no_bytes(server):
    """T18: only their number."""
    with server.open(get(0, 1000, b"HEAD") + GET) as wire:
        assert wire.answer(head_only=True).headers["content-length"] == "1000"
        assert wire.answer().body == b'"hello"'


@pytest.mark.usefixtures("source")
@pytest.mark.parametrize("how", ["close", "reset"])
def test_a_listener_that_leaves(server, how, caplog):
    """T18, G28: the file is closed at once; somebody who skips a song is no error in the log."""
    for _ in range(5):
        server.app.seen.clear()
        with server.open(get(0, len(CONTENT)), receive_buffer=4096) as wire:
            wire.more()
            if how == "reset":
                wire.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        server.wait_for("file closed")
    until(lambda: open_files(server.app.file) == 0)
    assert caplog.messages == []


def test_a_listener_that_stops_reading():
    """G25: is cut, and the file closed, after the time for writing."""
    with temporary_file(CONTENT) as path, running() as server:
        server.app.file = path
        with server.open(get(0, len(CONTENT)), receive_buffer=4096) as wire:
            began = time.monotonic()
            server.wait_for("file closed")
            assert time.monotonic() - began < SOON
            assert len(wire.until_closed()) < len(CONTENT)
        until(lambda: open_files(path) == 0)


def test_a_listener_that_reads_slowly():
    """G25: gets it all, however long it takes."""
    with temporary_file(CONTENT) as path, running(write_seconds=2, stands=True) as server:
        server.app.file = path
        with server.open(get(0, 4 << 20), receive_buffer=65536) as wire:
            for _ in range(25):
                wire.buffer += wire.socket.recv(65536)
                server.pass_by(0.1)
            assert wire.answer().body == CONTENT[: 4 << 20]


def test_a_listener_at_the_pace_of_the_music():
    """G25: takes little in the time for writing, and is not cut for what the kernel would hold of it."""
    with temporary_file(CONTENT) as path, running(write_seconds=1, stands=True) as server:
        server.app.file = path
        with server.open(get(0, len(CONTENT)), receive_buffer=65536) as wire:
            for _ in range(32):
                wire.buffer += wire.socket.recv(16384)
                server.pass_by(0.05)
            assert len(wire.buffer) < 1 << 20
            assert wire.answer().body == CONTENT


def test_many_listeners_at_once(server):
    """Each gets its own bytes."""
    wires = [server.open(get(n * 1000, 500_000)) for n in range(30)]
    for n, wire in enumerate(wires):
        with wire:
            assert wire.answer().body == CONTENT[n * 1000 :][:500_000]


def test_a_file_that_shrinks(server, caplog):
    """T18: the connection ends before the promised length, rather than go on with other bytes."""
    caplog.set_level("CRITICAL", "uvicorn.error")
    with server.open(get(len(CONTENT) - 100, 200)) as wire:
        assert wire.until_closed().endswith(CONTENT[-100:])


@pytest.mark.parametrize("by", ["path", "descriptor"])
async def test_other_servers_get_blocks(by):
    """Without the extension, the bytes come by ordinary messages, and the file is closed too."""
    sent = []

    async def send(message):
        sent.append(message)

    with temporary_file(CONTENT) as path:
        file = path if by == "path" else os.open(path, os.O_RDONLY)
        await send_file({}, send, file, 100, 600_000)
        assert open_files(path) == 0
        with pytest.raises(OSError, match="ends before"):
            await send_file({}, send, path, len(CONTENT), 1)
        assert open_files(path) == 0
    assert b"".join(message["body"] for message in sent) == CONTENT[100:600_100]
    assert max(len(message["body"]) for message in sent) == filebytes.BLOCK_BYTES
    assert not sent[-1].get("more_body")


def test_more_bytes_than_were_announced(caplog):
    """T18: never more than Content-Length, which would be read as the next answer."""
    caplog.set_level("CRITICAL", "uvicorn.error")

    class Liar(App):
        async def sendfile(self, scope, receive, send):
            headers = [(b"content-length", b"5")]
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            await send_file(scope, send, self.file, 0, 10)

    with temporary_file(CONTENT) as path, running(Liar()) as server:
        server.app.file = path
        (answer,) = server.ask(get(0, 10))
        assert answer.status == 500
