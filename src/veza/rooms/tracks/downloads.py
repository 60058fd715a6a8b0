"""What is known of downloads: that somebody fetched a file. The rest of one that was cut off is no other."""

from collections.abc import Callable
from typing import Annotated

import structlog
from litestar.params import Dependency

from veza.core.db import Tx
from veza.core.errors import VezaError
from veza.core.events import Event
from veza.core.exchange import Exchange

log = structlog.get_logger()


class Notes:
    """Writes down what one request fetches, in transactions that ``begin`` makes."""

    def __init__(self, begin: Callable[[], Tx], exchange: Exchange) -> None:
        self._begin = begin
        self._exchange = exchange

    async def take(self, event: Event) -> None:
        """Note that a file is fetched, before its first byte goes out. All that was asked is read by then.

        A database that cannot be written to (a full disk, too much to do) keeps nobody from reading.
        """
        if self._exchange.scope["method"] == "HEAD":
            return
        try:
            async with self._begin() as tx:
                tx.emit(event)
        except VezaError as error:
            log.warning("downloads.not_noted", kind=event.kind, reason=error.code)


TheNotes = Annotated[Notes, Dependency(skip_validation=True)]
