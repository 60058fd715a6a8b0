"""Spans by OpenTelemetry: batched by its SDK, and sent as OTLP over HTTP by a thread of its own.

Loaded only where :mod:`veza.core.tracing_open` is told where to send them; needs the extra `tracing`. What
the SDK's own variables say (``OTEL_EXPORTER_OTLP_HEADERS``, ``OTEL_RESOURCE_ATTRIBUTES``,
``OTEL_SERVICE_NAME``, ``OTEL_BSP_…``) holds; where to, and how many, does Veza's settings.
"""

import logging
from collections.abc import Sequence
from threading import Thread

import structlog
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased
from opentelemetry.trace import (
    NonRecordingSpan,
    Span,
    SpanContext,
    SpanKind,
    StatusCode,
    TraceFlags,
    set_span_in_context,
)

from veza import __version__
from veza.core.ids import new_id
from veza.core.metrics import count_lost_spans
from veza.core.traceparent import TraceParent
from veza.core.tracing import About, Kind, Value

log = structlog.get_logger()

# How long the end of a process may wait for the collector.
LAST_SECONDS = 3.0
_KINDS = {kind: SpanKind(kind.value) for kind in Kind}
_NO_CONTEXT = Context()


class OtelRecording:
    """A span of the SDK."""

    __slots__ = ("_span", "at", "recorded")

    def __init__(self, span: Span) -> None:
        self._span = span
        found = span.get_span_context()
        at = TraceParent(found.trace_id, found.span_id, int(found.trace_flags))
        self.at = at if found.is_valid else None
        self.recorded = span.is_recording()

    def set(self, name: str, value: Value) -> None:
        """Say something more of it."""
        self._span.set_attribute(name, value)

    def rename(self, name: str) -> None:
        """Call it by what is known only now."""
        self._span.update_name(name)

    def end(self, error: str | None) -> None:
        """It is over."""
        if error is not None:
            self._span.set_attribute("error.type", error)
            self._span.set_status(StatusCode.ERROR)
        self._span.end()


class OtelRecorder:
    """The SDK's tracer, what samples, and what sends; ``percent`` of the traces that begin here are kept."""

    def __init__(self, url: str, percent: int, role: str) -> None:
        self._exporter = _Exporter(OTLPSpanExporter(_endpoint(url)))
        self._provider = TracerProvider(
            sampler=ParentBased(TraceIdRatioBased(percent / 100)),
            resource=_resource(role),
            shutdown_on_exit=False,
        )
        self._provider.add_span_processor(BatchSpanProcessor(self._exporter))
        self._tracer = self._provider.get_tracer("veza", __version__)

    def begin(self, name: str, kind: Kind, parent: TraceParent | None, about: About) -> OtelRecording:
        """Begin a span."""
        around = _NO_CONTEXT if parent is None else set_span_in_context(_remote(parent), _NO_CONTEXT)
        return OtelRecording(self._tracer.start_span(name, around, _KINDS[kind], about))

    def close(self) -> None:
        """Send what there is, for :data:`LAST_SECONDS` at most."""
        # A daemon, for a collector that hangs shall not keep the process from ending.
        last = Thread(target=self._provider.shutdown, name="veza-traces-last", daemon=True)
        last.start()
        last.join(LAST_SECONDS)
        if last.is_alive():
            self._exporter.shutdown()


def ask_collector(url: str, seconds: float) -> str | None:
    """Send it no spans at all; what it says against that, or None. Waits: call it in a thread."""
    said = _LastWord.of_all()
    taken = OTLPSpanExporter(_endpoint(url), timeout=seconds).export([])
    return None if taken is SpanExportResult.SUCCESS else said.text


def _endpoint(url: str) -> str:
    return f"{url.rstrip('/')}/v1/traces"


def _remote(parent: TraceParent) -> NonRecordingSpan:
    return NonRecordingSpan(
        SpanContext(parent.trace_id, parent.span_id, is_remote=True, trace_flags=TraceFlags(parent.flags))
    )


def _resource(role: str) -> Resource:
    ours = Resource(
        {
            "service.name": "veza",
            "service.version": __version__,
            "service.instance.id": str(new_id()),
            "veza.role": role,
        }
    )
    return ours.merge(OTELResourceDetector().detect())


class _Exporter(SpanExporter):
    """Says once that the collector is away, and once that it is back; counts what was lost meanwhile."""

    def __init__(self, exporter: OTLPSpanExporter) -> None:
        self._exporter = exporter
        self._away = False
        self._closed = False
        self._said = _LastWord.of_all()

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Send some spans; the SDK's thread waits for that, and nobody else."""
        result = self._exporter.export(spans)
        away = result is not SpanExportResult.SUCCESS
        if away:
            count_lost_spans(len(spans))
        if away is not self._away:
            self._away = away
            if away:
                log.warning("traces.collector_away", reason=self._said.text)
            else:
                log.info("traces.collector_back")
        return result

    def shutdown(self) -> None:
        """Give up what is being tried; a second time there is nothing to do."""
        if not self._closed:
            self._closed = True
            self._exporter.shutdown()  # type: ignore[no-untyped-call]  # the library says nothing of it

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Nothing is held back here."""
        del timeout_millis
        return True


class _LastWord(logging.Handler):
    """Keeps what the SDK said last: while the collector is away it says the same again and again."""

    text = ""

    @classmethod
    def of_all(cls) -> "_LastWord":
        """That of what sends and of what queues; neither writes to the log by itself any more."""
        said = cls()
        for name, level in (
            ("opentelemetry.exporter", logging.WARNING),
            ("opentelemetry.sdk", logging.ERROR),
        ):
            talker = logging.getLogger(name)
            talker.handlers, talker.propagate = [said], False
            # That the queue is full would be said within requests, of each span that it has no room for.
            talker.setLevel(level)
        return said

    def emit(self, record: logging.LogRecord) -> None:
        """Keep it."""
        self.text = record.getMessage()
