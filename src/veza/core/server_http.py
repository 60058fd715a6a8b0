"""HTTP/1.1 connections: uvicorn's protocol on httptools, with the deadlines and limits that it lacks.

uvicorn waits for ever for a head or a body, holds a timer for each idle connection, answers a broken request
over the heads of those before it, and lets pass requests without Host, trailers among the headers, and
bodies after an Upgrade that it then ignores. What is overridden here is pinned by a test to the uvicorn
source that it was written against.
"""

import asyncio
import logging
from typing import Any, cast

import httptools
from uvicorn._types import ASGI3Application, HTTPScope
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState

from veza.core.errors import InvalidRequest, Unavailable, VezaError
from veza.core.exchange import HEADER_LINES
from veza.core.filebytes import SENDFILE
from veza.core.server_cycle import Cycle
from veza.core.server_head import check_head, check_size, split_target, without_upgrade
from veza.core.server_refusals import HeadersTooLarge, UriTooLong, refusal
from veza.core.server_watch import BETWEEN, BODY, HEAD, LINGERING, REFUSED, Watch, Watched

_log = logging.getLogger("veza.server")

_EXTENSIONS: dict[str, dict[object, object]] = {SENDFILE: {}, HEADER_LINES: {}}
_UNWANTED_BYTES = 1024 * 1024


class HardenedProtocol(HttpToolsProtocol, Watched):
    """One connection.

    `overhead` counts the bytes since the last one that was a body's: of a head, a chunk's frame or a trailer.
    `active` is the request being answered, `cycle` the last one that was read.
    """

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
        *,
        watch: Watch,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self.watch = watch
        self.phase = BETWEEN
        self.since = self.stalled = watch.tick
        self.patience = watch.head_ticks
        self.overhead = self.received = self.unwanted = 0
        self.active: Cycle | None = None
        self.upgrade: bytes | None = None
        self.pending: type[VezaError] | None = None
        self.sending_file = False
        self.url = b""

    # Connections

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's
        """Take the connection in, or answer 503 when there are too many."""
        super().connection_made(transport)
        if self.watch.draining:
            self.patience = self.watch.drain_idle_ticks
        if len(self.connections) > self.watch.limits.max_connections:
            transport.write(self._refusal(Unavailable))
            self.phase = LINGERING
            transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell the request at work, which uvicorn forgets when another one was pipelined behind it."""
        if self.active is not None:
            self.active.disconnected = True
            self.active.message_event.set()
            self.active.wake()
        self.pipeline.clear()
        super().connection_lost(exc)

    def shutdown(self) -> None:
        """Begin to drain: the answer under way is the last one, and an idle connection has a moment left.

        A moment, because a request may be on its way already: whoever sent it gets an answer, not a reset.
        """
        self.patience = self.watch.drain_idle_ticks
        if self.phase == BETWEEN and not self.busy():
            self.since = self.watch.tick
        if self.cycle is not None:
            self.cycle.keep_alive = False

    def give_up(self) -> None:
        """End the connection now: with 503 where nothing has been answered yet."""
        if self.busy() and self.active is not None and not self.active.response_started:
            self._abandon(self.active)
            self._answer(Unavailable)
        else:
            self.transport.abort()

    def waiting_for_us(self) -> bool:
        """Whether the application is behind with the body, or has yet to say Continue."""
        return self.flow.read_paused or self.cycle.waiting_for_100_continue

    def resume_writing(self) -> None:
        """Note that the client took what waited."""
        self.stalled = self.watch.tick
        super().resume_writing()

    # Bytes

    def data_received(self, data: bytes) -> None:
        """Parse what came; the parser calls the methods below."""
        phase = self.phase
        if phase == BETWEEN:
            self.phase = HEAD
            self.overhead = len(data)
            if self.cycle is not None:  # the first head is due from the moment of connecting
                self.since = self.watch.tick
        elif phase >= REFUSED:
            return
        else:
            self.overhead += len(data)
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserError as error:
            self._broken(error)
        except httptools.HttpParserUpgrade as upgrade:
            self._upgraded(data[upgrade.args[0] :])
        else:
            if self.overhead > self.watch.limits.max_head_bytes and self.phase in {HEAD, BODY}:
                self._endless()

    def _broken(self, error: Exception) -> None:
        cause = error.__context__
        if isinstance(cause, VezaError):
            self.refuse(type(cause))
        elif cause is None or isinstance(cause, httptools.HttpParserError):
            self.refuse(InvalidRequest)
        else:
            _log.error("A request could not be taken in", exc_info=cause)
            self.transport.abort()

    def _endless(self) -> None:
        """Refuse a head, a chunk extension or a trailer that does not end."""
        in_target = len(self.url) > self.watch.limits.max_target_bytes
        self.refuse(InvalidRequest if self.phase == BODY else UriTooLong if in_target else HeadersTooLarge)

    def _upgraded(self, rest: bytes) -> None:
        if self.upgrade == b"websocket":
            self.handle_websocket_upgrade()
            return
        # The parser has stopped after the head, and would lose the body.
        head = without_upgrade(self.parser.get_method(), self.url, self.headers)
        self.parser = httptools.HttpRequestParser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)
        self.upgrade = None
        self.phase = BETWEEN
        self.data_received(head + rest)

    # What the parser found

    def on_message_begin(self) -> None:
        """A request begins."""
        self.url = b""
        self.headers = []
        if self.phase == BETWEEN:  # behind another one, in the same bytes
            self.phase = HEAD
            self.since = self.watch.tick
            self.overhead = 0

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header; a trailer is dropped, for it must not pass as a header (RFC 9110, 6.5.1)."""
        if self.phase == HEAD:
            self.headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        """Judge the head, and start the application. Errors raised here come out of `feed_data`."""
        if self.phase != HEAD:  # we have hung up, and the rest of these bytes is of no interest
            raise InvalidRequest
        version = self.parser.get_http_version()
        expects, framed = self._judge(version)
        if self.parser.should_upgrade():
            self._judge_upgrade(framed=framed)
            return
        self.phase = BODY
        self.since = self.watch.tick
        self.overhead = self.received = self.unwanted = 0
        draining = self.watch.draining
        cycle = Cycle(
            scope=self._scope(version),
            transport=self.transport,
            flow=self.flow,
            logger=self.logger,
            access_logger=self.access_logger,
            access_log=False,
            default_headers=self.server_state.default_headers,
            message_event=asyncio.Event(),
            expect_100_continue=expects,
            keep_alive=version != "1.0" and not draining and self.parser.should_keep_alive(),
            on_response=self.on_response_complete,
        )
        cycle.connection = self
        if not self.busy():
            self.cycle = cycle
            self._run(cycle, self.app)
            return
        self.cycle = cycle
        self.flow.pause_reading()
        self.pipeline.appendleft((cycle, self.app))

    def _run(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        self.active = cast("Cycle", cycle)
        self._start_asgi_task(cycle, app)

    def _judge(self, version: str) -> tuple[bool, bool]:
        limits = self.watch.limits
        check_size(self.url, self.headers, self.overhead, limits)
        if version not in {"1.1", "1.0"}:
            raise InvalidRequest
        expects, framed = check_head(self.headers, version, self.watch.good_hosts)
        if (framed and self.watch.draining) or len(self.pipeline) >= limits.max_pipelined:
            raise Unavailable
        return expects, framed

    def _judge_upgrade(self, *, framed: bool) -> None:
        """Let a WebSocket handshake pass that is one; `_upgraded` goes on from here."""
        method = self.parser.get_method()
        self.upgrade = self._get_upgrade()
        if method == b"CONNECT":
            raise InvalidRequest
        if self.upgrade == b"websocket":
            if framed or method != b"GET" or self.busy():
                raise InvalidRequest
            if self.watch.draining:
                raise Unavailable
            self.scope = self._scope("1.1")

    def _scope(self, version: str) -> HTTPScope:
        path, raw_path, query = split_target(self.url)
        return {
            "type": "http",
            "asgi": {"version": self.asgi_version, "spec_version": "2.3"},
            "http_version": version,
            "server": self.server,
            "client": self.client,
            "scheme": self.scheme or "http",
            "method": self.parser.get_method().decode("ascii"),
            "root_path": self.root_path,
            "path": path,
            "raw_path": raw_path,
            "query_string": query,
            "headers": self.headers,
            "state": self.app_state.copy(),
            "extensions": _EXTENSIONS,
        }

    def on_body(self, body: bytes) -> None:
        """A piece of the body; pieces that nobody wants any more are dropped, within reason."""
        self.overhead = 0
        self.received += len(body)
        if not self.cycle.response_complete:
            super().on_body(body)
            return
        self.unwanted += len(body)
        if self.unwanted > _UNWANTED_BYTES:
            self._linger()

    def on_message_complete(self) -> None:
        """The request is here as a whole."""
        if self.phase == BODY:
            self.phase = BETWEEN
            self.cycle.more_body = False
            self.cycle.message_event.set()

    # Answers

    def busy(self) -> bool:
        """Whether a request is being answered."""
        return self.active is not None and not self.active.response_complete

    def on_response_complete(self) -> None:
        """Go on with the next request, or with the refusal of it, or wait for it."""
        self.server_state.total_requests += 1
        if self.phase == LINGERING or self.transport.is_closing():
            return
        if self.pipeline:
            self._run(*self.pipeline.pop())
        elif self.pending is not None:
            self._answer(self.pending)
        else:
            if self.phase == BETWEEN:
                self.since = self.watch.tick
                self.patience = (
                    self.watch.idle_ticks if not self.watch.draining else self.watch.drain_idle_ticks
                )
            self.flow.resume_reading()

    def refuse(self, error: type[VezaError]) -> None:
        """Answer with this error in its turn, exactly once, and close."""
        if self.phase >= REFUSED:
            return
        in_body = self.phase == BODY
        self.phase = REFUSED
        if in_body and self.cycle is self.active:
            if self.active.response_complete:
                self._linger()
            elif self.active.response_started:
                self.transport.abort()  # a whole answer could no longer be told from this one
            else:
                self._abandon(self.active)
                self._answer(error)
            return
        if in_body:
            self.pipeline.popleft()
        if self.busy():
            self.pending = error
            self.flow.pause_reading()
        else:
            self._answer(error)

    def _abandon(self, cycle: Cycle) -> None:
        """To the application it is as if the client had left."""
        cycle.disconnected = True
        cycle.waiting_for_100_continue = False
        cycle.message_event.set()

    def _refusal(self, error: type[VezaError]) -> bytes:
        head_only = self.parser.get_method() == b"HEAD"
        return refusal(error, self.server_state.default_headers, self.headers or [], head_only=head_only)

    def _answer(self, error: type[VezaError]) -> None:
        self.transport.write(self._refusal(error))
        self._linger()

    def hang_up(self) -> None:
        """Close after an answer; kindly, if the client is still sending."""
        if self.phase == BODY:
            self._linger()
        else:
            self.transport.close()

    def _linger(self) -> None:
        """Close our side, and drop what still comes for a while (RFC 9112, 9.6).

        Closing with unread bytes would reset the connection, and the client might never read our answer.
        """
        self.phase = LINGERING
        self.since = self.watch.tick
        if not self.transport.is_closing():
            self.flow.resume_reading()
            self.transport.write_eof()
