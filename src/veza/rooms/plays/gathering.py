"""Plays that come at the same time are kept in one transaction, and each is acknowledged by its commit."""

import asyncio
from collections.abc import Sequence
from uuid import UUID

from veza.core.db import Database
from veza.core.errors import Conflict
from veza.rooms.plays.service import Play, record_all

# A few milliseconds of the one writer.
MOST = 128

_Waiting = tuple[Play, "asyncio.Future[UUID]"]


class Gatherer:
    """Keeps plays: those that come while a commit is under way share the next one."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._waiting: list[_Waiting] = []
        self._work: asyncio.Task[None] | None = None

    async def keep(self, play: Play) -> UUID:
        """The id of the play, once it is durable. Raises as :func:`veza.rooms.plays.service.record`."""
        kept: asyncio.Future[UUID] = asyncio.get_running_loop().create_future()
        self._waiting.append((play, kept))
        if self._work is None:
            self._work = asyncio.create_task(self._keep_all(), name="plays")
        return await kept

    async def _keep_all(self) -> None:
        try:
            while self._waiting:
                batch, self._waiting = self._waiting[:MOST], self._waiting[MOST:]
                await self._keep(batch)
        finally:
            self._work = None

    async def _keep(self, batch: Sequence[_Waiting]) -> None:
        try:
            async with self._database.write() as tx:
                outcomes = await record_all(tx, [play for play, _ in batch])
        except Conflict as clash:
            if len(batch) == 1:
                _tell(batch[0], clash)
                return
            # One of them clashes with somebody else's change: the others shall not bear it.
            for one in batch:
                await self._keep([one])
        except Exception as error:  # noqa: BLE001 - told to everybody who waits
            for one in batch:
                _tell(one, error)
        else:
            for one, outcome in zip(batch, outcomes, strict=True):
                _tell(one, outcome)


def _tell(waiting: _Waiting, outcome: UUID | Exception) -> None:
    kept = waiting[1]
    if kept.done():  # whoever asked has gone
        return
    if isinstance(outcome, Exception):
        kept.set_exception(outcome)
    else:
        kept.set_result(outcome)
