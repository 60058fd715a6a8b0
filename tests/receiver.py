"""A server of a stranger, on loopback: it keeps what comes to it, and answers as it is told."""

import asyncio
import json
import ssl
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

OK = b"HTTP/1.1 204 No Content\r\n\r\n"


def status(code: int, *headers: str) -> bytes:
    """An answer without a body."""
    lines = "".join(f"{line}\r\n" for line in headers)
    return f"HTTP/1.1 {code} Told\r\nContent-Length: 0\r\n{lines}\r\n".encode()


class Got:
    """One request that came."""

    def __init__(self, head: str, body: bytes) -> None:
        self.line, *lines = head.split("\r\n")
        self.headers = {key.lower(): value for key, _, value in (line.partition(": ") for line in lines)}
        self.raw = body
        self.at = time.monotonic()

    @property
    def body(self) -> Any:
        return json.loads(self.raw)


class Receiver:
    """`answer` is bytes to send back, or makes them of the request; None hangs. `delay`: in seconds.

    While `free` is not set, no answer goes out.
    """

    def __init__(self) -> None:
        self.answer: bytes | Callable[[Got], bytes | None] | None = OK
        self.delay = 0.0
        self.free = asyncio.Event()
        self.free.set()
        self.got: list[Got] = []
        self.connections = self.open = self.at_once = 0
        self.port = 0
        self.writers: dict[asyncio.StreamWriter, asyncio.Task[Any] | None] = {}

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook"

    @property
    def types(self) -> list[str]:
        return [got.body["type"] for got in self.got]

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.writers[writer] = asyncio.current_task()
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode().removesuffix("\r\n\r\n")
                got = Got(head, b"")
                got.raw = await reader.readexactly(int(got.headers.get("content-length", 0)))
                self.got.append(got)
                self.open += 1
                self.at_once = max(self.at_once, self.open)
                try:
                    answer = self.answer(got) if callable(self.answer) else self.answer
                    if answer is None:
                        await reader.readexactly(1)
                    await self.free.wait()
                    await asyncio.sleep(self.delay)
                    writer.write(answer or b"")
                    await writer.drain()
                finally:
                    self.open -= 1
        writer.transport.abort()
        del self.writers[writer]

    async def close(self) -> None:
        """Hang up on everybody."""
        self.free.set()
        for writer in self.writers:
            writer.transport.abort()
        await asyncio.gather(*(task for task in self.writers.values() if task), return_exceptions=True)

    async def until(self, count: int, seconds: float = 30) -> list[Got]:
        """Wait for so many requests; all that came."""
        async with asyncio.timeout(seconds):
            while len(self.got) < count:  # noqa: ASYNC110 - what is waited for tells nobody
                await asyncio.sleep(0.01)
        return self.got


@asynccontextmanager
async def receiving(tls: ssl.SSLContext | None = None, host: str = "127.0.0.1") -> AsyncIterator[Receiver]:
    """A receiver on a free port."""
    receiver = Receiver()
    server = await asyncio.start_server(receiver.serve, host, 0, ssl=tls)
    receiver.port = server.sockets[0].getsockname()[1]
    try:
        yield receiver
    finally:
        server.close()
        await receiver.close()
