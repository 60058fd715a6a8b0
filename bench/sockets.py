"""WebSocket clients by the thousand: no more of RFC 6455 than the chat's own frames need."""

import asyncio
import base64
import json
import os
import struct
from collections.abc import Callable
from typing import Any


class Client(asyncio.Protocol):
    """One socket; each frame of text goes to ``hear``."""

    def __init__(self, host: str, path: str, token: str, hear: Callable[["Client", bytes], None]) -> None:
        self.request = (
            f"GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
            f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {base64.b64encode(os.urandom(16)).decode()}\r\n"
            f"Sec-WebSocket-Protocol: veza.chat.v1, {token}\r\n\r\n"
        ).encode()
        self.hear = hear
        self.open = asyncio.get_running_loop().create_future()
        self.buffer = b""
        self.upgraded = False
        self.answers: dict[int, asyncio.Future[Any]] = {}
        self.count = 0

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        transport.write(self.request)

    def connection_lost(self, _error: Exception | None) -> None:
        for waiting in (self.open, *self.answers.values()):
            if not waiting.done():
                waiting.set_exception(ConnectionError(f"closed: {self.buffer!r}"))

    def data_received(self, data: bytes) -> None:
        data = self.buffer + data if self.buffer else data
        if not self.upgraded:
            head, found, rest = data.partition(b"\r\n\r\n")
            if not found:
                self.buffer = data
                return
            assert b" 101 " in head[:20], head
            self.upgraded, data = True, rest
            self.open.set_result(None)
        at = 0
        while len(data) - at >= 2:
            length, start = data[at + 1], at + 2
            if length == 126:
                if len(data) - at < 4:
                    break
                length, start = struct.unpack_from("!H", data, at + 2)[0], at + 4
            if len(data) < start + length:
                break
            opcode, payload = data[at] & 15, data[start : start + length]
            at = start + length
            if opcode == 1:
                self.hear(self, payload)
            elif opcode == 9:
                self.write(10, payload)
        self.buffer = data[at:]

    def write(self, opcode: int, payload: bytes) -> None:
        length = len(payload)
        head = bytes((0x80 | opcode,)) + (
            bytes((0x80 | length,)) if length < 126 else b"\xfe" + struct.pack("!H", length)
        )
        self.transport.write(head + bytes(4) + payload)  # masked with nothing

    async def ask(self, kind: str, **fields: Any) -> Any:
        self.count += 1
        answer = self.answers[self.count] = asyncio.get_running_loop().create_future()
        self.write(1, json.dumps({"type": kind, "id": self.count, **fields}).encode())
        return await answer

    def answered(self, frame: Any) -> None:
        self.answers.pop(frame["id"]).set_result(frame)


async def connect(
    host: str, port: int, path: str, token: str, hear: Callable[[Client, bytes], None]
) -> Client:
    loop = asyncio.get_running_loop()
    _, client = await loop.create_connection(lambda: Client(f"{host}:{port}", path, token, hear), host, port)
    await client.open
    return client
