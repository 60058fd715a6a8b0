"""What connections may cost, and the one timer that holds them to it."""

import asyncio
import math
import socket
import struct
from dataclasses import dataclass
from email.utils import formatdate
from typing import Any

from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.server import ServerState

from veza.core.clock import now
from veza.core.errors import VezaError
from veza.core.server_refusals import RequestTimeout

# How far the client's side of a connection is. After BODY comes BETWEEN again.
BETWEEN, HEAD, BODY, REFUSED, LINGERING = range(5)
# How many connections are looked at in one go at least, and in how many goes all of them at most.
_SLICE, _SLICES = 20, 250


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one connection may cost; times are seconds, sizes bytes."""

    head_seconds: float = 10
    idle_seconds: float = 30
    body_window_seconds: float = 30
    body_bytes_per_second: int = 1024
    write_seconds: float = 60
    linger_seconds: float = 2
    drain_idle_seconds: float = 1
    sweep_seconds: float = 1
    max_headers: int = 100
    max_head_bytes: int = 32 * 1024
    max_target_bytes: int = 8 * 1024
    max_connections: int = 10_000
    max_pipelined: int = 64


class Watched:
    """A connection as far as time goes (a WebSocket is none: it has pings of its own).

    `since` is the tick at which the present phase began, or last got what it must get; `stalled` is the last
    tick at which nothing waited to be written; `received` counts a body's bytes since `since`.
    """

    watch: "Watch"
    transport: asyncio.Transport
    flow: FlowControl
    phase: int
    since: int
    stalled: int
    patience: int
    received: int
    sending_file: bool

    def refuse(self, error: type[VezaError]) -> None:
        """Answer with this error in its turn, and close."""
        raise NotImplementedError

    def busy(self) -> bool:
        """Whether a request is being answered."""
        raise NotImplementedError

    def waiting_for_us(self) -> bool:
        """Whether the rest of the body is held up by this side."""
        raise NotImplementedError

    def progressed(self) -> None:
        """Note that the client took more of a file."""
        self.stalled = self.watch.tick

    def sweep(self, tick: int) -> None:
        """End the connection if it has had its time."""
        if not self.sending_file and not self.transport.get_write_buffer_size():
            self.stalled = tick
        elif tick - self.stalled > self.watch.write_ticks:
            self._cut()
            return
        if self.phase == HEAD and self.flow.read_paused:
            self.since = tick  # its bytes may lie in our socket, until we have answered what came before
        waited = tick - self.since
        if self.phase == BETWEEN:
            if waited > self.patience and not self.busy():
                self.transport.close()
        elif self.phase == HEAD:
            if waited > self.watch.head_ticks:
                self.refuse(RequestTimeout)
        elif self.phase == BODY:
            self._sweep_body(tick)
        elif self.phase == LINGERING and waited > self.watch.linger_ticks:
            self.transport.abort()

    def _sweep_body(self, tick: int) -> None:
        # A window ends when it has had its bytes, so that neither a burst before it nor one after it counts.
        if self.received >= self.watch.body_quota or self.waiting_for_us():
            self.since = tick
            self.received = 0
        elif tick - self.since > self.watch.body_ticks:
            self.refuse(RequestTimeout)

    def _cut(self) -> None:
        # With a reset, or the kernel would go on trying for minutes to deliver the megabytes that it holds.
        no_linger = struct.pack("ii", 1, 0)
        self.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, no_linger)
        self.transport.abort()


class Watch:
    """The one timer of the process: it counts ticks, and looks at every connection once each tick.

    A request sets and clears no timers; it notes the tick at which something began, which is an assignment.
    """

    def __init__(self, limits: Limits, state: ServerState) -> None:
        self.limits = limits
        self.state = state
        self.tick = 0
        self.draining = False
        self.good_hosts: set[bytes] = set()
        self.head_ticks = self._ticks(limits.head_seconds)
        self.idle_ticks = self._ticks(limits.idle_seconds)
        self.body_ticks = self._ticks(limits.body_window_seconds)
        self.write_ticks = self._ticks(limits.write_seconds)
        self.linger_ticks = self._ticks(limits.linger_seconds)
        self.drain_idle_ticks = self._ticks(limits.drain_idle_seconds)
        self.body_quota = int(limits.body_window_seconds * limits.body_bytes_per_second)
        self._timer: asyncio.TimerHandle | None = None

    def _ticks(self, seconds: float) -> int:
        return math.ceil(seconds / self.limits.sweep_seconds)

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Begin to tick."""
        self._timer = loop.call_later(self.limits.sweep_seconds, self.start, loop)
        self.tick += 1
        self.state.default_headers = [(b"date", formatdate(now().timestamp(), usegmt=True).encode())]
        connections = list(self.state.connections)
        count = max(_SLICE, math.ceil(len(connections) / _SLICES))
        pause = self.limits.sweep_seconds / 2 / max(math.ceil(len(connections) / count), 1)
        self._sweep(loop, connections, count, pause)

    def _sweep(
        self, loop: asyncio.AbstractEventLoop, connections: list[Any], count: int, pause: float
    ) -> None:
        # In slices, over half a tick: who came at once must go at once, and may come again at once. To refuse
        # 5,000 slow sockets in one go held up the others for 130 to 320 ms; 500 in slices, but with no pause
        # between them, for 55 ms.
        for connection in connections[-count:]:
            alive = connection in self.state.connections
            if alive and isinstance(connection, Watched):
                connection.sweep(self.tick)
        del connections[-count:]
        if connections and self._timer is not None:
            loop.call_later(pause, self._sweep, loop, connections, count, pause)

    def stop(self) -> None:
        """Tick no more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
