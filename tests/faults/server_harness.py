"""A server on a thread of its own, an application that shows what it saw, and a raw socket to talk to it."""

import asyncio
import json
import os
import re
import socket
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from unittest.mock import patch

import uvloop

from veza.core import server as server_module
from veza.core.filebytes import send_file
from veza.core.server import Limits, serve_async
from veza.core.server_watch import Watch

WAIT = 30.0
# What ends within some tenths of a second ends before that also on a machine that has other work.
SOON = 10.0
QUICK = {
    "head_seconds": 0.3,
    "idle_seconds": 0.4,
    "body_window_seconds": 0.3,
    "write_seconds": 0.3,
    "linger_seconds": 0.3,
    "drain_idle_seconds": 0.2,
    "sweep_seconds": 0.05,
}
# For clients that are slow only because the machine is.
PATIENT = QUICK | dict.fromkeys(
    ("head_seconds", "idle_seconds", "body_window_seconds", "write_seconds", "linger_seconds"), WAIT
)


class App:
    """An ASGI application whose paths say how it behaves; `seen` is what came to it, in order."""

    def __init__(self) -> None:
        self.seen: list[str] = []
        self.at_work = 0
        self.got = 0
        self.go = threading.Event()
        self.file = ""

    async def __call__(self, scope, receive, send):
        if scope["type"] == "lifespan":
            return await self.lifespan(receive, send)
        if scope["type"] == "websocket":
            return await self.websocket(receive, send)
        self.seen.append(scope["path"])
        self.at_work += 1
        try:
            await getattr(self, scope["path"].strip("/").partition("/")[0] or "hello")(scope, receive, send)
        finally:
            self.at_work -= 1
        return None

    async def lifespan(self, receive, send):
        for _ in range(2):
            event = await receive()
            self.seen.append(event["type"])
            await send({"type": event["type"] + ".complete"})

    async def websocket(self, receive, send):
        await receive()
        await send({"type": "websocket.accept"})
        while True:
            event = await receive()
            self.seen.append(event["type"])
            if event["type"] == "websocket.disconnect":
                return
            await send({"type": "websocket.send", "text": event["text"]})

    async def answer(self, send, value, status=200, headers=()):
        body = json.dumps(value).encode()
        start = [(b"content-length", b"%d" % len(body)), *headers]
        await send({"type": "http.response.start", "status": status, "headers": start})
        await send({"type": "http.response.body", "body": body})

    async def body(self, receive) -> bytes | None:
        got = b""
        while True:
            event = await receive()
            if event["type"] == "http.disconnect":
                self.seen.append("disconnect")
                return None
            got += event["body"]
            self.got = len(got)
            if not event["more_body"]:
                return got

    async def hello(self, scope, receive, send):
        await self.answer(send, "hello")

    async def show(self, scope, receive, send):
        got = await self.body(receive)
        headers = {name.decode(): value.decode("latin1") for name, value in scope["headers"]}
        await self.answer(
            send,
            {
                "method": scope["method"],
                "path": scope["path"],
                "query": scope["query_string"].decode(),
                "headers": headers,
                "body": (got or b"").decode(),
            },
        )

    async def count(self, scope, receive, send):
        got = await self.body(receive)
        if got is not None:
            await self.answer(send, len(got))

    async def nap(self, scope, receive, send):
        await asyncio.sleep(float(scope["query_string"] or b"0.3"))
        await self.answer(send, "slept")

    async def gate(self, scope, receive, send):
        """Answers when the test says so."""
        await asyncio.to_thread(self.go.wait, WAIT)
        await self.answer(send, "gone")

    async def lazy(self, scope, receive, send):
        """Reads its body only when the test says so: the client has to wait."""
        await asyncio.to_thread(self.go.wait, WAIT)
        await self.count(scope, receive, send)

    async def early(self, scope, receive, send):
        await self.answer(send, "too large", 413)

    async def stream(self, scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for _ in range(int(scope["query_string"])):
            await send({"type": "http.response.body", "body": bytes(1 << 16), "more_body": True})
        self.seen.append("streamed")
        await send({"type": "http.response.body"})

    async def boom(self, scope, receive, send):
        raise RuntimeError("a bug")

    async def split(self, scope, receive, send):
        await self.answer(send, "x", headers=[(b"x-name", b"a\r\nSet-Cookie: b")])

    async def unchanged(self, scope, receive, send):
        await send({"type": "http.response.start", "status": 304, "headers": [(b"content-length", b"9")]})
        await send({"type": "http.response.body"})

    async def sendfile(self, scope, receive, send):
        start, length = map(int, scope["query_string"].split(b","))
        headers = [(b"content-length", b"%d" % length)]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        try:
            await send_file(scope, send, self.file, start, length)
        finally:
            self.seen.append("file closed")


@dataclass
class Running:
    app: App
    address: tuple[str, int]
    stop: object
    thread: threading.Thread
    watch: Watch
    exit_code: list[int] = field(default_factory=list)
    drained: threading.Event = field(default_factory=threading.Event)

    def open(self, data: bytes = b"", **options) -> "Wire":
        return Wire(self.address, data, **options)

    def ask(self, data: bytes) -> list["Answer"]:
        """Everything that comes back for these bytes until the server closes."""
        with self.open(data) as wire:
            return wire.answers()

    @property
    def connections(self) -> int:
        """How many there are, as the server knows it."""
        return len(self.watch.state.connections)

    @property
    def phases(self) -> list[int]:
        """How far the clients of these are."""
        return [connection.phase for connection in tuple(self.watch.state.connections)]

    def pass_by(self, seconds: float) -> None:
        """Let time go by, where it stands: the server looks at its connections as often as it would."""
        for _ in range(round(seconds / self.watch.limits.sweep_seconds)):
            self.watch.ticked.clear()
            self.watch.loop.call_soon_threadsafe(self.watch.start, self.watch.loop)
            assert self.watch.ticked.wait(WAIT)

    def settle(self) -> None:
        """Nothing of what a test asked for is still under way; the next one begins with a clean sheet."""
        until(lambda: self.app.at_work == 0, "a request is still at work")
        self.app.seen.clear()

    def wait_for(self, event: str) -> None:
        until(lambda: event in self.app.seen, f"the application did not see {event}: {self.app.seen}")


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def code(self) -> str:
        return json.loads(self.body)["error"]["code"]


def until(true, why: str = "it did not come to pass", seconds: float = WAIT) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, why
        time.sleep(0.01)


class Wire:
    """A client's side of one connection."""

    def __init__(self, address, data: bytes = b"", *, receive_buffer: int | None = None) -> None:
        self.socket = socket.socket()
        if receive_buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.settimeout(WAIT)
        self.socket.connect(address)
        self.buffer = b""
        if data:
            self.send(data)

    def __enter__(self):
        return self

    def __exit__(self, *_) -> None:
        self.socket.close()

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def more(self) -> bool:
        got = self.socket.recv(1 << 20)
        self.buffer += got
        return bool(got)

    def answer(self, *, head_only: bool = False) -> Answer | None:
        """The next answer, by its Content-Length; None when the server closed instead."""
        while b"\r\n\r\n" not in self.buffer:
            if not self.more():
                assert not self.buffer, self.buffer
                return None
        head, _, self.buffer = self.buffer.partition(b"\r\n\r\n")
        status, *lines = head.decode().split("\r\n")
        found = re.fullmatch(r"HTTP/1\.1 (\d{3}) .*", status)
        assert found, head
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
        code = int(found[1])
        length = 0 if head_only or code in {100, 204, 304} else int(headers["content-length"])
        while len(self.buffer) < length:
            assert self.more(), "closed in the middle of a body"
        body, self.buffer = self.buffer[:length], self.buffer[length:]
        return Answer(code, headers, body)

    def answers(self) -> list[Answer]:
        found = []
        while (answer := self.answer()) is not None:
            found.append(answer)
        return found

    def until_closed(self) -> bytes:
        """What still came before the server closed."""
        deadline = time.monotonic() + WAIT
        with suppress(ConnectionError):
            while self.more():
                assert time.monotonic() < deadline, "the server did not close"
        return self.buffer


class StandingWatch(Watch):
    """A server's time that stands but for what a test has go by, however long the machine takes for it."""

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        if not hasattr(self, "ticked"):
            self.loop, self.ticked = loop, threading.Event()
        super().start(loop)
        self.stop()
        self.ticked.set()


@contextmanager
def running(
    app: App | None = None, *, drain_seconds: float = 2, stands: bool = False, **limits
) -> Iterator[Running]:
    """A server with quick deadlines, on uvloop as in production; its time ``stands`` if that is wanted."""
    app = app or App()
    up = threading.Event()
    box: dict[str, object] = {}
    exit_code: list[int] = []
    drained = threading.Event()

    def watch(*given) -> Watch:
        made = box["watch"] = (StandingWatch if stands else Watch)(*given)
        return made

    def ready(host: str, port: int) -> None:
        box["address"] = (host, port)
        up.set()

    async def main() -> None:
        loop, stop = asyncio.get_running_loop(), asyncio.Event()
        box["stop"] = lambda: loop.call_soon_threadsafe(stop.set)
        code = await serve_async(
            app,
            port=0,
            ready=ready,
            stop=stop,
            signals=False,
            on_drain=drained.set,
            drain_seconds=drain_seconds,
            limits=Limits(**{**QUICK, **limits}),
        )
        exit_code.append(code)

    def work() -> None:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(main())

    thread = threading.Thread(target=work)
    with patch.object(server_module, "Watch", watch):
        thread.start()
        assert up.wait(WAIT)
    server = Running(app, box["address"], box["stop"], thread, box["watch"], exit_code, drained)
    try:
        yield server
    finally:
        with suppress(RuntimeError):  # it has ended already
            server.stop()
        thread.join(WAIT)
        assert not thread.is_alive(), "the server did not end"


@contextmanager
def temporary_file(content: bytes) -> Iterator[str]:
    number, path = tempfile.mkstemp()
    os.write(number, content)
    os.close(number)
    try:
        yield path
    finally:
        Path(path).unlink()
