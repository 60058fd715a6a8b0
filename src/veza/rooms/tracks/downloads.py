"""What is known of downloads: that somebody fetched a file. The rest of one that was cut off is no other."""

import re
from collections.abc import Callable
from typing import Annotated

import structlog
from litestar.params import Dependency

from veza.core.db import Tx
from veza.core.errors import VezaError
from veza.core.events import Event
from veza.core.exchange import Exchange

log = structlog.get_logger()

Begin = Callable[[], Tx]
TheBegin = Annotated[Begin, Dependency(skip_validation=True)]
_FROM_THE_START = re.compile(rb"bytes=0+-")


async def note(begin: Begin, exchange: Exchange, event: Event) -> None:
    """Write down that a file is fetched from its beginning, before it goes out. All that was asked is read.

    A database that cannot be written to (a full disk, too much to do) keeps nobody from reading.
    """
    wanted = exchange.headers.get(b"range")
    if exchange.scope["method"] == "HEAD" or (wanted is not None and not _FROM_THE_START.match(wanted)):
        return
    if exchange.tx is not None:
        await exchange.tx.commit()  # one connection at a time, as many as may come for a file at once
    try:
        async with begin() as tx:
            tx.emit(event)
    except VezaError as error:
        log.warning("downloads.not_noted", kind=event.kind, reason=error.code)
