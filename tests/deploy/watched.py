"""What a process shows at /metrics, and what others ask it for: names of figures and of their labels."""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import yaml
from prometheus_client.parser import text_string_to_metric_families

from tests.docs.pages import ROOT

DASHBOARD = ROOT / "deploy/grafana/veza.json"
ALERTS = ROOT / "deploy/prometheus/alerts.yml"
# What Prometheus itself adds.
ADDED = {"job", "instance", "role"}
# Ours are only there on SQLite: PostgreSQL's own exporter tells of its files.
OF_SQLITE = {"veza_database_bytes", "veza_wal_bytes"}

# What Grafana fills in, and what it does with a time.
_FILLED = {"$__rate_interval": "5m", "$job": ".*", "$instance": ".*", "$files": ".*"}
_NAME = re.compile(r"\b(?:veza|process|python)_\w+")
_MATCHER = re.compile(r"(\w+)\s*(?:=~|!~|!=|=)\s*\"")
_GROUPING = re.compile(r"\b(?:by|without)\s*\(([^)]*)\)")


def shown(text: str) -> dict[str, set[str]]:
    """Every name that can be asked for, with the labels that it has."""
    found: dict[str, set[str]] = {}
    for family in text_string_to_metric_families(text):
        ends = {"counter": ("_total",), "histogram": ("_bucket", "_sum", "_count")}.get(family.type, ("",))
        for name in (f"{family.name}{end}" for end in ends):
            found[name] = set()
        for sample in family.samples:
            found.setdefault(sample.name, set()).update(sample.labels)
    return found


def asked(expression: str) -> tuple[set[str], set[str]]:
    """The names of figures, and of labels, that a query of Prometheus asks for."""
    for name, value in _FILLED.items():
        expression = expression.replace(name, value)
    labels = set(_MATCHER.findall(expression))
    for group in _GROUPING.findall(expression):
        labels |= {name.strip() for name in group.split(",")}
    without_texts = re.sub(r'"(?:[^"\\]|\\.)*"', '""', expression)
    return set(_NAME.findall(without_texts)), labels


def panels(dashboard: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Those that show something."""
    return (panel for panel in dashboard["panels"] if panel["type"] != "row")


def rules() -> Iterable[Mapping[str, Any]]:
    """Every alert."""
    return [rule for group in yaml.safe_load(ALERTS.read_text("utf-8"))["groups"] for rule in group["rules"]]
