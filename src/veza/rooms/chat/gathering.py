"""Messages that come at the same time are kept in one transaction, and each is acknowledged by its commit."""

import asyncio
from collections.abc import Sequence

from veza.core.db import Database
from veza.core.errors import Conflict, VezaError
from veza.core.live import Live
from veza.rooms.chat.flood import Flood
from veza.rooms.chat.saying import Outcome, Words, say_all

# A few milliseconds of the one writer.
MOST = 128

_Waiting = tuple[Words, "asyncio.Future[Outcome]"]


class Speaker:
    """Keeps what is said: messages that come while a commit is under way share the next one."""

    def __init__(self, database: Database, live: Live, flood: Flood) -> None:
        self._database = database
        self._flood = flood
        self._live = live
        self._waiting: list[_Waiting] = []
        self._work: asyncio.Task[None] | None = None

    async def say(self, words: Words) -> Outcome:
        """The message, once it is durable.

        Raises as :meth:`veza.rooms.chat.flood.Flood.admit`, and what ``say_all`` tells of it.
        """
        await self._flood.admit(words)
        kept: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        self._waiting.append((words, kept))
        if self._work is None:
            self._work = asyncio.create_task(self._keep_all(), name="chat")
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
                outcomes = await say_all(tx, self._live, [words for words, _ in batch])
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


def _tell(waiting: _Waiting, outcome: Outcome | VezaError | Exception) -> None:
    kept = waiting[1]
    if kept.done():  # whoever said it has gone
        return
    if isinstance(outcome, Exception):
        kept.set_exception(outcome)
    else:
        kept.set_result(outcome)
