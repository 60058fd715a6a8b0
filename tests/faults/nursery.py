"""Commands of `veza` as processes of their own, forked from one that has loaded everything: it takes longest.

They are killed, signalled and waited for as any other process. A start as such is tried by `python -m veza`.
"""

import asyncio
import atexit
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path

PROGRAM = Path(__file__).with_name("nursery_program.py")
ROOT = Path(__file__).parents[2]
_turn = asyncio.Lock()


class Pipe:
    """The end of a pipe that is read here."""

    def __init__(self, reader: asyncio.StreamReader, transport: asyncio.ReadTransport) -> None:
        self.readline = reader.readline
        self._reader, self._transport = reader, transport

    async def read(self) -> bytes:
        """Read to the end, and close it."""
        try:
            return await self._reader.read()
        finally:
            self._transport.close()


class Forked:
    """A process, with as much of the manners of `asyncio.subprocess.Process` as is needed."""

    stdin: asyncio.WriteTransport
    stdout: Pipe
    stderr: Pipe

    def __init__(self, pid: int, ended: Pipe) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self._end = asyncio.create_task(self._bury(ended))

    async def _bury(self, ended: Pipe) -> None:
        self.returncode = int(await ended.read())

    async def wait(self) -> int | None:
        """Its exit code, once it has ended."""
        await asyncio.shield(self._end)
        return self.returncode

    def send_signal(self, number: signal.Signals) -> None:
        if self.returncode is None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    async def communicate(self, typed: bytes = b"") -> tuple[bytes, bytes]:
        """Type this, and read what is said until the end."""
        if typed:
            self.stdin.write(typed)
        self.stdin.close()
        out, err, _ = await asyncio.gather(self.stdout.read(), self.stderr.read(), self.wait())
        return out, err


async def fork(*words: str, folder: Path, environment: Mapping[str, str]) -> Forked:
    """Run `veza` with these words in a folder, its streams at hand."""
    (typed, keyboard), (screen, out), (log, err) = (os.pipe() for _ in range(3))
    made = await _order(words, folder, environment, [typed, out, err])
    for theirs in (typed, out, err):
        os.close(theirs)
    made.stdout, made.stderr = await _pipe(screen), await _pipe(log)
    typing = os.fdopen(keyboard, "wb", 0)
    made.stdin, _ = await asyncio.get_running_loop().connect_write_pipe(asyncio.BaseProtocol, typing)
    return made


async def fork_aside(*words: str, folder: Path, environment: Mapping[str, str], log: int) -> Forked:
    """Run it with nobody at its keyboard; what it says goes into an open file."""
    nobody = os.open(os.devnull, os.O_RDONLY)
    try:
        return await _order(words, folder, environment, [nobody, log, log])
    finally:
        os.close(nobody)


async def _order(
    words: Sequence[str], folder: Path, environment: Mapping[str, str], streams: list[int]
) -> Forked:
    order = json.dumps({"words": words, "folder": str(folder), "environment": dict(environment)})
    ended, end = os.pipe()
    async with _turn:
        nursery = _nursery()
        socket.send_fds(nursery, [order.encode()], [*streams, end])
        pid = int(await asyncio.to_thread(nursery.recv, 32))
    os.close(end)
    return Forked(pid, await _pipe(ended))


async def _pipe(descriptor: int) -> Pipe:
    reader = asyncio.StreamReader()
    transport, _ = await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(descriptor, "rb", 0)
    )
    return Pipe(reader, transport)


@cache
def _nursery() -> socket.socket:
    """The socket to the program that forks, which ends with this process."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("VEZA_")}
    with theirs:
        program = subprocess.Popen(
            [sys.executable, PROGRAM],
            env=inherited | {"OPENBLAS_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)},
            stdin=theirs,
            stdout=subprocess.DEVNULL,
        )

    def end() -> None:
        ours.close()
        program.wait()

    atexit.register(end)
    return ours
