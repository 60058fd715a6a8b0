"""Packing the weeks of all that is heard much, in the background."""

import asyncio
from time import perf_counter
from uuid import UUID

from veza.core.db import Database
from veza.rooms.plays import sums_store, weeks, weeks_store
from veza.rooms.plays.periods import first_day
from veza.rooms.plays.store import day_of
from veza.rooms.plays.sums import ALL

# What is heard less is summed from its days as quickly.
MUCH_HEARD = 1_000
_AT_ONCE = 100
# Packed in a transaction, which takes a few milliseconds.
_WEEKS = 4
# Of the writer's time at most a fifth.
_SHARE = 5


async def pack_all(database: Database, *, least: int = MUCH_HEARD, share: int = _SHARE) -> int:
    """Pack all weeks that are over and not packed, a few in a transaction; how many scopes are newly marked.

    Marked is whatever has ``least`` plays by now. It is packed the next time, so that whoever adds to it
    meanwhile knows. While plays from before the last week's end wait to be added up nothing is packed.
    """
    until = weeks.packable()
    async with database.read() as view:
        oldest = await sums_store.list_fresh(view, 1)
        unmarked = await weeks_store.list_much_heard(view, least)
        if await weeks_store.through(view, ALL) is None:
            unmarked.append(ALL)
    if not oldest or day_of(oldest[0].at) >= first_day(until + 1):
        await _pack_marked(database, until, share)
    async with database.write() as tx:
        await weeks_store.mark(tx, unmarked)
    return len(unmarked)


async def _pack_marked(database: Database, until: int, share: int) -> None:
    after, behind = UUID(int=0), [ALL]
    while behind:
        for scope in behind:
            await _pack(database, scope, until, share)
        after = behind[-1]
        async with database.read() as view:
            behind = await weeks_store.list_behind(view, until, after, _AT_ONCE)


async def _pack(database: Database, scope: UUID, until: int, share: int) -> None:
    more = True
    while more:
        began = perf_counter()
        async with database.write() as tx:
            for _ in range(_WEEKS):
                more = more and await weeks.pack(tx, scope, until)
        await asyncio.sleep((perf_counter() - began) * (share - 1))
