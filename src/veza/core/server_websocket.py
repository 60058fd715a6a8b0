"""WebSocket connections: uvicorn's protocol, with bounds on what one may cost.

uvicorn answers any number of pings, gathers any number of empty fragments, logs a traceback for each text
that is not UTF-8, and waits without end for a reader that has stopped. Nor has ASGI a way to write one frame
to a thousand sockets without encoding it a thousand times: a socket's own writing side is in its scope
(:mod:`veza.core.wire`).
"""

import asyncio
import logging
from http import HTTPStatus
from typing import Any

from uvicorn.config import Config
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from uvicorn.server import ServerState
from websockets.frames import Frame, Opcode
from websockets.http11 import Request
from websockets.server import ServerProtocol

from veza.core.errors import InvalidRequest
from veza.core.server_refusals import refusal
from veza.core.wire import WIRE

# Of pings, in a second; browsers send none, clients one in many seconds.
MOST_PINGS = 20
MOST_FRAGMENTS = 64
# Bytes that may wait when something is still answered.
MOST_WAITING = 256 * 1024
END_SECONDS = 3.0
_POLICY, _NOT_UTF8 = 1008, 1007
_ID = "X-Request-ID"
# What uvicorn says of each handshake has the query in it, and there may be a token.
_log = logging.getLogger("veza.websocket")
_log.setLevel(logging.ERROR)


class _Conversation(ServerProtocol):
    """What the frames of one connection mean."""

    def recv_frame(self, frame: Frame) -> None:
        """Take a frame; whoever closes in the midst of a message has closed, and broken nothing."""
        if frame.opcode is Opcode.CLOSE:
            self.current_size = None
        super().recv_frame(frame)


class _Inbox:
    """What came for the application, who alone reads it; asyncio's own queue weighs three kilobytes."""

    __slots__ = ("_events", "_waiting")

    def __init__(self) -> None:
        self._events: list[Any] = []
        self._waiting: asyncio.Future[None] | None = None

    def put_nowait(self, event: Any) -> None:
        self._events.append(event)
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(None)

    async def get(self) -> Any:
        while not self._events:
            self._waiting = asyncio.get_running_loop().create_future()
            await self._waiting
        self._waiting = None
        return self._events.pop(0)

    def empty(self) -> bool:
        return not self._events


class _Gate:
    """Open, or to be waited for; made for many that nobody waits for."""

    __slots__ = ("_open", "_waiting")

    def __init__(self) -> None:
        self._open = True
        self._waiting: asyncio.Future[None] | None = None

    def set(self) -> None:
        self._open = True
        if self._waiting is not None:
            self._waiting.set_result(None)
            self._waiting = None

    def clear(self) -> None:
        self._open = False

    async def wait(self) -> None:
        while not self._open:
            if self._waiting is None:
                self._waiting = asyncio.get_running_loop().create_future()
            # Others may wait for the same, and one of them may give up.
            await asyncio.shield(self._waiting)


class HardenedWebSocket(WebSocketsSansIOProtocol):
    """One connection."""

    def __init__(
        self, config: Config, server_state: ServerState, app_state: dict[str, Any], _loop: Any = None
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self.logger = _log
        self.conn = _Conversation(max_size=config.ws_max_size, logger=_log)
        self.queue = _Inbox()  # type: ignore[assignment]  # as much of one as is used
        self.writable = _Gate()  # type: ignore[assignment]  # as above
        self.pings = 0
        self.pings_since = 0.0

    def handle_connect(self, event: Request) -> None:
        """Begin, and lay the writing side into the scope; the application runs only after this."""
        if self.conn.accept(event).status_code != HTTPStatus.SWITCHING_PROTOCOLS:
            # The library would say so in words of its own.
            given = [(b"x-request-id", one.encode(errors="replace")) for one in event.headers.get_all(_ID)]
            self.transport.write(refusal(InvalidRequest, self.default_headers, given, head_only=False))
            self.handshake_complete = self.close_sent = True
            self.transport.close()
            return
        super().handle_connect(event)
        extensions: Any = self.scope["extensions"]
        extensions[WIRE] = self

    async def send(self, message: Any) -> None:
        """Send what the application says; one that has refused the handshake has answered it, too.

        Once somebody is in, what their handshake said is not kept for as long.
        """
        await super().send(message)
        if message["type"] == "websocket.http.response.body":
            self.handshake_complete = True
        elif message["type"] == "websocket.accept":
            self.request.headers.clear()
            self.response.headers.clear()

    def handle_ping(self) -> None:
        """Answer, but no flood of them."""
        now = self.loop.time()
        if now - self.pings_since >= 1:
            self.pings, self.pings_since = 0, now
        self.pings += 1
        if self.pings > MOST_PINGS or self.transport.get_write_buffer_size() > MOST_WAITING:
            self.conn.data_to_send()  # the answer, which nobody gets
            self.end(_POLICY, "too many pings")
            return
        super().handle_ping()

    def handle_cont(self, event: Frame) -> None:
        """Take a fragment, but no endless row of them."""
        if len(self.frames) >= MOST_FRAGMENTS:
            self.frames = []
            self.end(_POLICY, "too many fragments")
            return
        super().handle_cont(event)

    def send_receive_event_to_app(self) -> None:
        """Hand on a message that is complete."""
        data = self.frames[0] if len(self.frames) == 1 else b"".join(self.frames)
        self.frames = []
        if self.close_sent:
            return
        if self.curr_msg_data_type == "text":
            try:
                text = bytes(data).decode()
            except UnicodeDecodeError:
                self.end(_NOT_UTF8, "not UTF-8")
                return
            self.queue.put_nowait({"type": "websocket.receive", "text": text})
        else:
            self.queue.put_nowait({"type": "websocket.receive", "bytes": data})
        if not self.read_paused:
            self.read_paused = True
            self.transport.pause_reading()

    # The wire

    def push(self, frame: bytes) -> int:
        """Write a frame that is ready; how many bytes wait."""
        if self.close_sent or not self.handshake_complete or self.transport.is_closing():
            return 0
        self.transport.write(frame)
        return int(self.transport.get_write_buffer_size())

    async def drained(self) -> None:
        """Wait until there is room again."""
        await self.writable.wait()

    def end(self, code: int, reason: str) -> None:
        """Close, and cut off whoever does not answer."""
        if self.close_sent or self.transport.is_closing():
            return
        self.queue.put_nowait({"type": "websocket.disconnect", "code": code, "reason": reason})
        self.conn.send_close(code, reason)
        self.transport.write(b"".join(self.conn.data_to_send()))
        self.close_sent = True
        if self.read_paused:  # the answer to it is yet to come
            self.read_paused = False
            self.transport.resume_reading()
        self.close_timer = self.loop.call_later(END_SECONDS, self.transport.abort)
