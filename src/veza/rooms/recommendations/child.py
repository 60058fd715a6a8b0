"""Making a model, as a program of its own: ``python -m veza.rooms.recommendations.child``.

It is told on stdin what to do (:class:`Order`, one line of JSON) and says on stdout what it made
(:class:`Outcome`). It reads the database by itself, writes one file, and ends when stdin is closed: with
whoever started it. What it needs of numpy and of memory is never part of a process that serves.
"""

import asyncio
import gc
import hashlib
import os
import resource
import sys
import threading
from pathlib import Path

import msgspec

from veza.core.background import NICENESS, give_way_always
from veza.core.db import open_database
from veza.core.db.types import from_micros
from veza.rooms.recommendations.gathering import gather
from veza.rooms.recommendations.orders import Order, Outcome
from veza.rooms.recommendations.training import train
from veza.rooms.recommendations.writing import Learned, write

# Bytes of data; ten million rows about a million tracks take a third of it.
MEMORY = 4 << 30


async def make(order: Order) -> Outcome:
    """Learn from all there is, and write it down."""
    database = open_database(order.database)
    try:
        gathered = await gather(database)
    finally:
        await database.close()
    all_ = (gathered.heard, gathered.liked, gathered.followed, gathered.held)
    rows = sum(len(some.who) for some in all_)
    return _write(Path(order.path), train(gathered, from_micros(order.now)), rows)


def _write(path: Path, learned: Learned, rows: int) -> Outcome:
    write(path, learned)
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return Outcome(path.stat().st_size, digest, learned.tracks, learned.playlists, rows)


def _end_with_whoever_started_us() -> None:
    while os.read(sys.stdin.fileno(), 1):  # not by the buffer, whose lock the interpreter wants at its end
        pass
    os._exit(1)


def main() -> None:
    """Do as we are told."""
    # We have time; and so have the threads that we start.
    if sys.platform == "linux":
        give_way_always()
    else:
        os.nice(NICENESS)
    order = msgspec.json.decode(sys.stdin.buffer.readline(), type=Order)
    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))
    gc.disable()  # there are no cycles, and to look for them among millions of rows takes as long as the rest
    threading.Thread(target=_end_with_whoever_started_us, daemon=True).start()
    sys.stdout.buffer.write(msgspec.json.encode(asyncio.run(make(order))))
    sys.stdout.flush()


if __name__ == "__main__":
    main()
