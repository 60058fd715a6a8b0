"""What comes at the same time is kept in one transaction, and each is acknowledged by its commit."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

from veza.core.db import Database, Tx
from veza.core.errors import InsufficientStorage, Unavailable, VezaError

# A few milliseconds of the one writer.
MOST = 128

ThingT = TypeVar("ThingT")
KeptT = TypeVar("KeptT")


class Gatherer(Generic[ThingT, KeptT]):
    """Keeps things: those that come while a commit is under way share the next one.

    ``keep_all`` keeps some in one transaction, and says of each what became of it, or why it was refused.
    When it fails, that is borne by the one that it fails with.
    """

    def __init__(
        self,
        database: Database,
        keep_all: Callable[[Tx, Sequence[ThingT]], Awaitable[Sequence[KeptT | VezaError]]],
        name: str,
    ) -> None:
        self._database = database
        self._keep_all = keep_all
        self._name = name
        self._waiting: list[tuple[ThingT, asyncio.Future[KeptT]]] = []
        self._work: asyncio.Task[None] | None = None

    async def keep(self, thing: ThingT) -> KeptT:
        """What became of it, once that is durable. Raises why it was refused."""
        kept: asyncio.Future[KeptT] = asyncio.get_running_loop().create_future()
        self._waiting.append((thing, kept))
        if self._work is None:
            self._work = asyncio.create_task(self._keep_waiting(), name=self._name)
        return await kept

    async def _keep_waiting(self) -> None:
        try:
            while self._waiting:
                batch, self._waiting = self._waiting[:MOST], self._waiting[MOST:]
                await self._keep(batch)
        finally:
            self._work = None

    async def _keep(self, batch: Sequence[tuple[ThingT, "asyncio.Future[KeptT]"]]) -> None:
        try:
            async with self._database.write() as tx:
                outcomes = await self._keep_all(tx, [thing for thing, _ in batch])
        except Exception as error:  # noqa: BLE001 - told to whoever waits
            half = len(batch) // 2 if _is_of_one(error) else 0
            if not half:
                for _, kept in batch:
                    _tell(kept, error)
                return
        else:
            for (_, kept), outcome in zip(batch, outcomes, strict=True):
                _tell(kept, outcome)
            return
        # Until it stands alone: the others shall not bear it, nor each need a commit of its own.
        await self._keep(batch[:half])
        await self._keep(batch[half:])


def _is_of_one(error: Exception) -> bool:
    """Whether the others may do without it: a clash with somebody else's change, or a mistake of ours.

    A database that is busy or away, and a full disk, concern them alike.
    """
    return not isinstance(error, Unavailable | InsufficientStorage)


def _tell(kept: "asyncio.Future[KeptT]", outcome: KeptT | Exception) -> None:
    if kept.done():  # whoever asked has gone
        return
    if isinstance(outcome, Exception):
        kept.set_exception(outcome)
    else:
        kept.set_result(outcome)
