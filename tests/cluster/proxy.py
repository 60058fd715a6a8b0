"""A tiny proxy before several nodes: each connection goes to the next of them, and past those that are away.

Clients that open a connection for each request, as those of tests/cluster do, so have each answered by
another node than the one before.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress

PIECE = 1 << 16
AWAY = b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
Ends = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Proxy:
    """In front of the nodes at these ports of loopback; ``sent``: how many connections each was given."""

    def __init__(self, ports: Sequence[int]) -> None:
        self.ports = list(ports)
        self.port = 0
        self.sent: Counter[int] = Counter()
        self._turn = 0
        self._carrying: set[asyncio.Task[None]] = set()

    @asynccontextmanager
    async def running(self) -> AsyncIterator["Proxy"]:
        """Serve on a free port within this."""
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()
            for task in self._carrying:
                task.cancel()
            await asyncio.gather(*self._carrying, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._carrying.add(task)
        try:
            node = await self._reach()
            if node is None:
                writer.write(AWAY)
            else:
                await _carry((reader, writer), node)
        except asyncio.CancelledError:
            pass  # the proxy ends: nobody above would take it
        finally:
            self._carrying.discard(task)
            writer.close()

    async def _reach(self) -> Ends | None:
        """A connection to the node whose turn it is, or else to the next that takes one."""
        for _ in self.ports:
            port = self.ports[self._turn % len(self.ports)]
            self._turn += 1
            with suppress(OSError):
                ends = await asyncio.open_connection("127.0.0.1", port)
                self.sent[port] += 1
                return ends
        return None


async def _carry(client: Ends, node: Ends) -> None:
    """Hand on what either says until the node has hung up."""
    asking = asyncio.create_task(_pump(client[0], node[1]))
    try:
        await _pump(node[0], client[1])
    finally:
        node[1].close()
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while piece := await reader.read(PIECE):
            writer.write(piece)
            await writer.drain()
        writer.write_eof()
    except OSError:  # one of them is gone, and so nobody is left whom the other could talk to
        writer.transport.abort()
