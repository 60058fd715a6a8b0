"""The outermost layer: what holds for every request and every answer, whatever the route.

Pure ASGI and on every path, so each line is paid by every request.
"""

from collections.abc import Awaitable, Callable, Mapping, MutableMapping, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from ipaddress import IPv4Network, IPv6Network
from typing import Any

import msgspec
import structlog
from litestar.exceptions import LitestarException

from veza.core.errors import Forbidden, InternalError, NotFound, VezaError
from veza.core.exchange import HEADER_LINES, REQUEST_ID, BrokenOff, Exchange
from veza.core.given import GIVEN, Given
from veza.core.incoming import require_plain
from veza.core.lifespan import live
from veza.core.limits import Limit, Limiter, Standing, address_key, too_many
from veza.core.log import access_line
from veza.core.metrics import count_error, metrics, observe_request

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
# Litestar types its own call so narrowly that no other description of ASGI fits it.
ASGIApp = Callable[[Any, Any, Any], Awaitable[None]]
Header = tuple[bytes, bytes]


class Ready(msgspec.Struct, frozen=True):
    """An answer that is complete but for what is each request's own.

    ``lines`` are the same as ``headers``, as they stand on the wire; the length of the body is beside them.
    """

    route: str
    status: int
    headers: tuple[Header, ...]
    lines: bytes
    body: bytes
    length: Header

    def with_body(self, body: bytes) -> "Ready":
        """The same with another body."""
        length = (b"content-length", b"%d" % len(body))
        return Ready(self.route, self.status, self.headers, self.lines, body, length)


# Answers a GET straight from the edge; None leaves it to the ordinary route.
Hot = Callable[[Exchange, Scope], Awaitable[Ready | None]]
# The same for a POST. Whoever has read from the body may not leave it any more: it answers, or raises.
HotPost = Callable[[Exchange, Scope, Receive], Awaitable[Ready | None]]
# Serves a WebSocket from its handshake to its end.
SocketServer = Callable[[Exchange, Receive, Send], Awaitable[None]]

log = structlog.get_logger()

_CSP = b"content-security-policy"
_CACHE = b"cache-control"
_JSON: Header = (b"content-type", b"application/json")
_VARY: Header = (b"vary", b"Origin")
_HOT = frozenset({"GET", "POST"})
_SWITCHING = 101
# What no path of ours holds: an encoded slash, dot, backslash or NUL.
_DISGUISES = (b"%2f", b"%2e", b"%5c", b"%00")


class EdgeConfig(msgspec.Struct, frozen=True):
    """What the edge needs to know."""

    limiter: Limiter | None
    global_limit: Limit
    uncounted: Callable[[Exchange], bool]
    trusted: Sequence[IPv4Network | IPv6Network] = ()
    origins: frozenset[str] = frozenset()
    https: bool = False


class Edge:
    """Request ids, limits, headers, errors, logs and figures around an application.

    ``given`` is what its routes are to work with; ``running`` is entered for as long as it is served.
    """

    def __init__(
        self,
        app: ASGIApp,
        config: EdgeConfig,
        given: Given | None = None,
        running: Callable[[], AbstractAsyncContextManager[None]] = nullcontext,
    ) -> None:
        self.app = app
        self.given = given or {}
        self.running = running
        self.config = config
        self.limiter = config.limiter
        self.hot: Mapping[str, Hot] = {}
        self.hot_posts: Mapping[str, HotPost] = {}
        self.sockets: Mapping[str, SocketServer] = {}
        common: list[Header] = [
            (b"x-content-type-options", b"nosniff"),
            (b"referrer-policy", b"no-referrer"),
            (b"cross-origin-resource-policy", b"same-site"),
        ]
        if config.https:
            common.append((b"strict-transport-security", b"max-age=31536000"))
        self.by_origin = bool(config.origins) and "*" not in config.origins
        if self.by_origin:
            common.append(_VARY)
        self.common = tuple(common)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request (ASGI)."""
        scope[GIVEN] = self.given
        if scope["type"] != "http":
            await (self._open if scope["type"] == "websocket" else self._live)(scope, receive, send)
            return
        exchange = Exchange(scope, self.config.trusted)
        scope["veza"] = exchange
        REQUEST_ID.set(exchange.request_id)
        metrics.in_flight += 1
        try:
            if self.limiter is not None and scope["path"].startswith("/api/"):
                standing = self._count(exchange, self.limiter)
                if standing is None:
                    standing = await self.limiter.hit(self.config.global_limit, address_key(exchange.ip))
                exchange.limits = standing.headers
                if not standing.allowed:
                    raise too_many(standing)  # noqa: TRY301 - a call for it would cost each request
            ready = await self._find_ready(exchange, scope, receive)
            if ready is None:
                await self._answer(exchange, scope, receive, send)
            else:
                await self._send_ready(exchange, ready, send)
        except Exception as raised:
            error = _origin(raised)
            if not isinstance(error, VezaError):
                count_error(type(error).__name__)
                # The route and not the path, for paths may hold secrets.
                told = {"method": scope["method"], "route": exchange.route}
                log.exception("request.crashed", **told, exc_info=error)
                error = InternalError()
            await self._fail(exchange, error, send)
        finally:
            metrics.in_flight -= 1
            if exchange.tx is not None:
                await exchange.end_tx()
            if exchange.claim is not None:
                exchange.claim.release()
            self._note(exchange)
            # They name each other, as did the transaction: parted they all go now, and not when the collector
            # of garbage finds them. It was a tenth of the work of a request from the edge.
            del scope["veza"]

    async def _open(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a WebSocket. Its handshake is a request: counted, logged, and refused as any other."""
        scope["method"] = "GET"  # as a handshake is (RFC 6455, 4.1), although ASGI does not say it
        exchange = Exchange(scope, self.config.trusted)
        REQUEST_ID.set(exchange.request_id)

        async def send_seen(message: Message) -> None:
            if message["type"] == "websocket.accept":
                exchange.status = _SWITCHING
                self._note(exchange)
                own = (*exchange.limits, (b"x-request-id", exchange.request_id.encode()))
                message = {**message, "headers": [*message.get("headers", ()), *own]}
            await send(message)

        try:
            serve = self.sockets.get(scope["path"])
            if self.limiter is not None and scope["path"].startswith("/api/"):
                standing = await self.limiter.hit(self.config.global_limit, address_key(exchange.ip))
                exchange.limits = standing.headers
                if not standing.allowed:
                    raise too_many(standing)  # noqa: TRY301 - refused as anything else
            if serve is None:
                raise NotFound  # noqa: TRY301 - as above
            exchange.route = scope["path"]
            await serve(exchange, receive, send_seen)
        except VezaError as error:
            await self._refuse_socket(exchange, error, send)
        except Exception as error:
            count_error(type(error).__name__)
            log.exception("socket.crashed", route=exchange.route)
            if exchange.status:
                raise
            await self._refuse_socket(exchange, InternalError(), send)

    async def _refuse_socket(self, exchange: Exchange, error: VezaError, send: Send) -> None:
        exchange.status, headers, body = render_error(error)
        start: Message = {"type": "websocket.http.response.start", "status": exchange.status}
        await send({**start, "headers": self._dress(exchange, headers)})
        await send({"type": "websocket.http.response.body", "body": body})
        self._note(exchange)

    def _note(self, exchange: Exchange) -> None:
        seconds = exchange.elapsed()
        observe_request(exchange.scope["method"], exchange.route, exchange.status, seconds)
        access_line(exchange, seconds)

    def _count(self, exchange: Exchange, limiter: Limiter) -> Standing | None:
        """The caller's standing, if it is known without waiting."""
        if self.config.uncounted(exchange):
            return limiter.peek(self.config.global_limit, address_key(exchange.ip))
        if limiter.shared:
            return None
        return limiter.hit_now(self.config.global_limit, address_key(exchange.ip))

    async def _find_ready(self, exchange: Exchange, scope: Scope, receive: Receive) -> Ready | None:
        method, path = scope["method"], scope["path"]
        if method not in _HOT or b"origin" in exchange.headers or b"%" in scope["raw_path"]:
            return None
        if method == "POST":
            thing, _, what = path.rpartition("/")
            post = self.hot_posts.get(path if len(path) < 40 else f"{thing[:-36]}*/{what}")  # noqa: PLR2004 - as below
            return None if post is None else await post(exchange, scope, receive)
        hot = self.hot.get(path if len(path) < 40 else path[:-36])  # noqa: PLR2004 - a UUID's length
        return None if hot is None else await hot(exchange, scope)

    async def _send_ready(self, exchange: Exchange, ready: Ready, send: Send) -> None:
        exchange.status, exchange.route = ready.status, ready.route
        own = [*exchange.limits, (b"x-request-id", exchange.request_id.encode())]
        if ready.body:
            own.append(ready.length)
        start: Message = {"type": "http.response.start", "status": ready.status, "headers": own}
        if HEADER_LINES in (exchange.scope.get("extensions") or ()):
            start[HEADER_LINES] = ready.lines
        else:
            own += ready.headers
        await send(start)
        await send({"type": "http.response.body", "body": ready.body})

    def ready(self, route: str, status: int, headers: Sequence[Header], body: bytes) -> Ready:
        """An answer for :data:`Hot`, with what every answer carries."""
        dressed = self._dress_plain(headers)
        lines = b"".join(name + b": " + value + b"\r\n" for name, value in dressed)
        return Ready(route, status, tuple(dressed), lines, body, (b"content-length", b"%d" % len(body)))

    async def _live(self, _scope: Scope, receive: Receive, send: Send) -> None:
        await live(self.running(), receive, send)

    async def _answer(self, exchange: Exchange, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_dressed(message: Message) -> None:
            if message["type"] == "http.response.start":
                # Whoever does not read what they are told waits for nobody but themselves.
                await exchange.end_tx()
                exchange.status = message["status"]
                message["headers"] = self._dress(exchange, message.get("headers", ()))
            await send(message)

        self._check_path(scope)
        method = scope["method"]
        if method == "HEAD":
            # GET without a body: the server below leaves the body out, for it knows the true method.
            scope = {**scope, "method": "GET"}
        elif method == "OPTIONS":
            if b"origin" in exchange.headers and b"access-control-request-method" in exchange.headers:
                await self._preflight(exchange, send_dressed)
                return
            # No route has a method of this name: so the answer is 405 with what the route does have, or 404.
            scope = {**scope, "method": "NONE"}
        elif method != "GET":
            require_plain(exchange)
        try:
            await self.app(scope, receive, send_dressed)
        finally:
            exchange.route = scope.get("path_template", "")  # as the API's document has it; none without one

    def _check_path(self, scope: Scope) -> None:
        raw: bytes = scope["raw_path"]
        if b"//" in raw or b";" in raw or (raw.endswith(b"/") and raw != b"/"):
            raise NotFound
        if b"%" in raw and any(disguise in raw.lower() for disguise in _DISGUISES):
            raise NotFound

    def _dress(self, exchange: Exchange, headers: Sequence[Header]) -> list[Header]:
        dressed = self._dress_plain(headers)
        dressed += (*exchange.limits, (b"x-request-id", exchange.request_id.encode()))
        if b"origin" in exchange.headers:
            dressed += self._cors(exchange)
        return dressed

    def _dress_plain(self, headers: Sequence[Header]) -> list[Header]:
        named = {name for name, _ in headers}
        dressed = [*headers, *self.common]
        if _CSP not in named:
            dressed.append((_CSP, b"default-src 'none'; frame-ancestors 'none'"))
        if _CACHE not in named:
            dressed.append((_CACHE, b"no-store"))
        return dressed

    def _cors(self, exchange: Exchange) -> list[Header]:
        origin = exchange.headers[b"origin"]
        allowed = self.config.origins
        if "*" in allowed:
            return [(b"access-control-allow-origin", b"*"), (b"access-control-expose-headers", _EXPOSED)]
        headers = [] if self.by_origin else [_VARY]
        if origin.decode("latin-1") in allowed:
            headers += [
                (b"access-control-allow-origin", origin),
                (b"access-control-expose-headers", _EXPOSED),
            ]
        return headers

    async def _preflight(self, exchange: Exchange, send: Send) -> None:
        if not any(name == b"access-control-allow-origin" for name, _ in self._cors(exchange)):
            raise Forbidden("This origin may not call the API; see VEZA_CORS_ORIGINS.")
        headers = [
            (b"access-control-allow-methods", b"GET, HEAD, POST, PUT, DELETE"),
            (b"access-control-allow-headers", _ACCEPTED),
            (b"access-control-max-age", b"600"),
        ]
        await send({"type": "http.response.start", "status": 204, "headers": headers})
        await send({"type": "http.response.body", "body": b""})

    async def _fail(self, exchange: Exchange, error: VezaError, send: Send) -> None:
        await exchange.end_tx()
        if exchange.status:
            # The answer has begun: all that is left is to break off, and to count it as what it came to.
            told = {"method": exchange.scope["method"], "route": exchange.route, "code": error.code}
            log.warning("request.broken_off", **told, answered=exchange.status, exc_info=error)
            exchange.status = max(error.status, 500)  # it is ours, whatever it would have been before
            raise BrokenOff from error
        status, headers, body = render_error(error)
        exchange.status = status
        await send(
            {"type": "http.response.start", "status": status, "headers": self._dress(exchange, headers)}
        )
        await send({"type": "http.response.body", "body": body})


def _origin(error: Exception) -> Exception:
    """What failed: once an answer has begun, the framework raises that it has, because of this."""
    while type(error) is LitestarException and isinstance(error.__cause__, Exception):
        error = error.__cause__
    return error


_ACCEPTED = (
    b"authorization, content-type, idempotency-key, if-match, if-none-match, if-range, last-event-id, range, "
    b"x-request-id"
)
_EXPOSED = (
    b"accept-ranges, content-disposition, content-range, etag, idempotency-replayed, location, retry-after, "
    b"x-ratelimit-limit, x-ratelimit-remaining, x-ratelimit-reset, x-request-id"
)


def render_error(error: VezaError) -> tuple[int, list[Header], bytes]:
    """Status, headers and body of an error's answer: the one renderer there is."""
    body = msgspec.json.encode(
        {"success": False, "error": {"code": error.code, "message": error.message, "details": error.details}}
    )
    headers = [_JSON, (b"content-length", str(len(body)).encode())]
    headers += [
        (name.lower().encode(), value.encode("latin-1", "replace")) for name, value in error.headers.items()
    ]
    if error.status == 401 and "WWW-Authenticate" not in error.headers:  # noqa: PLR2004 - RFC 9110, 15.5.2
        headers.append((b"www-authenticate", b"Bearer"))
    return error.status, headers, body
