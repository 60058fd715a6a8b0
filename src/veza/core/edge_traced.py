"""The edge of a process that is traced: each request is a span around all that the edge does with it."""

from veza.core.edge import Edge, Receive, Scope, Send
from veza.core.exchange import Exchange, is_among, peer_of
from veza.core.metrics import METHODS
from veza.core.probes import PROBES
from veza.core.traceparent import TraceParent, read_traceparent
from veza.core.tracing import About, Kind, Span, around, begin

_TRACEPARENT = b"traceparent"
_FAILED = 500
# Asked every few seconds by whoever watches: a trace of each would hide the others.
_WATCHED = frozenset(path for probe in PROBES for path in probe.paths)


class TracedEdge(Edge):
    """An edge whose requests are spans, named by method and route as OpenTelemetry has it.

    https://opentelemetry.io/docs/specs/semconv/http/http-spans/#http-server, but without paths, queries and
    addresses: they may hold secrets, or say who somebody is. Whoever watches the process is not traced.
    """

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request (ASGI)."""
        if scope["type"] != "http" or scope["path"] in _WATCHED:
            await super().__call__(scope, receive, send)
            return
        name = _name(scope["method"])
        method = "_OTHER" if name == "HTTP" else name
        about: About = {"http.request.method": method, "url.scheme": scope["scheme"]}
        with begin(name, Kind.SERVER, about, parent=self._parent(scope)):
            await super().__call__(scope, receive, send)

    def _note(self, exchange: Exchange) -> None:
        super()._note(exchange)
        _tell(around(), exchange)

    def _parent(self, scope: Scope) -> TraceParent | None:
        """The span that a proxy of ours made of it: anybody else could fill any trace with anything."""
        given = [value for name, value in scope["headers"] if name == _TRACEPARENT]
        if len(given) != 1 or not is_among(peer_of(scope), self.config.trusted):
            return None
        return read_traceparent(given[0].decode("latin-1"))


def _name(method: str) -> str:
    return method if method in METHODS else "HTTP"


def _tell(span: Span, exchange: Exchange) -> None:
    span.set("veza.request_id", exchange.request_id)
    if exchange.route:
        span.rename(f"{_name(exchange.scope['method'])} {exchange.route}")
        span.set("http.route", exchange.route)
    if exchange.status:
        span.set("http.response.status_code", exchange.status)
    if exchange.status >= _FAILED:
        span.fail(str(exchange.status))
