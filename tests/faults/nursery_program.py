"""The program that commands of `veza` are forked from: it has loaded everything, once for all of them.

Its standard input is one end of a socket. Each packet there brings `words`, `folder` and `environment` of a
command, and four descriptors: its standard input, output and error, and a pipe. It is answered with a process
id; when that process has ended, its exit code, as `subprocess` has it, is on the pipe. When the other end of
the socket is closed, for the tests are over or were killed, whatever still runs is killed.
"""

import asyncio
import encodings.idna
import gc
import json
import os
import selectors
import signal
import socket
import sys
import tempfile
import threading
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

from halting import halt_at  # beside this program, as the next
from refusing import be_watched

from tests.cluster.moved import SharedShift
from tests.quick import CheapHasher
from veza import chatting, cli, importing, parts, process
from veza.app import make_app
from veza.backup import commands, tables
from veza.core import clock
from veza.core.db import Statement, loading_sqlite, migrate
from veza.rooms.search import build as search
from veza.settings import Settings

PACKET = 1 << 18
# What the command line and the resolver of names import as they need it.
LATE = (chatting, commands, importing, process, encodings.idna)


async def warm() -> None:
    """Build an application and throw it away: what is made once for a process is then made."""
    # The same text for each new folder, and for each that is restored.
    loading_sqlite.upgrade_sql = migrate.upgrade_sql = cache(migrate.upgrade_sql)
    for name in tables.kept_tables():
        _ = tables.all_rows(name).sqlite
    with tempfile.TemporaryDirectory() as folder:
        made = parts.make_parts(Settings(data_dir=Path(folder)))
        await migrate.upgrade(made.database)
        await search.complete(made.database)
        make_app(made)
        await made.database.close()
        await made.storage.close()
    for thing in gc.get_objects():
        if isinstance(thing, Statement):
            assert thing.sqlite.text


class Nursery:
    """The tests at the other end of the socket, and what runs for them."""

    def __init__(self) -> None:
        self.tests = socket.socket(fileno=os.dup(0))
        self.events = selectors.DefaultSelector()
        self.running: dict[int, tuple[int, int]] = {}  # by the descriptor that tells of its end: id, pipe

    def serve(self) -> None:
        """Fork and bury until the tests have gone."""
        self.events.register(self.tests, selectors.EVENT_READ)
        while True:
            for key, _ in self.events.select():
                if key.fileobj is not self.tests:
                    self.bury(key.fd)
                    continue
                packet, descriptors, _, _ = socket.recv_fds(self.tests, PACKET, 4)
                if not packet:
                    return
                self.fork(json.loads(packet), descriptors)

    def fork(self, command: dict[str, Any], descriptors: list[int]) -> None:
        *streams, ended = descriptors
        child = os.fork()
        if not child:
            self.events.close()
            self.tests.close()
            become(command, streams)
        for stream in streams:
            os.close(stream)
        watch = os.pidfd_open(child)
        self.running[watch] = child, ended
        self.events.register(watch, selectors.EVENT_READ)
        self.tests.send(b"%d" % child)

    def bury(self, watch: int) -> None:
        self.events.unregister(watch)
        os.close(watch)
        child, ended = self.running.pop(watch)
        _, status = os.waitpid(child, 0)
        with suppress(BrokenPipeError):
            os.write(ended, b"%d" % os.waitstatus_to_exitcode(status))
        os.close(ended)


def become(command: dict[str, Any], streams: list[int]) -> None:
    """Be `veza` with these words, as if it had been started with them; ends with SystemExit."""
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
    # Made anew, for the program's own were of other files.
    sys.stdout, sys.stderr = (os.fdopen(number, "w", buffering=1, closefd=False) for number in (1, 2))
    os.closerange(3, os.sysconf("SC_OPEN_MAX"))
    os.chdir(command["folder"])
    os.environ.clear()
    os.environ.update(command["environment"])
    if shift := os.environ.pop("TESTS_CLOCK", ""):  # a node of a world of tests: quick, and moved by them
        clock._shift = SharedShift(Path(shift))
        parts.PasswordHasher = CheapHasher
    sys.argv = ["veza", *command["words"]]
    if kernel := os.environ.pop("REFUSING", ""):
        be_watched(kernel)
    if position := os.environ.pop("HALTING", ""):
        halt_at(int(position))
    cli.main()


def main() -> None:
    asyncio.run(warm())
    assert threading.active_count() == 1, "a fork copies only the thread that forks"
    gc.collect()
    gc.freeze()  # pages that nobody looks through stay shared
    nursery = Nursery()
    nursery.serve()
    for child, _ in nursery.running.values():
        os.kill(child, signal.SIGKILL)


if __name__ == "__main__":
    main()
