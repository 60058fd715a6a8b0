"""A scanner that speaks as ClamAV's clamd does (clamd(8), INSTREAM), and knows one piece of malware."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

# What every scanner agrees to call malware, though it does nothing (eicar.org); in halves, as they read this.
EICAR = rb"X5O!P%@AP[4\PZX54(P^)7CC)7}$EICAR-STANDARD-" + rb"ANTIVIRUS-TEST-FILE!$H+H*"


class FakeClamd:
    """Keeps what it was sent; ``longest`` is its StreamMaxLength in bytes, ``says`` what it says instead."""

    def __init__(self) -> None:
        self.seen: list[bytes] = []
        self.longest = 100 << 20
        self.says: bytes | None = None
        self.url = ""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            assert await reader.readuntil(b"\0") == b"zINSTREAM\0"
            writer.write(await self._scan(reader))
            await writer.drain()
        except (EOFError, OSError):
            self.seen.append(b"(hung up)")
        finally:
            writer.close()

    async def _scan(self, reader: asyncio.StreamReader) -> bytes:
        content = b""
        while length := int.from_bytes(await reader.readexactly(4)):
            if len(content) + length > self.longest:
                return b"INSTREAM size limit exceeded. ERROR\0"
            content += await reader.readexactly(length)
        self.seen.append(content)
        if self.says is not None:
            return self.says
        return b"stream: Eicar-Test-Signature FOUND\0" if EICAR in content else b"stream: OK\0"


@asynccontextmanager
async def fake_clamd(socket: Path | None = None) -> AsyncIterator[FakeClamd]:
    """One that listens on a free port of loopback, or at this path, for as long as the block lasts."""
    clamd = FakeClamd()
    if socket is None:
        server = await asyncio.start_server(clamd.serve, "127.0.0.1", 0)
        clamd.url = f"tcp://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    else:
        server = await asyncio.start_unix_server(clamd.serve, socket)
        clamd.url = f"unix://{socket}"
    async with server:
        yield clamd
