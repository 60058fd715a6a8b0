"""What is said is kept: messages that come at the same time share a transaction."""

from collections.abc import Sequence
from uuid import UUID

from veza.core.db import Database, Tx
from veza.core.errors import VezaError
from veza.core.gathering import Gatherer
from veza.core.live import Live
from veza.rooms.chat.flood import Flood
from veza.rooms.chat.saying import Outcome, Words, say_all


class Speaker:
    """Keeps what is said."""

    def __init__(self, database: Database, live: Live, flood: Flood) -> None:
        self._flood = flood

        async def keep_all(tx: Tx, batch: Sequence[Words]) -> Sequence[Outcome | VezaError]:
            return await say_all(tx, live, batch)

        self._gatherer = Gatherer(database, keep_all, "chat")

    async def say(self, words: Words) -> Outcome:
        """The message, once it is durable.

        Raises as :meth:`veza.rooms.chat.flood.Flood.admit`, and what ``say_all`` tells of it.
        """
        await self._flood.admit(words)
        return await self._gatherer.keep(words)

    async def count(self, user_id: UUID) -> None:
        """Count an edit or a reaction, which a room hears as it hears a message. Raises RateLimited."""
        await self._flood.count(user_id)
