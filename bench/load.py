"""A small HTTP/1.1 load generator: keep-alive connections, each with one request under way at a time.

Rendered requests go out as they are; of the answers, only the status and Content-Length are read, so that the
generator costs less than any server it measures. Run it in a process of its own:

    python bench/load.py http://127.0.0.1:8080/api/v1/tracks [--connections N] [--seconds S] [--pid PID]
"""

import argparse
import asyncio
import os
import re
import time
from array import array
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import uvloop

_LENGTH = re.compile(rb"(?i)\r\ncontent-length: *([0-9]+)")
_BODILESS = {b"204", b"304"}


@dataclass
class Report:
    """What a run measured: latencies in milliseconds, the server's CPU time in µs for each request.

    ``times`` are all the latencies, in seconds, as one answer came after the other.
    """

    requests: int
    seconds: float
    p50: float
    p95: float
    p99: float
    worst: float
    cpu_us: float | None
    statuses: Counter[str] = field(default_factory=Counter)
    failures: Counter[str] = field(default_factory=Counter)
    times: list[float] = field(default_factory=list)

    def p99s(self, parts: int) -> list[float]:
        """The p99 of each of so many parts of it."""
        size = max(len(self.times) // parts, 1)
        cut = [sorted(self.times[at : at + size]) for at in range(0, len(self.times) - size + 1, size)]
        return [times[int(len(times) * 0.99)] * 1000 for times in cut]

    @property
    def rate(self) -> float:
        """Answers a second."""
        return self.requests / self.seconds

    def __str__(self) -> str:
        cpu = "" if self.cpu_us is None else f", server CPU {self.cpu_us:.1f} µs/request"
        failures = f", FAILURES {dict(self.failures)}" if self.failures else ""
        return (
            f"{self.rate:,.0f} requests/s, p50 {self.p50:.2f} p95 {self.p95:.2f} p99 {self.p99:.2f}"
            f" worst {self.worst:.1f} ms{cpu}, {dict(self.statuses)}{failures}"
        )


def render(method: str, path: str, headers: dict[str, str] | None = None, body: bytes = b"") -> bytes:
    """The bytes of a request, with the headers that a browser's fetch would send at the least."""
    lines = {"Host": "localhost", "User-Agent": "load", "Accept": "*/*", **(headers or {})}
    if body:
        lines["Content-Length"] = str(len(body))
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    return f"{method} {path} HTTP/1.1\r\n{head}\r\n".encode() + body


def cpu_seconds(pid: int) -> float:
    """User and system time that a process has used so far, all its threads together."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class _Run:
    def __init__(self, requests: list[bytes], interval: float) -> None:
        self.requests = requests
        self.interval = interval
        self.latencies = array("d")
        self.statuses: Counter[bytes] = Counter()
        self.failures: Counter[str] = Counter()
        self.stopped = False


class _Connection(asyncio.Protocol):
    def __init__(self, run: _Run, turn: int, delay: float) -> None:
        self.run = run
        self.turn = turn
        self.delay = delay
        self.buffer = b""
        self.missing = 0
        self.status = b""

    def connection_made(self, transport) -> None:
        self.transport = transport
        self.due = time.perf_counter() + self.delay
        asyncio.get_running_loop().call_later(self.delay, self.ask)

    def ask(self) -> None:
        if self.run.stopped:
            self.transport.close()
            return
        request = self.run.requests[self.turn % len(self.run.requests)]
        self.turn += 1
        self.since = time.perf_counter()
        self.transport.write(request)

    def data_received(self, data: bytes) -> None:
        if self.missing:
            self.missing -= len(data)
        else:
            self.buffer += data
            end = self.buffer.find(b"\r\n\r\n")
            if end < 0:
                return
            self.status = self.buffer[9:12]
            found = _LENGTH.search(self.buffer, 0, end + 2)
            length = int(found[1]) if found and self.status not in _BODILESS else 0
            if not found and self.status not in _BODILESS:
                self.run.failures["no Content-Length"] += 1
            self.missing = length - (len(self.buffer) - end - 4)
            self.buffer = b""
        if self.missing <= 0:
            self.missing = 0
            self.run.latencies.append(time.perf_counter() - self.since)
            self.run.statuses[self.status] += 1
            if self.run.interval:
                self.wait()
            else:
                self.ask()

    def wait(self) -> None:
        """Ask when it is time; where that is over, an answer took too long, and the next counts from then."""
        now = time.perf_counter()
        self.due += self.run.interval
        if self.due > now:
            asyncio.get_running_loop().call_later(self.due - now, self.ask)
        else:
            self.ask()
            self.since = self.due

    def connection_lost(self, error) -> None:
        if not self.run.stopped:
            self.run.failures["connection lost" if error is None else type(error).__name__] += 1


async def load(
    host: str,
    port: int,
    requests: list[bytes],
    connections: int,
    seconds: float,
    *,
    pid: int | None = None,
    pace: float = 0,
) -> Report:
    """Ask for `requests` in turn over so many connections for so long; `pid` is the server's.

    With a pace, of so many requests a second over all connections, and no more; without, as fast as can be.
    """
    run = _Run(requests, connections / pace if pace else 0)
    loop = asyncio.get_running_loop()
    opened = [
        # Each begins elsewhere in the list, or all would ask for the same at the same time.
        (
            await loop.create_connection(
                lambda n=n: _Connection(
                    run, n * len(requests) // connections, n * run.interval / connections
                ),
                host,
                port,
            )
        )[0]
        for n in range(connections)
    ]
    await asyncio.sleep(min(0.2, seconds / 4))  # caches warm, connections all at work
    run.latencies, run.statuses = array("d"), Counter()
    used, began = cpu_seconds(pid) if pid else 0.0, time.perf_counter()
    await asyncio.sleep(seconds)
    run.stopped = True
    took = time.perf_counter() - began
    used = cpu_seconds(pid) - used if pid else 0.0
    for transport in opened:
        transport.abort()
    times = sorted(run.latencies) or [float("nan")]
    at = lambda share: times[min(int(len(times) * share), len(times) - 1)] * 1000  # noqa: E731 - four uses, one line
    return Report(
        requests=len(run.latencies),
        seconds=took,
        p50=at(0.5),
        p95=at(0.95),
        p99=at(0.99),
        worst=at(1),
        cpu_us=used / max(len(run.latencies), 1) * 1e6 if pid else None,
        statuses=Counter({status.decode(): count for status, count in run.statuses.items()}),
        failures=run.failures,
        times=list(run.latencies),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("url")
    parser.add_argument("--connections", type=int, default=16)
    parser.add_argument("--seconds", type=float, default=3)
    parser.add_argument("--pid", type=int)
    options = parser.parse_args()
    url = urlsplit(options.url)
    target = (url.path or "/") + (f"?{url.query}" if url.query else "")
    requests = [render("GET", target)]
    job = load(url.hostname, url.port or 80, requests, options.connections, options.seconds, pid=options.pid)
    print(asyncio.Runner(loop_factory=uvloop.new_event_loop).run(job))


if __name__ == "__main__":
    main()
