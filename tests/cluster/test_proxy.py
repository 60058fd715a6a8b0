"""The proxy itself: round and round, past who is away, and both ways at once."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from tests.cluster.proxy import Proxy
from tests.ports import free_ports


@asynccontextmanager
async def node(name: bytes) -> AsyncIterator[int]:
    """Says its name, and then again whatever it is told; its port."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(name)
        while piece := await reader.read(100):
            writer.write(piece)
        writer.close()

    server = await asyncio.start_server(talk, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


async def ask(port: int, said: bytes = b"") -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(said)
    writer.write_eof()
    answer = await asyncio.wait_for(reader.read(), 5)
    writer.close()
    return answer


async def test_connections_go_round_and_past_who_is_away() -> None:
    away = free_ports(1)[0]
    async with AsyncExitStack() as nodes:
        ports = [await nodes.enter_async_context(node(name)) for name in (b"one ", b"two ")]
        async with Proxy([ports[0], away, ports[1]]).running() as proxy:
            said = [await ask(proxy.port, b"hello") for _ in range(6)]
            assert said == [b"one hello", b"two hello"] * 3
            assert proxy.sent == {ports[0]: 3, ports[1]: 3}
    async with Proxy([away]).running() as proxy:
        assert (await ask(proxy.port)).startswith(b"HTTP/1.1 502 ")
