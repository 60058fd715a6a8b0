"""Whoever watches a server sees what it shows, and asks for nothing that it does not."""

import json
import re
import shutil
import subprocess
import time
from datetime import timedelta
from pathlib import Path
from uuid import UUID

import pytest
import sqlalchemy as sa

from tests.core.test_metrics import samples
from tests.deploy.watched import ADDED, ALERTS, DASHBOARD, OF_SQLITE, asked, panels, rules, shown
from tests.docs.pages import ROOT
from tests.rooms.test_admin import FRAGILE, Told, work
from tests.rooms.webhooks_house import hook
from tests.world import open_world
from veza.app import LOOKS, make_gauges
from veza.core import clock, metrics
from veza.core.db import Database, Statement
from veza.core.events import events
from veza.core.jobs import JobKind, enqueue

PATIENT = JobKind("test.patient", Told)
LATER = timedelta(minutes=3)
_PLANT: Statement[None] = Statement(sa.insert(events))


async def test_what_waits_and_what_failed_is_shown(database: Database, tmp_path: Path) -> None:
    """X15, D3: how late jobs, events, deliveries and seals are; all that is asked for is there."""
    # A receiver that is never asked: nobody works here.
    async with open_world(database, tmp_path, webhook_allow_private=True) as world:
        ada, bob = await world.person("ada"), await world.person("bob")
        await hook(ada, "http://127.0.0.1:9009/", "user.followed")
        for number in range(2):
            async with database.write() as tx:
                await enqueue(tx, FRAGILE, Told(number))
            if number == 0:
                await work(world, well=False)
        async with database.write() as tx:
            await enqueue(tx, PATIENT, Told(2))
        await work(world, well=False, kind=PATIENT)
        await bob.post(f"/users/{ada.id}/follow")
        for count, part in ((metrics.count_error, "ValueError"), (metrics.count_away, "valkey"),
                            (metrics.count_decoder_kill, "time")):  # fmt: skip
            count(part)
        # Who holds up the sealing may plant an event of tomorrow before all others.
        async with database.write() as tx:
            nobody = dict.fromkeys(("ip", "user_agent", "request_id"), "")
            tomorrow = clock.now() + timedelta(days=1)
            await tx.run(
                _PLANT, id=UUID(int=1), kind="x", data={}, actor_id=None, created_at=tomorrow, **nobody
            )
        with clock.shifted(LATER):
            await make_gauges(world.parts).look()
            found = samples(metrics.metrics)
        text = (await world.guest.get("http://veza.test/metrics")).text

    late = LATER.total_seconds()
    assert late <= found["veza_jobs_late_seconds", "default"] < late + 30
    assert found["veza_jobs", "default"] > 0
    assert found["veza_jobs_dead", "test.fragile"] == 1
    assert found["veza_jobs_failing", "test.patient"] == 1
    assert ("veza_jobs_failing", "test.fragile") not in found
    assert found["veza_job_tries_total", "test.fragile", "dead"] >= 1
    assert late <= found["veza_events_late_seconds", "notifications.tell"] < late + 30
    assert found["veza_events_queued", "notifications.tell"] > 0
    assert late <= found["veza_webhooks_late_seconds",] < late + 30
    assert found["veza_webhooks_failing",] == 0
    assert late <= found["veza_audit_late_seconds",] < late + 30
    assert found["veza_audit_queued",] > 0
    assert {found["veza_figures_known", look.name] for look in LOOKS} == {1}
    assert found["veza_commit_seconds_count",] > 0
    assert found["veza_transactions_total",] >= found["veza_commit_seconds_count",]
    assert found["veza_data_free_bytes",] > 0
    assert abs(found["veza_clock_seconds",] - late - time.time()) < 30, "X8: as the clock shows it"
    known = shown(text)
    if database.dialect == "sqlite":
        assert found["veza_database_bytes",] > 0
        assert found["veza_wal_bytes",] > 0
    else:
        known |= {name: set() for name in OF_SQLITE}

    for panel in panels(json.loads(DASHBOARD.read_text("utf-8"))):
        for target in panel["targets"]:
            check(known, target["expr"], set(re.findall(r"{{(\w+)}}", target["legendFormat"])))
    for rule in rules():
        told = re.findall(r"\$labels\.(\w+)", " ".join(rule["annotations"].values()))
        check(known, rule["expr"], set(told))


def check(known: dict[str, set[str]], expression: str, told: set[str]) -> None:
    """The query's names are shown with the labels that it asks for, and it keeps those that are told."""
    names, labels = asked(expression)
    assert names <= known.keys(), expression
    assert names or "up{" in expression
    there = ADDED.union(*(known[name] for name in names))
    assert labels | told <= there, expression
    assert told <= labels | {"instance"}, expression


def test_a_dashboard_has_its_panels_once_and_beside_each_other() -> None:
    dashboard = json.loads(DASHBOARD.read_text("utf-8"))
    ids = [panel["id"] for panel in dashboard["panels"]]
    assert len(ids) == len(set(ids)) > 20
    taken: set[tuple[int, int]] = set()
    for panel in dashboard["panels"]:
        at = panel["gridPos"]
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert not taken & cells, panel["title"]
        taken |= cells
    assert max(x for x, _ in taken) < 24
    variables = {one["name"] for one in dashboard["templating"]["list"]}
    text = json.dumps(dashboard)
    assert set(re.findall(r"\$\{?([a-z]\w*)", text)) <= variables


def test_the_first_crash_of_a_kind_is_told() -> None:
    """G35: its series begins at one, and what begins has not grown: of one crash nobody would hear."""
    errors = metrics.Metrics()
    assert "veza_errors_total" not in {name for name, *_ in samples(errors)}
    (crashes,) = [rule["expr"] for rule in rules() if rule["alert"] == "VezaCrashes"]
    assert "or sum by (kind) (veza_errors_total unless veza_errors_total offset 15m) > 0" in crashes


def test_an_alert_says_what_is_wrong_and_what_to_do() -> None:
    names = [rule["alert"] for rule in rules()]
    assert len(names) == len(set(names)) > 10
    for rule in rules():
        assert rule["labels"]["severity"] in {"page", "ticket"}, rule["alert"]
        assert rule["annotations"].keys() == {"summary", "description"}, rule["alert"]
    told = (ROOT / "docs/operations.md").read_text("utf-8")
    assert re.findall(r"^\| `(Veza\w+)` \|", told, re.MULTILINE) == names


@pytest.mark.skipif(not shutil.which("promtool"), reason="promtool, of Prometheus, is not installed")
def test_prometheus_reads_its_files() -> None:
    """By its own tool; it reads the alerts with the configuration that names them."""
    told = subprocess.run(
        ["promtool", "check", "config", str(ALERTS.with_name("prometheus.yml"))],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert told.returncode == 0, told.stderr
