"""One request and its answer: uvicorn's cycle, with a leaner `send` and the `veza.sendfile` extension."""

import asyncio
import os
import socket
import sys
from collections.abc import MutableMapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from uvicorn.protocols.http.httptools_impl import HEADER_RE, STATUS_LINE, RequestResponseCycle

from veza.core.errors import InternalError
from veza.core.exchange import HEADER_LINES
from veza.core.filebytes import BLOCK_BYTES, SENDFILE, send_block
from veza.core.server_refusals import body_of, error_headers

if TYPE_CHECKING:
    from veza.core.server_http import HardenedProtocol

_PLAIN, _LENGTH, _ENCODING, _CONNECTION = range(4)
# Response header names seen so far, which are therefore valid and in lower case: names come from the code and
# are few, so that their check is one look-up.
_NAMES = {b"content-length": _LENGTH, b"transfer-encoding": _ENCODING, b"connection": _CONNECTION}
_MOST_NAMES = 1000
_JOINED_BYTES = 64 * 1024
# How much of a file may wait in the kernel before the network takes it. By itself the kernel takes megabytes,
# and asks for more when a third of them is gone: a slow reader shows no progress until then and would be cut.
# A fast one, quicker than we are, would sleep and be woken at every packet, at our cost.
_UNSENT_BYTES = 64 * 1024


class Cycle(RequestResponseCycle):
    """A request being answered.

    Differs from uvicorn's own in that the head waits for the first bytes of the body, as the ASGI
    specification asks, so that an ordinary answer is one system call and one packet; that headers are
    checked in one go; that 304, HEAD and HTTP/1.0 are framed as RFC 9112 (6.1, 6.3) says; and that a file can
    be sent by the kernel.
    """

    connection: "HardenedProtocol"
    head: bytes = b""
    bodiless: bool = False
    until_close: bool = False  # the end of the connection is the end of the body
    says_close: bool = False
    room: asyncio.Future[None] | None = None

    async def send_500_response(self) -> None:
        """Answer for an application that raised: the envelope, and the end of the connection."""
        self.head = b""
        self.chunked_encoding = None
        self.says_close = False
        body = body_of(InternalError)
        headers = error_headers(InternalError, self.scope["headers"], len(body))
        await self.send({"type": "http.response.start", "status": InternalError.status, "headers": headers})
        await self.send({"type": "http.response.body", "body": body})

    async def send(self, message: MutableMapping[str, Any]) -> None:  # type: ignore[override]  # takes more
        """Take one ASGI message; return when there is room for the next, or when the client has left."""
        if self.flow.write_paused and not self.disconnected:
            await self.flow.drain()
        if self.disconnected:
            return
        kind = message["type"]
        if not self.response_started and not self.head:
            if kind != "http.response.start":
                raise RuntimeError(f"Expected ASGI message 'http.response.start', but got '{kind}'.")
            lines = message.get(HEADER_LINES, b"")
            self.head = self._head(message["status"], list(message.get("headers", ())), lines)
        elif self.response_complete:
            raise RuntimeError(f"Unexpected ASGI message '{kind}' sent, after response already completed.")
        elif kind == "http.response.body":
            self._send_body(message.get("body", b""), more=message.get("more_body", False))
        elif kind == SENDFILE:
            await self._send_file(message["fd"], message["offset"], message["count"])
        else:
            raise RuntimeError(f"Expected ASGI message 'http.response.body', but got '{kind}'.")

    def _head(self, status: int, headers: list[tuple[bytes, bytes]], ready: bytes) -> bytes:
        if self.waiting_for_100_continue and self.more_body:
            # The client may or may not send the body now: what follows on this connection cannot be known.
            self.waiting_for_100_continue = False
            self.keep_alive = False
        headers = self.default_headers + headers
        parts = [STATUS_LINE[status], ready]
        lines = len(headers) + 2 + ready.count(b"\n")
        for name, value in headers:
            code = _NAMES.get(name)
            if code is None:
                name, code = _learn(name)  # noqa: PLW2901 - the same name, in lower case
            if code:
                self._note(code, value)
            parts += (name, b": ", value, b"\r\n")
        if not self.keep_alive and not self.says_close:
            parts.append(b"connection: close\r\n")
            lines += 1
        self.bodiless = self.scope["method"] == "HEAD" or status in {204, 304}
        if self.chunked_encoding is None and not self.bodiless:
            if self.scope["http_version"] == "1.0":
                self.until_close = True
                self.expected_content_length = sys.maxsize
            else:
                self.chunked_encoding = True
                parts.append(b"transfer-encoding: chunked\r\n")
                lines += 1
        parts.append(b"\r\n")
        head = b"".join(parts)
        # A value with line ends or NUL of its own would write headers of its own (RFC 9110, 5.5).
        if head.count(b"\n") != lines or head.count(b"\r") != lines or b"\0" in head:
            raise RuntimeError("Invalid HTTP header value.")
        return head

    def _note(self, code: int, value: bytes) -> None:
        """Take in a header that says how the answer is framed, or that it is the last one."""
        if code == _LENGTH and self.chunked_encoding is None:
            self.expected_content_length = int(value)
            self.chunked_encoding = False
        elif code == _ENCODING and value.lower() == b"chunked":
            self.expected_content_length = 0
            self.chunked_encoding = True
        elif code == _CONNECTION and b"close" in value.lower():
            self.keep_alive = False
            self.says_close = True

    def _send_body(self, body: bytes, *, more: bool) -> None:
        parts = [self.head] if self.head else []
        self._begin()
        if self.bodiless:
            self.expected_content_length = 0
        elif self.chunked_encoding:
            if body:
                parts += (b"%x\r\n" % len(body), body, b"\r\n")
            if not more:
                parts.append(b"0\r\n\r\n")
        elif body:
            if len(body) > self.expected_content_length:
                raise RuntimeError("Response content longer than Content-Length")
            self.expected_content_length -= len(body)
            parts.append(body)
        if parts:
            # Each write is a system call at once: one for the whole, with a copy only where that is cheap.
            if len(body) <= _JOINED_BYTES:
                self.transport.write(b"".join(parts))
            else:
                self.transport.writelines(parts)
        if not more:
            self._finish()

    def _begin(self) -> None:
        """From here on, this answer and no other is on the wire."""
        self.response_started = True
        self.head = b""

    def _finish(self) -> None:
        if self.expected_content_length and not self.until_close:
            raise RuntimeError("Response content shorter than Content-Length")
        self.response_complete = True
        self.message_event.set()
        if not self.keep_alive:
            self.connection.hang_up()
        self.on_response()

    async def _send_file(self, file: int, offset: int, count: int) -> None:
        """The rest of the body, `count` bytes of an open file from `offset`, by sendfile(2).

        uvloop has no `loop.sendfile`, so the bytes go through a duplicate of the transport's socket, which
        the loop lets us watch for room. The transport itself has nothing left to write by then, and nobody
        else writes before this answer is complete.
        """
        if self.bodiless:
            self._send_body(b"", more=False)
            return
        if count > self.expected_content_length:
            raise RuntimeError("Response content longer than Content-Length")
        if self.transport.is_closing():
            # Its descriptor is closed already, and the number may be another connection's by now.
            self.disconnected = True
            return
        own = self.transport.get_extra_info("socket")
        with suppress(OSError):  # a Unix socket has no such limit, and a peer may have gone
            own.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, _UNSENT_BYTES)
        self.transport.write(self.head)
        self._begin()
        out = os.dup(own.fileno())
        self.connection.sending_file = True
        try:
            await self._pump(out, file, offset, count)
        except (BrokenPipeError, ConnectionResetError, TimeoutError):
            self.transport.abort()
        finally:
            self.connection.sending_file = False
            os.close(out)
        if self.transport.is_closing():
            self.disconnected = True
        elif not self.disconnected:
            self.expected_content_length -= count
            self._finish()

    async def _pump(self, out: int, file: int, offset: int, count: int) -> None:
        end = offset + count
        # Rare: an earlier answer or this head still waits in the transport, which never says it is empty.
        while self.transport.get_write_buffer_size() and not self.disconnected:  # noqa: ASYNC110 - see above
            await asyncio.sleep(0.01)
        while offset < end and not self.disconnected:
            count = min(BLOCK_BYTES, end - offset)
            try:
                sent = await send_block(out, file, offset, count)
            except BlockingIOError:
                sent = 0
            else:
                self.connection.progressed()
            offset += sent
            if sent == count:
                await asyncio.sleep(0)  # the turn of the others: a fast reader always has room
            elif not self.disconnected:
                await self._until_room(out)

    async def _until_room(self, out: int) -> None:
        self.room = self.connection.loop.create_future()
        self.connection.loop.add_writer(out, self.wake)
        try:
            await self.room
        finally:
            self.connection.loop.remove_writer(out)
            self.room = None

    def wake(self) -> None:
        """Go on sending: there is room, or nobody to send to."""
        if self.room is not None and not self.room.done():
            self.room.set_result(None)


def _learn(name: bytes) -> tuple[bytes, int]:
    if HEADER_RE.search(name) or not name:
        raise RuntimeError("Invalid HTTP header name.")
    name = name.lower()
    code = _NAMES.get(name, _PLAIN)
    if len(_NAMES) < _MOST_NAMES:
        _NAMES[name] = code
    return name, code
