"""A collector of traces on loopback, that keeps what comes to it as OTLP over HTTP."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import msgspec


class Seen(msgspec.Struct):
    """A span as it came: ids in hexadecimal, times in nanoseconds."""

    trace: str
    id: str
    parent: str
    name: str
    kind: str
    attributes: dict[str, Any]
    failed: bool
    began: int
    ended: int
    resource: dict[str, Any]


class Collector:
    """What it was sent, and how it answers: ``status`` to each request, from 200 on."""

    def __init__(self) -> None:
        self.status = 200
        self.asked: list[tuple[str, dict[str, str]]] = []
        self.spans: list[Seen] = []
        self.url = ""

    def named(self, name: str) -> list[Seen]:
        return [one for one in self.spans if one.name == name]

    def one(self, name: str) -> Seen:
        (found,) = self.named(name)
        return found

    def below(self, above: Seen) -> list[Seen]:
        """What has this one for its parent, in the order in which it began."""
        return sorted((one for one in self.spans if one.parent == above.id), key=lambda one: one.began)

    def take(self, body: bytes) -> None:
        from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (  # noqa: PLC0415 - few tests have use for it
            ExportTraceServiceRequest,
        )
        from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status  # noqa: PLC0415 - as above

        for group in ExportTraceServiceRequest.FromString(body).resource_spans:
            resource = _plain(group.resource.attributes)
            for scope in group.scope_spans:
                for span in scope.spans:
                    self.spans.append(
                        Seen(
                            span.trace_id.hex(),
                            span.span_id.hex(),
                            span.parent_span_id.hex(),
                            span.name,
                            Span.SpanKind.Name(span.kind).removeprefix("SPAN_KIND_"),
                            _plain(span.attributes),
                            span.status.code == Status.STATUS_CODE_ERROR,
                            span.start_time_unix_nano,
                            span.end_time_unix_nano,
                            resource,
                        )
                    )


def _plain(attributes: Any) -> dict[str, Any]:
    return {one.key: getattr(one.value, one.value.WhichOneof("value")) for one in attributes}


@contextmanager
def collecting() -> Iterator[Collector]:
    """A collector that listens, in threads of its own."""
    collector = Collector()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            status = collector.status  # which may be another once it is seen what was taken
            collector.asked.append((self.path, dict(self.headers)))
            if status < 300:
                collector.take(body)
            self.send_response(status)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    collector.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield collector
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
