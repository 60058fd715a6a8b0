"""What is too old goes, from the beginning of the log, and leaves a trace."""

from collections import Counter
from datetime import datetime, timedelta
from itertools import takewhile
from uuid import UUID

from veza.core import clock
from veza.core.db import Database
from veza.rooms.audit import retention_store, sealing_store
from veza.rooms.audit.events import AuditPurged
from veza.rooms.audit.sealing import ALL

PIECE = 500
# So long an event is also kept as it was written: jobs ask it where something came from.
EVENTS_KEPT = timedelta(days=30)


async def forget(database: Database, retention_days: int) -> None:
    """Empty ``events`` of what was sealed long ago, and purge the log of what is older than it is kept.

    With 0 days the log is kept for ever.
    """
    now = clock.now()
    kept = timedelta(days=retention_days) if retention_days else None
    while await _empty(database, now - min(EVENTS_KEPT, kept or EVENTS_KEPT)):
        pass
    while kept is not None and await _purge(database, now - kept):
        pass


async def _empty(database: Database, before: datetime) -> bool:
    async with database.write() as tx:
        state = await sealing_store.lock_state(tx)
        found = await retention_store.list_after(tx, state.emptied_seq, PIECE)
        old = list(takewhile(lambda row: row.created_at < before, found))
        if old:
            await retention_store.empty(tx, [row.id for row in old], old[-1].seq)
    return len(old) == PIECE


async def _purge(database: Database, before: datetime) -> bool:
    """A piece at a time, each with its trace in the transaction; whether there may be more."""
    async with database.write() as tx:
        state = await sealing_store.lock_state(tx)
        found = await retention_store.list_after(tx, state.purged_seq, PIECE)
        old = list(takewhile(lambda row: row.created_at < before and row.seq <= state.emptied_seq, found))
        if old:
            last = old[-1]
            await retention_store.purge(tx, last.seq, last.mac)
            counts = Counter[tuple[UUID, str]]()
            for row in old:
                counts[ALL, row.kind] -= 1
                if row.user_id is not None:
                    counts[row.user_id, row.kind] -= 1
            await sealing_store.count(tx, counts)
            await sealing_store.drop_noughts(tx, {scope for scope, _ in counts})
            tx.emit(AuditPurged(last.seq, last.mac.hex(), len(old)))
    return len(old) == PIECE
