"""Nodes of Veza, each a process with a folder of its own, as if each were on another machine."""

import asyncio
import os
import signal
import socket
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import msgspec

from tests.cluster.moved import SharedShift, shift_at
from tests.cluster.proxy import Proxy
from tests.faults.nursery import Forked, fork_aside
from tests.ports import free_ports
from tests.store import Store

# Seconds; a start takes a quarter of one where nobody else is at work.
WAIT = 60.0
# How long a whole test may take: whoever waits for ever fails, and says for what. The longest takes a third.
TEST_SECONDS = 300.0
STARTED = {"serve": b"Veza is ready", "worker": b"Veza is working"}


class Stand(msgspec.Struct):
    """What all nodes share beside the database: a Valkey, an S3, and how far their clocks are moved."""

    valkey: str
    s3: Mapping[str, str]
    clock: Path
    shift: SharedShift

    @property
    def valkey_url(self) -> str:
        return f"unix://{self.valkey}"

    def forget(self) -> None:
        """Have Valkey know nothing of the tests before."""
        with socket.socket(socket.AF_UNIX) as line:
            line.connect(self.valkey)
            line.sendall(b"FLUSHALL\r\n")
            assert line.recv(100) == b"+OK\r\n"


@contextmanager
def standing(folder: Path, s3: Mapping[str, str]) -> Iterator[Stand]:
    """A stand whose Valkey lies in this folder: a short one, for a socket's name may have 100 letters."""
    clock, store = folder / "clock", folder / "s"
    with Store(folder):
        yield Stand(str(store), s3, clock, shift_at(clock))


class Node:
    """One process: `serve` at a port, or `worker`."""

    def __init__(self, word: str, folder: Path, environment: Mapping[str, str], port: int = 0) -> None:
        folder.mkdir(parents=True)
        self.word = word
        self.port = port
        self.log = folder / "log"
        self._folder = folder
        own = {"VEZA_DATA_DIR": str(folder / "data"), "VEZA_PORT": str(port)}
        self._environment = {**environment, **own}
        self._process: Forked | None = None

    async def start(self) -> None:
        """Start it, for the first time or again, and wait until it is there."""
        with self.log.open("ab") as log:
            begun = log.tell()
            self._process = await fork_aside(
                self.word, folder=self._folder, environment=self._environment, log=log.fileno()
            )
        async with asyncio.timeout(WAIT):
            while STARTED[self.word] not in self.log.read_bytes()[begun:]:
                assert self._process.returncode is None, self.log.read_text()
                await asyncio.sleep(0.01)

    async def end(self, how: signal.Signals = signal.SIGKILL) -> int | None:
        """End it; its exit code."""
        if self._process is None:
            return None
        self._process.send_signal(how)
        return await asyncio.wait_for(self._process.wait(), WAIT)


class Nodes:
    """API processes behind a proxy, and workers."""

    def __init__(self, apis: list[Node], workers: list[Node], proxy: Proxy) -> None:
        self.apis = apis
        self.workers = workers
        self.proxy = proxy

    def said(self) -> str:
        """All that they have logged."""
        return "".join(node.log.read_text() for node in self.apis + self.workers)


@asynccontextmanager
async def open_nodes(
    stand: Stand, folder: Path, choices: Mapping[str, Any], *, apis: int = 2, workers: int = 2
) -> AsyncIterator[Nodes]:
    """So many nodes with these settings, all running."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("VEZA_", "AWS_"))}
    environment = {
        **inherited,
        "TESTS_CLOCK": str(stand.clock),
        "VEZA_SERVE_JOBS": "false",
        "VEZA_LOG_FORMAT": "json",
        "VEZA_ACCESS_LOG": "false",
        **as_environment(choices),
    }
    ports = free_ports(apis)
    serving = [Node("serve", folder / f"api-{port}", environment, port) for port in ports]
    working = [Node("worker", folder / f"worker-{number}", environment) for number in range(workers)]
    async with AsyncExitStack() as stack:
        for node in serving + working:
            stack.push_async_callback(node.end)
        await asyncio.gather(*(node.start() for node in serving + working))
        yield Nodes(serving, working, await stack.enter_async_context(Proxy(ports).running()))


def as_environment(choices: Mapping[str, Any]) -> dict[str, str]:
    """Settings as an operator gives them."""
    found: dict[str, str] = {}
    for name, value in choices.items():
        if name == "s3":
            found |= value
        elif value is not None:
            found[f"VEZA_{name.upper()}"] = str(value).lower() if isinstance(value, bool) else str(value)
    return found
