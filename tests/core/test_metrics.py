import pytest
from prometheus_client.parser import text_string_to_metric_families

from veza.core import metrics as module
from veza.core.metrics import Metrics


def samples(metrics: Metrics) -> dict[tuple[str, ...], float]:
    found = {}
    for family in text_string_to_metric_families(metrics.render().decode()):
        for sample in family.samples:
            labels = sorted(sample.labels, key=lambda name: name == "le")
            found[(sample.name, *(sample.labels[name] for name in labels))] = sample.value
    return found


def test_requests_are_counted_by_method_route_and_class():
    metrics = Metrics()
    for status, seconds in [(200, 0.0009), (206, 0.003), (404, 0.02), (500, 99.0), (0, 0.001)]:
        metrics.observe_request("GET", "/api/v1/tracks/{id}", status, seconds)
    metrics.in_flight = 3
    found = samples(metrics)
    key = ("GET", "/api/v1/tracks/{id}")
    assert found["veza_requests_total", *key, "2xx"] == 2
    assert found["veza_requests_total", *key, "4xx"] == 1
    assert found["veza_requests_total", *key, "5xx"] == 1
    assert found["veza_requests_total", *key, "none"] == 1
    assert found["veza_request_seconds_count", *key] == 5
    assert found["veza_request_seconds_sum", *key] == pytest.approx(99.0249)
    assert found["veza_request_seconds_bucket", *key, "0.001"] == 2
    assert found["veza_request_seconds_bucket", *key, "0.005"] == 3
    assert found["veza_request_seconds_bucket", *key, "10.0"] == 4
    assert found["veza_request_seconds_bucket", *key, "+Inf"] == 5
    assert found["veza_requests_in_flight",] == 3


def test_a_stranger_makes_no_series():
    """X: paths without a route and invented methods share one series."""
    metrics = Metrics()
    for number in range(1000):
        metrics.observe_request(f"BREW{number}", "", 405, 0.1)
    found = samples(metrics)
    assert found["veza_requests_total", "OTHER", "(none)", "4xx"] == 1000
    assert len([key for key in found if key[0] == "veza_requests_total"]) == 1


def test_what_others_know_is_asked_when_somebody_looks():
    metrics, queued = Metrics(), {"default": 3.0, "media": 0.0}
    metrics.watch("veza_jobs_queued", "Jobs that wait.", lambda: queued, "lane")
    metrics.watch("veza_jobs_oldest_seconds", "Age of the oldest.", lambda: 1.0)
    metrics.watch("veza_jobs_oldest_seconds", "Age of the oldest.", lambda: 2.5)
    queued["media"] = 7
    found = samples(metrics)
    assert found["veza_jobs_queued", "default"] == 3
    assert found["veza_jobs_queued", "media"] == 7
    assert found["veza_jobs_oldest_seconds",] == 2.5


def test_the_process_has_its_figures_once():
    """G35: unexpected errors and killed decoders are counted, beside memory, files and collections."""
    before = samples(module.metrics)
    module.count_error("ValueError")
    module.count_decoder_kill("time")
    found = samples(module.metrics)
    for key in (("veza_errors_total", "ValueError"), ("veza_decoder_kills_total", "time")):
        assert found[key] == before.get(key, 0) + 1
    assert found["process_resident_memory_bytes",] > 0
    assert found["process_open_fds",] > 0
    assert ("python_gc_collections_total", "0") in found


def test_jobs_and_commits_are_counted_and_timed():
    """X1: how long a commit takes, and how many transactions shared it; how tries at jobs end."""
    metrics = Metrics()
    metrics.observe_commit(0.003, 5)
    metrics.observe_commit(0.2, 1)
    for outcome, seconds in (("done", 0.02), ("failed", 3.0), ("dead", 700.0)):
        metrics.observe_job("tracks.process", outcome, seconds)
    found = samples(metrics)
    assert found["veza_commit_seconds_count",] == 2
    assert found["veza_commit_seconds_sum",] == pytest.approx(0.203)
    assert found["veza_commit_seconds_bucket", "0.005"] == 1
    assert found["veza_transactions_total",] == 6
    for outcome in ("done", "failed", "dead"):
        assert found["veza_job_tries_total", "tracks.process", outcome] == 1
    assert found["veza_job_seconds_bucket", "tracks.process", "5.0"] == 2
    assert found["veza_job_seconds_bucket", "tracks.process", "+Inf"] == 3


def test_texts_of_a_route_cannot_break_the_format():
    metrics = Metrics()
    metrics.observe_request("GET", '/a"b\\c\nd', 200, 0.1)
    assert samples(metrics)["veza_requests_total", "GET", '/a"b\\c\nd', "2xx"] == 1
