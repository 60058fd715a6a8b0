"""Slow, idle and greedy clients cost the others nothing."""

import json
import re
import socket
import struct
import subprocess
import sys
import time
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

from tests.faults.server_harness import PATIENT, SOON, WAIT, Wire, running, until
from veza.core.server_watch import HEAD

HOST = b"Host: veza.test\r\n"
GET = b"GET /hello HTTP/1.1\r\n" + HOST + b"\r\n"
GATE = b"GET /gate HTTP/1.1\r\n" + HOST + b"\r\n"
HALF = b"GET /hello HTTP/1.1\r\nHost"
ROOT = Path(__file__).parents[2]
HELLO = ROOT / "bench" / "hello.py"
# The same, but who is slow stays until the test is over.
UNHURRIED = """
from bench.hello import make_app, say
from veza.core.server import Limits, serve

serve(make_app(), port=0, ready=say, drain_seconds=1, limits=Limits(head_seconds=600, idle_seconds=600))
"""


@pytest.fixture(scope="module")
def shared():
    with running(head_seconds=WAIT) as server:
        yield server


@pytest.fixture
def server(shared):
    yield shared
    shared.settle()


def post(path: bytes, length: int, more: bytes = b"") -> bytes:
    return b"POST %b HTTP/1.1\r\n%bContent-Length: %d\r\n%b\r\n" % (path, HOST, length, more)


@pytest.fixture(scope="module")
def strict():
    with running() as server:
        yield server


def test_half_a_head_gets_408():
    """G25: and then the end."""
    with running(stands=True) as server, server.open(HALF) as wire:
        until(lambda: server.phases == [HEAD])
        server.pass_by(0.3)
        assert server.phases == [HEAD]
        server.pass_by(0.05)
        (answer,) = wire.answers()
    assert (answer.status, answer.code, answer.headers["connection"]) == (408, "REQUEST_TIMEOUT", "close")


def test_a_drip_does_not_extend_the_time_for_a_head(strict):
    """G25: a byte now and then is no progress; neither are empty lines."""
    for drip in (b"x", b"\r\n"):
        with strict.open(b"GET /hello HTTP/1.1\r\nX: " if drip == b"x" else b"") as wire:
            began = time.monotonic()
            with pytest.raises(OSError, match=r".*"):  # noqa: PT012 - until the server has closed
                while time.monotonic() - began < WAIT:
                    wire.send(drip)
                    time.sleep(0.05)
            assert time.monotonic() - began < SOON


def test_silence_after_connecting_ends(strict):
    """G25: closed without a word, for a browser that connects ahead of need asked nothing."""
    with strict.open() as wire:
        assert wire.until_closed() == b""


def test_half_a_head_behind_a_slow_answer():
    """G25: the answer comes whole, then the 408."""
    with running(stands=True) as server, server.open(GATE + HALF) as wire:
        server.wait_for("/gate")
        server.pass_by(0.8)
        server.app.go.set()
        assert [answer.status for answer in wire.answers()] == [200, 408]


def test_a_head_that_we_do_not_read_is_not_late():
    """G25: behind two requests, of which the second is here as a whole, its rest waits in our socket."""
    with running(stands=True) as server, server.open(GATE + GET + GET[: len(HALF)]) as wire:
        server.wait_for("/gate")
        wire.send(GET[len(HALF) :])
        server.pass_by(0.8)
        server.app.go.set()
        assert [wire.answer().status for _ in range(3)] == [200, 200, 200]


def test_idle_connections_end_and_busy_ones_do_not():
    """G25: keep-alive has its own, longer time, which starts anew with each answer."""
    with (
        running(idle_seconds=1.5, stands=True) as server,
        server.open(GET) as busy,
        server.open(GET) as wire,
    ):
        assert busy.answer().status == 200
        busy.send(GATE)
        server.wait_for("/gate")
        for _ in range(4):
            assert wire.answer().status == 200
            server.pass_by(0.5)
            wire.send(GET)
        assert wire.answer().status == 200
        server.app.go.set()
        assert json.loads(busy.answer().body) == "gone"
        server.pass_by(1.5)
        assert server.connections == 2
        server.pass_by(0.1)
        assert (busy.until_closed(), wire.until_closed()) == (b"", b"")


@pytest.mark.parametrize("drip", [b"", b"x"])
def test_a_slow_body_gets_408(server, drip):
    """G25, C30: below 1 KB/s the application sees the client leave, and counts nothing."""
    server.app.seen.clear()
    with server.open(post(b"/count", 100_000, b"") + b"x" * 200) as wire:
        began = time.monotonic()
        wire.socket.settimeout(0.05)
        got = b""
        while not got and time.monotonic() - began < SOON:
            try:
                got = wire.socket.recv(1000)
            except TimeoutError:
                wire.send(drip)
    assert got.startswith(b"HTTP/1.1 408 ")
    # The client is answered at once, the application told when its turn comes.
    until(lambda: len(server.app.seen) == 2)
    assert server.app.seen == ["/count", "disconnect"]


def test_a_steady_body_may_take_long():
    """G25: only the rate counts, not the length."""
    with running(body_window_seconds=1, stands=True) as server, server.open(post(b"/count", 40_000)) as wire:
        for turn in range(1, 21):
            wire.send(b"x" * 2000)
            until(lambda turn=turn: server.app.got == 2000 * turn)
            server.pass_by(0.1)  # for twice the window
        assert json.loads(wire.answer().body) == 40_000


def test_a_burst_buys_no_silence(server):
    """G25: a fast beginning is no credit for later."""
    with server.open(post(b"/count", 1_000_000) + b"x" * 500_000) as wire:
        began = time.monotonic()
        assert wire.answer().status == 408
        assert time.monotonic() - began < SOON


def test_waiting_for_us_does_not_count():
    """G25: neither for an application that is behind with its body, nor for our `100 Continue`."""
    with running(stands=True) as server, server.open(post(b"/lazy", 100_000) + b"x" * 100_000) as wire:
        server.wait_for("/lazy")
        server.pass_by(1)
        server.app.go.set()
        assert json.loads(wire.answer().body) == 100_000
    with (
        running(stands=True) as server,
        server.open(post(b"/lazy", 4, b"Expect: 100-continue\r\n")) as wire,
    ):
        server.wait_for("/lazy")
        server.pass_by(1)
        server.app.go.set()
        assert wire.answer().status == 100
        wire.send(b"abcd")
        assert json.loads(wire.answer().body) == 4


def test_an_early_answer_reaches_who_is_still_sending(server):
    """C8: a reset would lose the 413; what follows is dropped, but not for ever."""
    with server.open(post(b"/early", 50_000_000)) as wire:
        assert wire.answer().status == 413
        began = time.monotonic()
        with pytest.raises(OSError, match=r".*"):  # noqa: PT012 - until the server has closed
            while time.monotonic() - began < WAIT:
                wire.send(b"x" * 100_000)
        assert time.monotonic() - began < SOON
    early = post(b"/early", 100_000) + b"x" * 100_000
    with running(**PATIENT) as other, other.open(early + GET) as wire:
        assert [wire.answer().status, wire.answer().status] == [413, 200]


def test_an_early_answer_instead_of_continue_is_the_last(server):
    """G26: whether the body follows cannot be known, so nothing that follows is read."""
    server.app.seen.clear()
    with server.open(post(b"/early", len(GET), b"Expect: 100-continue\r\n")) as wire:
        answer = wire.answer()
        assert (answer.status, answer.headers["connection"]) == (413, "close")
        wire.send(GET)
        assert wire.answer() is None
    assert server.app.seen == ["/early"]


def test_a_client_that_reads_nothing_is_cut(server):
    """G25: the application is freed, and the connection with it, also when the answer was all written."""
    server.app.seen.clear()
    with server.open(b"GET /stream?400 HTTP/1.1\r\n" + HOST + b"\r\n", receive_buffer=4096) as wire:
        server.wait_for("streamed")  # what is sent to nobody is dropped
        assert not wire.until_closed().endswith(b"0\r\n\r\n")


def test_what_waits_for_a_client_that_left_is_not_kept(server):
    """G25: an answer that fits the buffers, with `Connection: close`, and nobody who reads it."""
    request = b"GET /stream?90 HTTP/1.1\r\n" + HOST + b"Connection: close\r\n\r\n"
    with server.open(request, receive_buffer=4096) as wire:
        server.wait_for("/stream")
        until(lambda: not server.connections)
        assert not wire.until_closed().endswith(b"0\r\n\r\n")


def test_a_client_that_reads_slowly_is_not_cut():
    """G25: as long as it does read."""
    request = b"GET /stream?400 HTTP/1.1\r\n" + HOST + b"\r\n"
    # Less time than the whole takes, and more than until the kernel asks for more: when a third of its
    # megabytes is gone, which is some fifteen turns.
    with (
        running(write_seconds=2, stands=True) as server,
        server.open(request, receive_buffer=65536) as wire,
    ):
        for _ in range(100):
            wire.socket.recv(200_000)
            server.pass_by(0.05)
        assert "streamed" not in server.app.seen, "it was too little"
        while not wire.buffer.endswith(b"0\r\n\r\n"):
            assert wire.more()
            wire.buffer = wire.buffer[-5:]


@pytest.mark.parametrize("how", ["close", "reset"])
def test_the_application_learns_that_the_client_left(server, how):
    """G28: in the middle of a body, also with another request queued behind."""
    server.app.seen.clear()
    with server.open(post(b"/count", 1000) + b"x" * 10) as wire:
        server.wait_for("/count")
        if how == "reset":
            wire.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    server.wait_for("disconnect")


def test_the_request_at_work_learns_it_with_another_queued(server):
    """G28: an answer that is being streamed ends, though a request was pipelined behind it."""
    server.app.seen.clear()
    with server.open(b"GET /stream?4000 HTTP/1.1\r\n" + HOST + b"\r\n" + GET, receive_buffer=4096):
        server.wait_for("/stream")
    server.wait_for("streamed")
    time.sleep(0.05)
    assert "/hello" not in server.app.seen


def test_too_many_connections_get_503():
    """X7, X16: an answer instead of a hang, and all is well when the others have gone."""
    with running(max_connections=3, **PATIENT) as server:
        with ExitStack() as stack:
            wires = [stack.enter_context(server.open(GET)) for _ in range(3)]
            assert [wire.answer().status for wire in wires] == [200] * 3
            (answer,) = server.ask(b"")
            assert (answer.status, answer.code) == (503, "SERVICE_UNAVAILABLE")
            assert answer.headers["retry-after"]
        until(lambda: not server.connections)
        last = GET.replace(HOST, HOST + b"Connection: close\r\n")
        assert server.ask(last)[0].status == 200


def ask(wire: Wire, count: int) -> None:
    for _ in range(count):
        wire.send(GET)
        assert wire.answer().status == 200


def resident_megabytes(pid: int) -> float:
    return int(re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())[1]) / 1024


def cpu_seconds(pid: int) -> float:
    """What a process of one thread has had of the processor, whatever else the machine is doing."""
    return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) / 1e9


def test_five_thousand_slow_sockets():
    """G25: the work of a request hardly grows, and the memory is bounded."""
    command = [sys.executable, "-c", UNHURRIED]
    with ExitStack() as stack:
        processes = [
            stack.enter_context(subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT))
            for _ in range(2)
        ]
        for process in processes:
            stack.callback(process.terminate)
        addresses = [
            ("127.0.0.1", int(process.stdout.readline().rpartition(":")[2])) for process in processes
        ]
        wires = [stack.enter_context(Wire(address)) for address in addresses]
        for wire in wires:
            ask(wire, 200)
        crowded = processes[0].pid
        memory = resident_megabytes(crowded)
        for _ in range(5000):
            stack.enter_context(Wire(addresses[0], HALF))
        ask(wires[0], 200)  # by then all are taken in
        used: dict[int, list[float]] = {process.pid: [] for process in processes}
        for _ in range(20):
            for process, wire in zip(processes, wires, strict=True):
                before = cpu_seconds(process.pid)
                ask(wire, 75)
                used[process.pid].append(cpu_seconds(process.pid) - before)
        grown = resident_megabytes(crowded) - memory
    # The least of each, for a look at all connections falls into some of the turns.
    after, before = (min(found) for found in used.values())
    assert after < 2 * before, (after, before)
    assert grown < 100, grown


def test_more_sockets_than_the_process_may_open():
    """X7: the limit of connections leaves files for the work itself; who is over it is told so."""
    command = ["sh", "-c", 'ulimit -n 600; exec "$@"', "sh", sys.executable, str(HELLO)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process, ExitStack() as stack:
        stack.callback(process.terminate)
        address = ("127.0.0.1", int(process.stdout.readline().rpartition(":")[2]))
        wires = [stack.enter_context(Wire(address)) for _ in range(700)]
        assert wires[-1].answer().status == 503
        ask(wires[0], 10)
        for wire in wires[1:]:
            wire.socket.close()
        until(lambda: is_taken_in(address))  # once it has seen that they are gone


def is_taken_in(address: tuple[str, int]) -> bool:
    """Whether there is room for one more."""
    with suppress(ConnectionError), Wire(address, GET) as wire:
        return wire.answer().status == 200
    return False
