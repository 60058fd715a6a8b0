"""What is known of downloads: that somebody fetched a file.

The rest of one that was cut off is no other, nor is the same again within ten minutes.
"""

from collections.abc import Callable
from typing import Annotated

import msgspec
import structlog
from litestar.params import Dependency

from veza.core.db import Tx
from veza.core.errors import VezaError
from veza.core.events import Event
from veza.core.exchange import Exchange
from veza.core.limits import Limit, Limiter, address_key

log = structlog.get_logger()

# Whoever tries again, or fetches a first part several times, fetches one file.
_AGAIN = Limit("download_noted", 1, 600)


class Notes:
    """Writes down what one request fetches, in transactions that ``begin`` makes."""

    def __init__(self, begin: Callable[[], Tx], exchange: Exchange, limiter: Limiter) -> None:
        self._begin = begin
        self._exchange = exchange
        self._limiter = limiter

    async def take(self, event: Event, file: str = "") -> None:
        """Note that a file is fetched, before its first byte goes out. All that was asked is read by then.

        ``file`` says which one it is, where the event alone does not.
        What the same user, or of guests the same address, fetched within ten minutes is noted already. A
        database that cannot be written to (a full disk, too much to do) keeps nobody from reading.
        """
        if self._exchange.scope["method"] == "HEAD":
            return
        if not (await self._limiter.hit(_AGAIN, self._key(event, file))).allowed:
            return
        try:
            async with self._begin() as tx:
                tx.emit(event)
        except VezaError as error:
            log.warning("downloads.not_noted", kind=event.kind, reason=error.code)

    def _key(self, event: Event, file: str) -> str:
        who = self._exchange.actor.id if self._exchange.actor else None
        what = f"{event.kind} {msgspec.json.encode(event).decode()} {file}"
        return f"{who or address_key(self._exchange.ip)} {what}"


TheNotes = Annotated[Notes, Dependency(skip_validation=True)]
