"""Figures of this process for Prometheus.

Requests are counted by their route's template, never by the path: a stranger must not be able to make series.
They are counted in plain dicts, at a fraction of the price of the client library's locks, and handed to the
library when somebody asks. All of it happens on the event loop's thread.
"""

from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping
from itertools import accumulate

from prometheus_client import (
    CollectorRegistry,
    Counter,
    GCCollector,
    PlatformCollector,
    ProcessCollector,
    generate_latest,
)
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

__all__ = ["Metrics", "count_decoder_kill", "count_error", "metrics", "observe_request", "render", "watch"]

# Seconds. The last is that of the slowest answer that is not a file's.
_BOUNDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
_LABELS = [*(str(bound) for bound in _BOUNDS), "+Inf"]
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "WEBSOCKET"})
_NO_ROUTE = "(none)"
_CLASSES = ("none", "1xx", "2xx", "3xx", "4xx", "5xx")


class _Route:
    """What was seen of one method of one route."""

    __slots__ = ("buckets", "classes", "seconds")

    def __init__(self) -> None:
        self.buckets = [0] * len(_LABELS)
        self.classes = [0] * len(_CLASSES)
        self.seconds = 0.0


class Metrics(Collector):
    """A registry of its own, with the figures of process, interpreter and garbage collection."""

    def __init__(self) -> None:
        self.in_flight = 0
        self._routes: dict[tuple[str, str], _Route] = {}
        self._watched: dict[str, tuple[str, str, Callable[[], float | Mapping[str, float]]]] = {}
        self._registry = CollectorRegistry()
        self.errors = Counter("veza_errors", "Unexpected errors, by kind.", ["kind"], registry=self._registry)
        self.decoder_kills = Counter(
            "veza_decoder_kills", "Decoders ended by force, by reason.", ["reason"], registry=self._registry
        )
        ProcessCollector(registry=self._registry)
        PlatformCollector(registry=self._registry)
        GCCollector(registry=self._registry)
        self._registry.register(self)

    def observe_request(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count a request. ``route`` is a template, or empty; ``status`` is 0 if no answer was begun."""
        seen = self._routes.get((method, route))
        if seen is None:
            key = (method if method in _METHODS else "OTHER", route or _NO_ROUTE)
            seen = self._routes.setdefault(key, _Route())
        seen.classes[status // 100] += 1
        seen.buckets[bisect_left(_BOUNDS, seconds)] += 1
        seen.seconds += seconds

    def watch(
        self, name: str, text: str, read: Callable[[], float | Mapping[str, float]], label: str = ""
    ) -> None:
        """Show what ``read`` says when somebody asks: a number, or with ``label`` one for each of its values.

        ``read`` must be quick and must not fail: it says what is known already. A second one of the same name
        takes the place of the first.
        """
        self._watched[name] = (text, label, read)

    def render(self) -> bytes:
        """All figures in Prometheus' text format 0.0.4."""
        return generate_latest(self._registry)

    def collect(self) -> Iterator[Metric]:
        """What the registry asks for."""
        requests = CounterMetricFamily(
            "veza_requests", "Requests answered.", labels=["method", "route", "status"]
        )
        times = HistogramMetricFamily(
            "veza_request_seconds", "Time from request to answered.", labels=["method", "route"]
        )
        for key, seen in self._routes.items():
            for name, count in zip(_CLASSES, seen.classes, strict=True):
                if count:
                    requests.add_metric([*key, name], count)
            buckets = [(bound, float(n)) for bound, n in zip(_LABELS, accumulate(seen.buckets), strict=True)]
            times.add_metric(key, buckets, seen.seconds)
        yield requests
        yield times
        yield GaugeMetricFamily("veza_requests_in_flight", "Requests being answered.", value=self.in_flight)
        for name, (text, label, read) in self._watched.items():
            yield _gauge(name, text, label, read())


def _gauge(name: str, text: str, label: str, value: float | Mapping[str, float]) -> GaugeMetricFamily:
    if not isinstance(value, Mapping):
        return GaugeMetricFamily(name, text, value=value)
    gauge = GaugeMetricFamily(name, text, labels=[label])
    for key, number in value.items():
        gauge.add_metric([key], number)
    return gauge


metrics = Metrics()
"""Those of this process."""

observe_request = metrics.observe_request
watch = metrics.watch
render = metrics.render


def count_error(kind: str) -> None:
    """Count an unexpected error; ``kind`` is one of few words, such as the name of its class."""
    metrics.errors.labels(kind).inc()


def count_decoder_kill(reason: str) -> None:
    """Count a decoder that was ended by force: by our ``time``, or by a ``signal`` (its limits, a fault)."""
    metrics.decoder_kills.labels(reason).inc()
