"""Traces as a collector sees them: what is within what, and what is said of it and what never."""

# ruff: noqa: F811 - a fixture is asked for by its name

import asyncio
import json
import time
from collections.abc import Iterator
from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from tests.collector import Collector, Seen, collecting
from tests.core.asking import ask
from tests.core.test_log import as_before, written  # noqa: F401 - fixtures
from tests.media.corpus import BY_NAME, make
from tests.receiver import receiving
from tests.rooms.test_admin import FRAGILE, Told
from tests.rooms.webhooks_house import ended, hook
from tests.world import open_world
from veza.core import clock
from veza.core.db import Database
from veza.core.job_envelope import cause_of, enveloped, queued_at, with_cause
from veza.core.jobs import JobKind, enqueue
from veza.core.log import configure_logging
from veza.core.metrics import metrics
from veza.core.traceparent import TraceParent, read_traceparent
from veza.core.tracing import Kind, begin, here, part, tracing
from veza.core.tracing_open import traces_sent
from veza.core.worker import Task, Worker
from veza.rooms.tracks import service

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
GIVEN = f"00-{TRACE}-{SPAN}-01"
PROXY = "192.0.2.1"
TWICE = JobKind("test.twice", Told, attempts=2)


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> Iterator[Collector]:
    from veza.core import tracing_otel  # noqa: PLC0415 - loaded late, as everywhere

    monkeypatch.setattr(tracing_otel, "LAST_SECONDS", 30.0)
    with collecting() as made:
        yield made


def within(parent: Seen, *children: Seen) -> None:
    for child in children:
        assert (child.trace, child.parent) == (parent.trace, parent.id), child.name
        assert parent.began <= child.began
        assert child.ended <= parent.ended


async def test_a_song_is_one_trace_from_the_request_to_the_decoder(
    database: Database, tmp_path: Path, collector: Collector
) -> None:
    """D5, K15: jobs are within the request that queued them, decoders within jobs, and secrets nowhere."""
    song = make(BY_NAME["rate8.mp3"], tmp_path)
    async with (
        traces_sent(collector.url, 100, "serve"),
        receiving() as receiver,
        open_world(database, tmp_path / "data", work=True, webhook_allow_private=True) as world,
    ):
        ada = await world.person("ada")
        made = await hook(ada, f"{receiver.url}?key=hush-hush", "track.processed")
        track = await ada.upload(song, title="Quite private")
        await world.ready(ada, track["id"])
        assert (await ada.get(f"/tracks/{track['id']}?key=hush-hush")).status_code == 200
        await ended(ada, made["id"], 1)
    request = collector.one("POST /api/v1/tracks")
    assert (request.kind, request.parent, request.failed) == ("SERVER", "", False)
    assert request.resource["service.name"] == "veza"
    assert request.resource["veza.role"] == "serve"
    assert request.attributes["http.request.method"] == "POST"
    assert request.attributes["http.route"] == "/api/v1/tracks"
    assert request.attributes["http.response.status_code"] == 201
    (stored,) = [one for one in collector.below(request) if one.name == "storage.put_file"]
    within(request, stored)
    writes = [one for one in collector.below(request) if one.name == "transaction"]
    assert writes
    assert {one.attributes["db.operation.name"] for one in writes} == {"COMMIT"}

    job = collector.one("process tracks.process")
    assert (job.trace, job.parent, job.kind) == (request.trace, request.id, "CONSUMER")
    assert job.attributes["veza.job.attempt"] == 1
    decode, encode = collector.one("media.decode"), collector.one("media.encode")
    within(job, decode, encode)
    decoder, encoder = collector.below(decode)[0], collector.below(encode)[0]
    within(decode, decoder)
    within(encode, encoder)
    for child in (decoder, encoder):
        assert child.attributes["process.exit.code"] == 0
        assert child.attributes["process.executable.name"] == "ffmpeg"
    within(job, collector.one("tag_child"))

    told = collector.one("deliver track.processed")
    (post,) = collector.below(told)
    assert (told.trace, told.parent) == (request.trace, job.id), "where the event happened"
    assert (post.kind, post.attributes["http.response.status_code"]) == ("CLIENT", 204)
    assert "_trace" not in receiver.got[0].raw.decode()
    assert post.attributes["server.port"] == receiver.port
    assert "traceparent" not in receiver.got[0].headers, "strangers are told nothing of our traces"
    everything = repr(collector.spans)
    for word in ("hush-hush", "Quite private", "ada@", "Bearer", "eyJ", str(tmp_path), "127.0.0.1:40"):
        assert word not in everything


async def test_a_job_is_of_its_trace_at_each_try(
    database: Database, tmp_path: Path, collector: Collector
) -> None:
    """C33, W11: another worker, another time, and what failed before: all within what queued it."""
    tries: list[TraceParent | None] = []

    async def run(_job: object, told: Told) -> None:
        tries.append(here())
        if len(tries) == 1:
            raise ValueError("quite secret")
        async with database.write() as tx:
            await enqueue(tx, FRAGILE, told)

    async def work() -> None:
        # Of the time in between nothing is kept in the process.
        async with traces_sent(collector.url, 100, "worker"):
            worker = Worker(database, "default", [Task(TWICE, run), Task(FRAGILE, run)], concurrency=1)
            await worker._claim()
            await asyncio.gather(*worker._running)

    async with traces_sent(collector.url, 100, "serve"):
        with begin("request", Kind.SERVER):
            async with database.write() as tx:
                await enqueue(tx, TWICE, Told(7))
    for later in (timedelta(0), timedelta(minutes=1), timedelta(minutes=2)):
        with clock.shifted(later):
            await work()
    request, (first, second) = collector.one("request"), collector.named("process test.twice")
    for one, attempt in ((first, 1), (second, 2)):
        assert (one.trace, one.parent) == (request.trace, request.id)
        assert one.attributes["veza.job.attempt"] == attempt
        assert one.attributes["messaging.destination.name"] == "test.twice"
        assert one.resource["veza.role"] == "worker"
    assert (first.failed, first.attributes["error.type"], second.failed) == (True, "ValueError", False)
    following = collector.one("process test.fragile")
    assert (following.trace, following.parent) == (request.trace, second.id)
    assert [at.span for at in tries if at] == [first.id, second.id, following.id]
    assert "quite secret" not in repr(collector.spans)


@pytest.mark.parametrize("dialect", ["sqlite"])
async def test_only_a_proxy_of_ours_says_which_trace_a_request_is_of(
    database: Database, tmp_path: Path, collector: Collector
) -> None:
    """G16, G23: as an address is believed from it; and whatever else is sent begins a trace of its own."""
    later = f"cc-{TRACE}-{SPAN}-01-what-comes-in-a-later-version"
    asked = {
        PROXY: [
            (GIVEN,),
            (later,),
            (GIVEN[:-2] + "00",),
            (f"ff{GIVEN[2:]}",),
            (GIVEN + "-more",),
            (GIVEN, GIVEN),
        ],
        "::ffff:192.0.2.1": [(GIVEN,)],
        "203.0.113.7": [(GIVEN,)],
    }
    async with (
        traces_sent(collector.url, 100, "serve"),
        open_world(database, tmp_path / "data", trusted_proxies=f"{PROXY}/32") as world,
    ):
        for peer, said in asked.items():
            for number, lines in enumerate(said):
                name = ("x-request-id", f"{peer.replace('.', '-').replace(':', 'c')}--{number}")
                headers = [("traceparent", line) for line in lines]
                answer = await ask(world.app, "GET", "/api/v1/tracks", name, *headers, peer=peer)
                assert answer.status == 200
    found = {one.attributes["veza.request_id"]: one for one in collector.spans}
    ours = {"192-0-2-1--0", "192-0-2-1--1", "ccffffc192-0-2-1--0"}
    assert {name for name, one in found.items() if one.trace == TRACE} == ours
    assert {found[name].parent for name in ours} == {SPAN}
    assert found.keys() - ours == {"192-0-2-1--3", "192-0-2-1--4", "192-0-2-1--5", "203-0-113-7--0"}, (
        "the one that is kept by nobody is not kept here"
    )
    assert {one.parent for name, one in found.items() if name not in ours} == {""}


@pytest.mark.parametrize("dialect", ["sqlite"])
async def test_what_is_said_of_a_request(
    database: Database, tmp_path: Path, collector: Collector, monkeypatch: Any, written: Any
) -> None:
    """G22, D5: its method if it is one, its route if it has one, why it failed; log lines name its trace."""
    configure_logging(pretty=False, file=written.file)

    async def crash(*_: Any, **__: Any) -> None:
        raise ZeroDivisionError("hush-hush")

    async with traces_sent(collector.url, 100, "serve"), open_world(database, tmp_path / "data") as world:
        await ask(world.app, "GET", "/api/v1/hush-hush?token=hush-hush")
        await ask(world.app, "BREW", "/api/v1/tracks")
        assert (await ask(world.app, "GET", "/healthz")).status == 200
        monkeypatch.setattr(service, "get_visible", crash)
        wanted = "/api/v1/tracks/01890a5d-ac96-774b-bcce-b302099a8057/likes"
        assert (await ask(world.app, "GET", wanted)).status == 500
    unknown, brewed = collector.one("GET"), collector.one("HTTP")
    assert (unknown.attributes["http.response.status_code"], unknown.failed) == (404, False)
    assert "http.route" not in unknown.attributes
    assert brewed.attributes["http.request.method"] == "_OTHER"
    failed = collector.one("GET /api/v1/tracks/{track_id}/likes")
    assert (failed.failed, failed.attributes["error.type"]) == (True, "500")
    assert "hush" not in repr(collector.spans)
    lines = [line for line in written() if line.get("trace_id") == failed.trace]
    assert {line["event"] for line in lines} == {"request.crashed", "request"}
    assert {line["span_id"] for line in lines} == {failed.id}


@pytest.mark.parametrize("dialect", ["sqlite"])
async def test_a_collector_that_is_away_costs_traces_and_nothing_else(
    database: Database, tmp_path: Path, collector: Collector, monkeypatch: Any, written: Any
) -> None:
    """X15: no request waits or fails; one line says so, another that it is back; the end does not wait."""
    from veza.core import tracing_otel  # noqa: PLC0415 - loaded late, as everywhere

    configure_logging(pretty=False, file=written.file)
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "20")
    monkeypatch.setenv("OTEL_BSP_MAX_QUEUE_SIZE", "16")
    monkeypatch.setenv("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "8")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "0.5")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "x-key=hush-hush")
    monkeypatch.setattr(tracing_otel, "LAST_SECONDS", 0.3)
    lost = metrics.lost_spans._value.get()
    collector.status = 503
    async with asyncio.timeout(60), traces_sent(collector.url, 100, "serve"):
        async with open_world(database, tmp_path / "data") as world:
            began = time.perf_counter()
            for _ in range(100):
                assert (await ask(world.app, "GET", "/api/v1/tracks")).status == 200
            assert time.perf_counter() - began < 20
            assert not collector.spans
            while metrics.lost_spans._value.get() <= lost + 8:  # noqa: ASYNC110 - counted by another thread
                await asyncio.sleep(0.02)
            collector.status = 200
            while not collector.spans or tracing.recorder._exporter._away:
                await ask(world.app, "GET", "/api/v1/tracks")
                await asyncio.sleep(0.02)
            assert collector.asked[0][1]["x-key"] == "hush-hush"
            collector.status = 503
            await ask(world.app, "GET", "/api/v1/tracks")
        began = time.perf_counter()
    assert time.perf_counter() - began < 20
    said = [line for line in written() if line["event"] != "request"]
    told = [line["event"] for line in said]
    # Once each time: it may be slow, and away once more, by itself.
    assert told[:2] == ["traces.collector_away", "traces.collector_back"]
    assert all(one != other for one, other in pairwise(told)), told
    assert "hush" not in json.dumps(said)


async def test_of_some_traces_only_the_way_is_known(collector: Collector) -> None:
    """What is not recorded costs no parts, and jobs that it queues know that they are not to be either."""
    async with traces_sent(collector.url, 0, "serve"):
        with begin("request", Kind.SERVER):
            at = here()
            assert at is not None
            assert not at.recorded
            with part("transaction") as span:
                assert here() == at
                assert span.recording is None
        with begin("job", Kind.CONSUMER, parent=queued_at(enveloped(b"{}", at).decode())):
            assert here().trace_id == at.trace_id
        with begin("proxied", Kind.SERVER, parent=read_traceparent(GIVEN)):
            assert here().trace == TRACE
    assert [one.name for one in collector.spans] == ["proxied"], "who began a trace says whether it is kept"


async def test_what_goes_on_when_a_span_is_over_is_no_part_of_it(collector: Collector) -> None:
    """A request may begin what others use for hours: its trace would never end."""
    over, seen = asyncio.Event(), list[Any]()

    async def go_on() -> None:
        seen.append(here())
        await over.wait()
        seen.append(here())
        with part("late") as span:
            seen.append(span.recording)

    async with traces_sent(collector.url, 100, "serve"):
        with begin("request", Kind.SERVER):
            others = asyncio.create_task(go_on())
            await asyncio.sleep(0)
        over.set()
        await others
    assert seen[0] is not None
    assert seen[1:] == [None, None]
    assert [one.name for one in collector.spans] == ["request"]


def test_where_nobody_records_there_are_no_spans() -> None:
    assert tracing.recorder is None
    with begin("request", Kind.SERVER) as span, part("part") as inner:
        span.set("a", 1)
        inner.fail("it")
        assert here() is None
    assert enveloped(b'{"number":1}', here()) == b'{"number":1}'


@pytest.mark.parametrize("payload", [b"{}", b'{"number":1}', b'{"text":"}"}'])
def test_a_job_knows_where_it_was_queued(payload: bytes) -> None:
    at = read_traceparent(GIVEN)
    assert (str(at), queued_at(enveloped(payload, at).decode())) == (GIVEN, at)
    assert json.loads(enveloped(payload, at)) == {**json.loads(payload), "_trace": GIVEN}
    assert queued_at(payload.decode()) is None
    assert with_cause(Told(7), at) == {"number": 7, "_trace": GIVEN}
    assert cause_of(with_cause(Told(7), at)) == at
    assert with_cause(Told(7), None) == Told(7)
    assert cause_of({"number": 7}) is cause_of({"_trace": 7}) is cause_of([]) is None


@pytest.mark.parametrize(
    "text",
    ["", GIVEN.upper(), GIVEN[:-1], f"00-{'0' * 32}-{SPAN}-01", f"00-{TRACE}-{'0' * 16}-01", f"{GIVEN}-",
     f"ff{GIVEN[2:]}", f" {GIVEN}", f"{GIVEN}\n", f"cc{GIVEN[2:]}more", f"cc{GIVEN[2:]}{'-' * 600}"],
)  # fmt: skip
def test_what_is_no_traceparent(text: str) -> None:
    """G8: as the specification has it, and nothing is guessed."""
    assert read_traceparent(text) is None
