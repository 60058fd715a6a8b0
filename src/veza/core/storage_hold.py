"""Holding on to every file for a while, so that what rows name at one moment can be copied after it.

A file is removed after its row, and whoever removes one looks first whether anybody holds. Who looks before
the hold was there removes what no row named any more when it began; who looks later leaves it to a sweep. So
of what rows name in a view that is opened under a hold, nothing goes for as long as that lasts.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import datetime, timedelta

import structlog

from veza.core import clock
from veza.core.errors import VezaError
from veza.core.ids import new_id
from veza.core.storage_base import HELD_FOR, HOLDS, Storage

RENEWED = timedelta(minutes=1)
# Far beyond what any two clocks differ by.
FORGOTTEN_AFTER = timedelta(days=1)
log = structlog.get_logger()


class HeldAlready(Exception):
    """Somebody else is at work here."""


class HoldLost(Exception):
    """It was not renewed in time, as on a machine that was asleep: others may have taken it for nobody's."""


class Hold:
    """One that is kept up."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        self._lost = False
        self.key = f"{HOLDS}/{new_id()}"

    async def begin(self) -> None:
        """Let there be it."""
        await self._storage.put_bytes(self.key, b"held")

    async def check(self) -> None:
        """Renew it. Raises :class:`HoldLost` unless all went from one renewal to the next in time."""
        since = await self._since()
        await self.begin()
        now = await self._since()
        # Both told by the storage: a clock of ours may have stood still meanwhile, as the rest of us did.
        if since is None or now is None or now - since >= HELD_FOR:
            self._lost = True
        if self._lost:
            raise HoldLost

    async def _since(self) -> datetime | None:
        found = [entry.modified async for entry in self._storage.list(HOLDS) if entry.key == self.key]
        return found[0] if found else None

    async def keep_up(self, end: asyncio.Event) -> None:
        """Renew it again and again, until the end."""
        while not end.is_set():
            with suppress(TimeoutError):
                await asyncio.wait_for(end.wait(), RENEWED.total_seconds())
                return
            try:
                await self.check()
            except (VezaError, HoldLost):
                log.warning("storage.hold_not_renewed")


@asynccontextmanager
async def holding(storage: Storage, *, alone: bool = False) -> AsyncIterator[Hold]:
    """Nothing is removed from the storage for as long as the block lasts, but by :meth:`Storage.remove_now`.

    Who dies meanwhile holds for half an hour more. Raises :class:`HeldAlready` where it is to be held
    ``alone`` and another holds it, and what storages raise.
    """
    hold = Hold(storage)
    await hold.begin()
    end = asyncio.Event()
    keeper = asyncio.create_task(hold.keep_up(end))
    try:
        if alone and await _others(storage, hold.key):
            raise HeldAlready
        await _forget(storage, hold.key)
        yield hold
    finally:
        # Not cancelled: a renewal that is on its way would come after the removal.
        end.set()
        await asyncio.gather(keeper, return_exceptions=True)
        with suppress(VezaError):  # it ends by itself
            await storage.remove_now([hold.key])


async def _forget(storage: Storage, own: str) -> None:
    """Remove what those left who died long ago: whoever removes a file looks at every hold."""
    since, found = clock.now() - FORGOTTEN_AFTER, storage.list(HOLDS)
    if left := [entry.key async for entry in found if entry.key != own and entry.modified < since]:
        await storage.remove_now(left)


async def _others(storage: Storage, key: str) -> bool:
    since = clock.now() - HELD_FOR
    return any([entry.key != key and entry.modified > since async for entry in storage.list(HOLDS)])
