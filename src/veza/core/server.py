"""The HTTP server of one process: listen, be ready, answer, drain, end.

uvicorn's parts (configuration, lifespan, WebSocket) around the protocol of :mod:`veza.core.server_http`.
Its own `Server` is not used: it dies of the signal it drained for, instead of exiting with 0, and it resets
idle connections on which a request may be under way.
"""

import asyncio
import errno
import gc
import os
import signal
import socket
import stat
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Any, cast

from uvicorn.config import Config
from uvicorn.server import ServerState

from veza.core.server_http import HardenedProtocol
from veza.core.server_watch import Limits, Watch
from veza.core.server_websocket import HardenedWebSocket

try:
    import resource

    import uvloop
except ImportError:  # Windows has neither
    loop_factory = None
else:
    loop_factory = uvloop.new_event_loop

__all__ = ["Limits", "listen", "serve", "serve_async", "why_not"]

BACKLOG = 2048
_SPARE_FILES = 512  # for databases, uploads, jobs and the files being sent
_MOST_FILES = 1024 * 1024
_LAST_WORDS_SECONDS = 1.0

Ready = Callable[[str, int], None]
_default_limits = Limits()


def serve(app: Any, *, drain_seconds: float = 30, **options: Any) -> int:
    """Serve an ASGI application until SIGTERM or SIGINT; the exit code of the process.

    The options are those of :func:`serve_async`. 0: drained and ended. 1: the address could not be taken, the
    application did not start, or a second signal cut the draining short.
    """
    with asyncio.Runner(loop_factory=loop_factory) as runner:
        return runner.run(serve_async(app, drain_seconds=drain_seconds, **options))


async def serve_async(
    app: Any,
    *,
    host: str = "127.0.0.1",
    port: int = 8080,
    uds: str | None = None,
    listeners: list[socket.socket] | None = None,
    reuse_port: bool = False,
    ready: Ready | None = None,
    on_drain: Callable[[], None] | None = None,
    stop: asyncio.Event | None = None,
    signals: bool = True,
    drain_seconds: float = 30,
    limits: Limits = _default_limits,
    ws_max_bytes: int = 64 * 1024,
) -> int:
    """Serve an ASGI application in the running loop; see :func:`serve`.

    `port` 0 takes any free one. `uds` is the path of a Unix socket to listen on instead of `host` and `port`;
    `listeners` are sockets that listen already, as `listen` makes them, and are closed at the end.
    `reuse_port` lets several processes listen on one port, the kernel spreading connections among them (and
    hides from us that the port is taken). `ready` is called with the address and port once requests are
    answered. On the first signal, or when `stop` is set, `on_drain` is called, nothing is accepted any more,
    and what is under way has `drain_seconds` to finish.
    """
    try:
        sockets = listeners or ([_listen_unix(uds)] if uds else listen(host, port, reuse_port=reuse_port))
    except OSError as error:
        why = why_not(error, uds or f"{host}:{port}")
        print(f"veza: {why}", file=sys.stderr)  # noqa: T201 - for the operator
        return 1
    limits = replace(limits, max_connections=min(limits.max_connections, _raise_file_limit()))
    server = _Server(app, limits, ws_max_bytes)
    stop = stop or asyncio.Event()
    try:
        if signals:
            server.listen_to_signals(stop)
        if not await server.start(sockets):
            return 1
        if ready is not None:
            address = sockets[0].getsockname()
            ready(*((address, 0) if isinstance(address, str) else address[:2]))
        await stop.wait()
        if on_drain is not None:
            on_drain()
        return await server.drain(drain_seconds)
    finally:
        server.forget_signals()
        for listener in sockets:
            listener.close()
        if uds:
            with suppress(FileNotFoundError):
                os.unlink(uds)  # noqa: PTH108 - a path in, a path out


class _Server:
    """The parts of a running server."""

    def __init__(self, app: Any, limits: Limits, ws_max_bytes: int) -> None:
        self.state = ServerState()
        self.watch = Watch(limits, self.state)
        self.config = Config(
            app,
            http=cast("type[asyncio.Protocol]", partial(HardenedProtocol, watch=self.watch)),
            ws=HardenedWebSocket,
            ws_max_size=ws_max_bytes,
            # A few bytes can unpack to megabytes, and chat messages are short.
            ws_per_message_deflate=False,
            lifespan="on",
            interface="asgi3",
            log_config=None,
            access_log=False,
            # Whose X-Forwarded-For counts is decided where the request is judged, by configured networks.
            proxy_headers=False,
            server_header=False,
        )
        self.config.load()
        self.lifespan = self.config.lifespan_class(self.config)
        self.listeners: list[asyncio.Server] = []
        self.hurry = asyncio.Event()
        self.loop = asyncio.get_running_loop()
        self.signals: list[int] = []

    def listen_to_signals(self, stop: asyncio.Event) -> None:
        """The first SIGTERM or SIGINT begins to drain, the second one ends."""

        def on_signal() -> None:
            (self.hurry if stop.is_set() else stop).set()

        for number in (signal.SIGTERM, signal.SIGINT):
            with suppress(NotImplementedError):  # Windows
                self.loop.add_signal_handler(number, on_signal)
                self.signals.append(number)

    def forget_signals(self) -> None:
        for number in self.signals:
            self.loop.remove_signal_handler(number)

    async def start(self, sockets: list[socket.socket]) -> bool:
        """Start the application, then accept; whether both went well."""
        await self.lifespan.startup()
        if self.lifespan.should_exit:
            return False
        self.watch.start(self.loop)
        # What the start has left lives as long as the process: the collector need not look at it again.
        gc.collect()
        gc.freeze()
        factory: Any = self.config.http_protocol_class
        protocol = partial(factory, self.config, self.state, self.lifespan.state)
        for listener in sockets:
            self.listeners.append(await self.loop.create_server(protocol, sock=listener, backlog=BACKLOG))
        return True

    async def drain(self, seconds: float) -> int:
        """Accept no more, let requests finish, end the application; the exit code."""
        self.watch.draining = True
        for listener in self.listeners:
            listener.close()
        for connection in tuple(self.state.connections):
            connection.shutdown()
        in_time = await self._gone_within(seconds)
        if not in_time:
            for connection in tuple(self.state.connections):
                if isinstance(connection, HardenedProtocol) and not self.hurry.is_set():
                    connection.give_up()
                else:
                    connection.transport.abort()
            await self._gone_within(_LAST_WORDS_SECONDS)
            for task in tuple(self.state.tasks):
                task.cancel()
            await self._gone_within(_LAST_WORDS_SECONDS)
        self.watch.stop()
        with suppress(TimeoutError):
            patience = _LAST_WORDS_SECONDS if self.hurry.is_set() else max(seconds, _LAST_WORDS_SECONDS)
            await asyncio.wait_for(self.lifespan.shutdown(), patience)
        return int(self.hurry.is_set())

    async def _gone_within(self, seconds: float) -> bool:
        deadline = self.loop.time() + seconds
        while self.state.connections or self.state.tasks:
            if self.hurry.is_set() or self.loop.time() >= deadline:
                return False
            await asyncio.sleep(0.02)
        return True


def listen(host: str, port: int, *, reuse_port: bool = False) -> list[socket.socket]:
    """Listening sockets for every address of `host`, all on one port; OSError when none can be had."""
    found = socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    addresses = dict.fromkeys((family, address) for family, *_, address in found)
    sockets: list[socket.socket] = []
    missing: OSError | None = None
    try:
        for family, address in addresses:
            taken = sockets[0].getsockname()[1] if sockets else port
            try:
                where = (address[0], taken, *address[2:])
                sockets.append(_bind(family, where, reuse_port=reuse_port, alone=len(addresses) == 1))
            except OSError as error:
                # A name may have an address of a kind that this machine does not speak.
                if error.errno not in {errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT}:
                    raise
                missing = error
        if missing is not None and not sockets:
            raise missing
    except OSError:
        for listener in sockets:
            listener.close()
        raise
    return sockets


def _bind(family: int, address: tuple[Any, ...], *, reuse_port: bool, alone: bool) -> socket.socket:
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setblocking(False)  # noqa: FBT003 - the name of the argument is the method's
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if reuse_port:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if family == socket.AF_INET6:
            # "::" alone means everybody, IPv4 too; beside an IPv4 socket it must leave that one its port.
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, int(not alone))
        listener.bind(address)
        # Here, not after the start: two may bind one address, and only listen() tells that it is taken.
        listener.listen(BACKLOG)
    except OSError:
        listener.close()
        raise
    return listener


def _listen_unix(path: str) -> socket.socket:
    """A listening Unix socket; one that a dead process left behind is replaced."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        listener.setblocking(False)  # noqa: FBT003 - the name of the argument is the method's
        with suppress(FileNotFoundError):
            if stat.S_ISSOCK(os.stat(path).st_mode):  # noqa: PTH116 - see above
                _raise_if_alive(path)
                os.unlink(path)  # noqa: PTH108 - see above
        listener.bind(path)
        listener.listen(BACKLOG)
    except OSError:
        listener.close()
        raise
    return listener


def _raise_if_alive(path: str) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1)
        if probe.connect_ex(path) == 0:
            raise OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE))


def why_not(error: OSError, address: str) -> str:
    """In words for an operator, why nothing can listen there."""
    if error.errno == errno.EADDRINUSE:
        return f"{address} is already in use; stop what listens there, or choose another port"
    return f"cannot listen on {address}: {error.strerror or error}"


def _raise_file_limit() -> int:
    """Raise the limit of open files as far as it goes; how many connections that leaves room for."""
    if loop_factory is None:
        return _SPARE_FILES
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _MOST_FILES if hard == resource.RLIM_INFINITY else min(hard, _MOST_FILES)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        wanted = soft
    else:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    if wanted == resource.RLIM_INFINITY:
        return _MOST_FILES
    return max(wanted - _SPARE_FILES, wanted // 2)
