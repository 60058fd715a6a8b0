"""Holding on to every file for a while, so that what rows name at one moment can be copied after it.

A file is removed after its row, and whoever removes one looks first whether anybody holds. Who looks before
the hold was there removes what no row named any more when it began; who looks later leaves it to a sweep. So
of what rows name in a view that is opened under a hold, nothing goes for as long as that lasts.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import timedelta

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


@asynccontextmanager
async def holding(storage: Storage, *, alone: bool = False) -> AsyncIterator[None]:
    """Nothing is removed from the storage for as long as the block lasts, but by :meth:`Storage.remove_now`.

    Who dies meanwhile holds for half an hour more. Raises :class:`HeldAlready` where it is to be held
    ``alone`` and another holds it, and what storages raise.
    """
    key = f"{HOLDS}/{new_id()}"
    await storage.put_bytes(key, b"held")
    keeper = asyncio.create_task(_renew(storage, key))
    try:
        if alone and await _others(storage, key):
            raise HeldAlready
        await _forget(storage, key)
        yield
    finally:
        keeper.cancel()
        await asyncio.gather(keeper, return_exceptions=True)
        with suppress(VezaError):  # it ends by itself
            await storage.remove_now([key])


async def _renew(storage: Storage, key: str) -> None:
    while True:
        await asyncio.sleep(RENEWED.total_seconds())
        try:
            await storage.put_bytes(key, b"held")
        except VezaError:
            log.warning("storage.hold_not_renewed")


async def _forget(storage: Storage, own: str) -> None:
    """Remove what those left who died long ago: whoever removes a file looks at every hold."""
    since, found = clock.now() - FORGOTTEN_AFTER, storage.list(HOLDS)
    if left := [entry.key async for entry in found if entry.key != own and entry.modified < since]:
        await storage.remove_now(left)


async def _others(storage: Storage, key: str) -> bool:
    since = clock.now() - HELD_FOR
    return any([entry.key != key and entry.modified > since async for entry in storage.list(HOLDS)])
