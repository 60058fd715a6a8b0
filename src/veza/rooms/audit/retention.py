"""What is too old goes, from the beginning of the log, and leaves a trace."""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

from veza.core import clock
from veza.core.db import Database, Tx
from veza.rooms.audit import retention_store, sealing_store
from veza.rooms.audit.events import AuditPurged
from veza.rooms.audit.retention_store import Old
from veza.rooms.audit.sealing import ALL, Sealer

PIECE = 500
# So long an event is also kept as it was written: jobs ask it where something came from.
EVENTS_KEPT = timedelta(days=30)


async def forget(database: Database, sealer: Sealer, retention_days: int) -> None:
    """Empty ``events`` of what was sealed long ago, and purge the log of what is older than it is kept.

    With 0 days the log is kept for ever.
    """
    now = clock.now()
    kept = timedelta(days=retention_days) if retention_days else None
    while await _empty(database, now - min(EVENTS_KEPT, kept or EVENTS_KEPT)):
        pass
    while kept is not None and await _purge(database, sealer, now - kept):
        pass


async def _empty(database: Database, before: datetime) -> bool:
    async with database.write() as tx:
        state = await sealing_store.lock_state(tx)
        found = await retention_store.list_after(tx, state.emptied_seq, PIECE)
        old = await _old(tx, found, before)
        if old:
            await retention_store.empty(tx, [row.id for row in old], old[-1].seq)
    return len(old) == PIECE


async def _purge(database: Database, sealer: Sealer, before: datetime) -> bool:
    """A piece at a time, each with its trace in the transaction; whether there may be more."""
    async with database.write() as tx:
        state = await sealing_store.lock_state(tx)
        found = await retention_store.list_after(tx, state.purged_seq, PIECE)
        old = [row for row in await _old(tx, found, before) if row.seq <= state.emptied_seq]
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
            sealed = sealer.purge(last.seq, last.mac)
            tx.emit(AuditPurged(last.seq, last.mac.hex(), len(old), sealed))
    return len(old) == PIECE


async def _old(tx: Tx, found: Sequence[Old], before: datetime) -> Sequence[Old]:
    """The rows at the beginning of these that were written before then.

    One that was written later than now, for the clock was set back since, is as old as what comes after it:
    else it would hold up all of that until its time has come.
    """
    now, count = clock.now(), 0
    for number, row in enumerate(found, 1):
        if row.created_at < before:
            count = number
        elif row.created_at <= now:
            return found[:count]
    if count < len(found):
        following = await retention_store.find_dated(tx, found[-1].seq, now)
        if following is not None and following < before:
            return found
    return found[:count]
