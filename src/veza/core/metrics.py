"""Figures of this process for Prometheus.

Requests are counted by their route's template, never by the path: a stranger must not be able to make series.
What happens often is counted in plain dicts and lists, at a fraction of the price of the client library's
locks, and handed to the library when somebody asks. All of it happens on the event loop's thread.
"""

from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import accumulate

from prometheus_client import (
    CollectorRegistry,
    GCCollector,
    PlatformCollector,
    ProcessCollector,
    generate_latest,
)
from prometheus_client import Counter as PlainCounter
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

__all__ = [
    "METHODS",
    "Metrics",
    "count_away",
    "count_decoder_kill",
    "count_error",
    "count_lost_spans",
    "metrics",
    "observe_commit",
    "observe_job",
    "observe_request",
    "render",
    "watch",
]

# Seconds. The last is that of the slowest answer that is not a file's.
_BOUNDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
# Of jobs: the last ones are those of long songs.
_JOB_BOUNDS = (0.01, 0.05, 0.25, 1.0, 5.0, 30.0, 120.0, 600.0)
# What anybody else calls a method is one of the stranger's making.
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "WEBSOCKET"})
_NO_ROUTE = "(none)"
_CLASSES = ("none", "1xx", "2xx", "3xx", "4xx", "5xx")


Shown = float | Mapping[str, float] | None


class _Times:
    """How long something took, each time that it happened."""

    __slots__ = ("bounds", "buckets", "seconds")

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self.bounds = bounds
        self.buckets = [0] * (len(bounds) + 1)
        self.seconds = 0.0

    def note(self, seconds: float) -> None:
        self.buckets[bisect_left(self.bounds, seconds)] += 1
        self.seconds += seconds

    def add_to(self, family: HistogramMetricFamily, labels: Sequence[str]) -> None:
        names = [*map(str, self.bounds), "+Inf"]
        counts = [(name, float(n)) for name, n in zip(names, accumulate(self.buckets), strict=True)]
        family.add_metric(labels, counts, self.seconds)


class _Route(_Times):
    """What was seen of one method of one route."""

    __slots__ = ("classes",)

    def __init__(self) -> None:
        super().__init__(_BOUNDS)
        self.classes = [0] * len(_CLASSES)


class Metrics(Collector):
    """A registry of its own, with the figures of process, interpreter and garbage collection."""

    def __init__(self) -> None:
        self.in_flight = 0
        self._routes: dict[tuple[str, str], _Route] = {}
        self._jobs: dict[str, _Times] = {}
        self._outcomes: Counter[tuple[str, str]] = Counter()
        self._commits = _Times(_BOUNDS)
        self._committed = 0
        self._watched: dict[str, tuple[str, str, Callable[[], Shown]]] = {}
        self._registry = CollectorRegistry()
        self.errors = self._counter("veza_errors", "Unexpected errors, by kind.", "kind")
        self.decoder_kills = self._counter(
            "veza_decoder_kills", "Decoders ended by force, by reason.", "reason"
        )
        self.away = self._counter("veza_away", "Times that a part was out of reach, by part.", "part")
        for part in ("valkey", "storage", "scanner"):
            self.away.labels(part)  # shown from the start, or the first time would be no growth
        self.lost_spans = PlainCounter(
            "veza_lost_spans", "Spans that the collector of traces did not take.", registry=self._registry
        )
        ProcessCollector(registry=self._registry)
        PlatformCollector(registry=self._registry)
        GCCollector(registry=self._registry)
        self._registry.register(self)

    def _counter(self, name: str, text: str, label: str) -> PlainCounter:
        return PlainCounter(name, text, [label], registry=self._registry)

    def observe_request(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count a request. ``route`` is a template, or empty; ``status`` is 0 if no answer was begun."""
        seen = self._routes.get((method, route))
        if seen is None:
            key = (method if method in METHODS else "OTHER", route or _NO_ROUTE)
            seen = self._routes.setdefault(key, _Route())
        seen.classes[status // 100] += 1
        seen.buckets[bisect_left(_BOUNDS, seconds)] += 1
        seen.seconds += seconds

    def observe_commit(self, seconds: float, transactions: int) -> None:
        """Note that so many transactions were made durable together, and how long that took."""
        self._commits.note(seconds)
        self._committed += transactions

    def observe_job(self, kind: str, outcome: str, seconds: float) -> None:
        """Note one try at a job: ``done``, ``failed`` and to be tried again, or ``dead``."""
        times = self._jobs.get(kind)
        if times is None:
            times = self._jobs[kind] = _Times(_JOB_BOUNDS)
        times.note(seconds)
        self._outcomes[kind, outcome] += 1

    def watch(self, name: str, text: str, read: Callable[[], Shown], label: str = "") -> None:
        """Show what ``read`` says when somebody asks: a number, or with ``label`` one for each of its values.

        None is shown as nothing: it is not known now.
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
            seen.add_to(times, key)
        yield requests
        yield times
        yield from self._collect_work()
        yield GaugeMetricFamily("veza_requests_in_flight", "Requests being answered.", value=self.in_flight)
        for name, (text, label, read) in self._watched.items():
            yield _gauge(name, text, label, read())

    def _collect_work(self) -> Iterator[Metric]:
        tries = CounterMetricFamily(
            "veza_job_tries", "Tries at jobs, by how they ended.", labels=["kind", "outcome"]
        )
        times = HistogramMetricFamily("veza_job_seconds", "Time that a try at a job took.", labels=["kind"])
        for key, count in self._outcomes.items():
            tries.add_metric(key, count)
        for kind, seen in self._jobs.items():
            seen.add_to(times, [kind])
        commits = HistogramMetricFamily("veza_commit_seconds", "Time until a commit was durable.", labels=[])
        self._commits.add_to(commits, [])
        yield tries
        yield times
        yield commits
        yield CounterMetricFamily(
            "veza_transactions", "Transactions that were made durable, some of them together.",
            value=self._committed,
        )  # fmt: skip


def _gauge(name: str, text: str, label: str, value: Shown) -> GaugeMetricFamily:
    if value is None:
        return GaugeMetricFamily(name, text)
    if not isinstance(value, Mapping):
        return GaugeMetricFamily(name, text, value=value)
    gauge = GaugeMetricFamily(name, text, labels=[label])
    for key, number in value.items():
        gauge.add_metric([key], number)
    return gauge


metrics = Metrics()
"""Those of this process."""

observe_request = metrics.observe_request
observe_commit = metrics.observe_commit
observe_job = metrics.observe_job
watch = metrics.watch
render = metrics.render


def count_error(kind: str) -> None:
    """Count an unexpected error; ``kind`` is one of few words, such as the name of its class."""
    metrics.errors.labels(kind).inc()


def count_decoder_kill(reason: str) -> None:
    """Count a decoder that was ended by force.

    By us for its ``time`` or its ``output``, or by a ``signal``: of its limits, or of a fault in it.
    """
    metrics.decoder_kills.labels(reason).inc()


def count_away(part: str) -> None:
    """Count that a part of ours did not answer."""
    metrics.away.labels(part).inc()


def count_lost_spans(number: int) -> None:
    """Count spans that were not sent; from any thread."""
    metrics.lost_spans.inc(number)
