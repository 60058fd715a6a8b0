"""Slow sockets, as a process of their own: `python -m bench.dribble HOST PORT TOKEN`.

For a line with a number so many come, each with a byte every half second: half of them with a head that never
ends, a quarter with the body of a sign-in, a quarter with that of an upload. Who is hung up on comes again
within a second. For a line with 0 all leave. Each line is answered with how many were hung up on since the
one before, and how many were there. They are elsewhere in life, so they run only when nothing else wants to.
"""

import asyncio
import os
import random
import sys

from bench.load import render
from bench.tracks import TRACKS

_BETWEEN, _PARTS = 0.5, 100
_BOUNDARY = "a-line-that-is-not-in-the-file"
_LENGTH = "1000000"


class Slow(asyncio.Protocol):
    """One socket: `begun` goes out at once, then byte after byte of `rest`, round and round."""

    def __init__(self, crowd: "Crowd", begun: bytes, rest: bytes) -> None:
        self.crowd, self.begun, self.rest, self.at = crowd, begun, rest, 0

    def connection_made(self, transport) -> None:
        self.transport = transport
        transport.write(self.begun)
        self.crowd.there.add(self)

    def go_on(self) -> None:
        """One byte more."""
        self.transport.write(self.rest[self.at : self.at + 1])
        self.at = (self.at + 1) % len(self.rest)

    def data_received(self, data: bytes) -> None:
        assert b" 408 " in data[:20], data  # a slow one is told so, and nothing else

    def eof_received(self) -> bool:
        return False

    def connection_lost(self, _error) -> None:
        self.crowd.there.discard(self)
        if self.crowd.wanted:
            self.crowd.ended += 1
            pause = self.crowd.dice.random()
            asyncio.get_running_loop().call_later(pause, self.crowd.come, self.begun, self.rest)


class Crowd:
    """All of them."""

    def __init__(self, host: str, port: int, token: str) -> None:
        self.host, self.port = host, port
        self.there: set[Slow] = set()
        self.coming: set[asyncio.Task] = set()
        self.wanted = self.ended = 0
        self.dice = random.Random(6)
        form = {"Authorization": f"Bearer {token}", "Content-Length": _LENGTH}
        form["Content-Type"] = f"multipart/form-data; boundary={_BOUNDARY}"
        part = f'--{_BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="a.wav"\r\n\r\n'
        login = {"Content-Type": "application/json", "Content-Length": _LENGTH}
        self.kinds = [
            (b"GET /api/v1/tracks HTTP/1.1\r\nHost: localhost\r\n", b"X-Slow: a\r\n"),
            (render("POST", "/api/v1/auth/login", login), b" "),
            (b"GET /api/v1/tracks HTTP/1.1\r\nHost: localhost\r\n", b"X-Slow: a\r\n"),
            (render("POST", TRACKS, form) + part.encode(), b"R"),
        ]

    def come(self, begun: bytes, rest: bytes) -> None:
        """Connect one, unless all have left."""
        if not self.wanted:
            return
        loop = asyncio.get_running_loop()
        task = loop.create_task(loop.create_connection(lambda: Slow(self, begun, rest), self.host, self.port))
        self.coming.add(task)
        task.add_done_callback(self.coming.discard)

    async def become(self, wanted: int) -> None:
        """Let so many be there, who come within a second."""
        self.wanted, self.ended = wanted, 0
        for number in range(wanted - len(self.there)):
            self.come(*self.kinds[number % len(self.kinds)])
            await asyncio.sleep(1 / wanted)
        if not wanted:
            for one in list(self.there):
                one.transport.abort()
        await asyncio.gather(*self.coming)

    async def go_on(self) -> None:
        """Bytes by and by, so that they come as those of strangers do."""
        while True:
            for part in range(_PARTS):
                for one in list(self.there)[part::_PARTS]:
                    one.go_on()
                await asyncio.sleep(_BETWEEN / _PARTS)


async def main() -> None:
    host, port, token = sys.argv[1:]
    crowd = Crowd(host, int(port), token)
    going = asyncio.create_task(crowd.go_on())
    print("ready", flush=True)
    while line := await asyncio.to_thread(sys.stdin.readline):
        ended, left = crowd.ended, len(crowd.there)
        await crowd.become(int(line))
        print(ended, left, flush=True)
    going.cancel()


if __name__ == "__main__":
    os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    asyncio.run(main())
