"""Plays whose counts could not be shown when it was time to."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from uuid import UUID

import pytest

from tests.rooms.listening_house import play, song
from tests.world import open_world
from veza.core import clock
from veza.core.db import Database
from veza.core.jobs import CLAIM
from veza.core.worker import Task
from veza.rooms.tracks import counts, store
from veza.rooms.tracks.counts import SHOW_PLAYS


async def work(database: Database, tasks: Sequence[Task], after: int) -> bool:
    """Do the job of these that is due after so many seconds, if there is one; whether there was."""
    for task in tasks:
        soon = clock.now() + timedelta(seconds=after)
        lease = {"kinds": [task.kind.name], "lane": task.kind.lane, "count": 1}
        async with database.write() as tx:
            claimed = await tx.all(CLAIM, now=soon, until=soon, **lease)
        for job in claimed:
            await task.run(job, None)
            return True
    return False


@pytest.mark.parametrize("dialect", ["postgresql"])
async def test_a_track_that_is_passed_over_is_shown_later(database: Database, tmp_path: Path) -> None:
    """T22: who changes it just now shall not be waited for."""
    showing = counts.tasks(database)
    assert [task.kind for task in showing] == [SHOW_PLAYS]
    async with open_world(database, tmp_path) as world:
        olga, stan = await world.person("olga"), await world.person("stan")
        heard = await song(world, olga)
        await play(stan, heard)
        async with database.write() as tx:
            await store.lock(tx, UUID(heard))
            assert await asyncio.create_task(work(database, showing, 6))
        assert await database.rows("SELECT play_count FROM tracks") == [(0,)]
        assert await work(database, showing, 6)
        assert await database.rows("SELECT play_count FROM tracks") == [(1,)]
        assert not await work(database, showing, 6)
