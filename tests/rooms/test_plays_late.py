"""Plays that are committed when the jobs that they found waiting are done already."""

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
from veza.rooms.plays import jobs as plays
from veza.rooms.plays.kinds import ADD_UP
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


async def test_there_is_another_look_where_others_may_still_commit(
    database: Database, tmp_path: Path
) -> None:
    """T22: a play that found a job waiting, and queued none, may be seen by the next one only."""
    adding = [task for task in plays.tasks(database) if task.kind is ADD_UP]
    async with open_world(database, tmp_path) as world:
        olga, stan = await world.person("olga"), await world.person("stan")
        await play(stan, await song(world, olga))
        for tasks in (adding, counts.tasks(database)):
            assert await work(database, tasks, 6)
            assert not await work(database, tasks, 4)
            assert await work(database, tasks, 6) == database.shared, "one process writes all of SQLite"
            assert not await work(database, tasks, 6), "for there was nothing more"
        assert await database.rows("SELECT play_count FROM tracks") == [(1,)]


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
