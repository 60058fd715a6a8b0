"""Learning again, every hour, by a process of its own; and the end of models that are no longer needed."""

from collections.abc import Sequence
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import structlog

from veza.core import clock
from veza.core.db import Database
from veza.core.db.types import to_micros
from veza.core.ids import new_id
from veza.core.installation import may_sweep
from veza.core.jobs import Job, JobKind, NoPayload
from veza.core.storage import Storage
from veza.core.worker import Task
from veza.rooms.recommendations import source_store, store
from veza.rooms.recommendations.orders import Order, carry_out
from veza.rooms.recommendations.shelf import CHANNEL
from veza.rooms.recommendations.store import FOLDER, Made

log = structlog.get_logger()

LEARN = JobKind("recommendations.learn", NoPayload, every=timedelta(hours=1))
# The one that holds, and the one before, which another process may be about to fetch.
_KEPT = 2
# A file that no row names after this long is an orphan of a process that was killed.
ORPHAN_AGE = timedelta(days=1)


def tasks(database: Database, storage: Storage) -> Sequence[Task]:
    """What the worker is to know."""

    async def run(job: Job, told: NoPayload) -> None:
        del job, told
        if await source_store.anything(database):
            await learn(database, storage)

    return [Task(LEARN, run)]


async def learn(database: Database, storage: Storage) -> Made:
    """Make a new model, which holds from now on.

    Raises :class:`veza.rooms.recommendations.orders.NotMade`.
    """
    began, name, now = clock.monotonic(), new_id(), clock.now()
    path = storage.scratch / f"model-{name}"
    try:
        outcome = await carry_out(Order(database.url, str(path), to_micros(now)))
        made = Made(name, outcome.size, outcome.digest, now)
        await storage.put_file(made.key, path)
    finally:
        _remove(path)
    async with database.write() as tx:
        await store.add(tx, made)
        tx.notify(CHANNEL)
    seconds = round(clock.monotonic() - began, 1)
    log.info(
        "recommendations.learned", rows=outcome.rows, tracks=outcome.tracks, size=made.size, seconds=seconds
    )
    await clear(database, storage)
    return made


async def clear(database: Database, storage: Storage) -> None:
    """Remove models that nobody needs any more, and files that no row names."""
    if not await may_sweep(database, storage):
        return
    async with database.read() as view:
        models = await store.list_all(view)
    kept, gone = models[:_KEPT], models[_KEPT:]
    for made in gone:
        async with database.write() as tx:
            await store.remove(tx, made.id)
    keys = {made.key for made in kept}
    before = clock.now() - ORPHAN_AGE
    known = {made.key for made in gone}
    orphans = [
        entry.key
        async for entry in storage.list(FOLDER)
        if entry.key in known or (entry.key not in keys and entry.modified < before)
    ]
    await storage.delete_many(orphans)


def _remove(path: Path) -> None:
    with suppress(FileNotFoundError):
        path.unlink()
