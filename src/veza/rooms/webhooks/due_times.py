"""When deliveries are due after the clock was set back: no later than they would have been (threat X8).

What is due at once is so still, and what was tried waits as long from now on as it was to wait from then.
"""

from datetime import datetime, timedelta
from uuid import UUID

import msgspec

from veza.core import clock
from veza.core.db import Database
from veza.rooms.webhooks import deliveries_store, due_times_store
from veza.rooms.webhooks.deliveries_store import Due
from veza.rooms.webhooks.schemas import Attempt

_FIRST = UUID(int=0)
# A few milliseconds of the writer.
PIECE = 200


async def set_right(database: Database, lease: timedelta) -> None:
    """Have no delivery wait for a time that was; may be repeated. ``lease`` is as long as one may work."""
    after = _FIRST
    while True:
        async with database.read() as view:
            hooks = await due_times_store.list_active(view, after, PIECE)
        for hook_id in hooks:
            await _set_deliveries_right(database, hook_id)
            async with database.write() as tx:
                await due_times_store.bring_forward(tx, hook_id, lease)
        if len(hooks) < PIECE:
            return
        after = hooks[-1]


async def _set_deliveries_right(database: Database, hook_id: UUID) -> None:
    after = _FIRST
    while True:
        async with database.read() as view:
            found = await deliveries_store.list_put_off(view, hook_id, after, PIECE)
        now = clock.now()
        wrong = [(due, ahead) for due in found if (ahead := _ahead(due, now)) > timedelta()]
        if wrong:
            async with database.write() as tx:
                for due, ahead in wrong:
                    await deliveries_store.retime(tx, hook_id, due, due.due_at - ahead, _over(due, now))
        if len(found) < PIECE:
            return
        after = found[-1].event_id


def _ahead(due: Due, now: datetime) -> timedelta:
    """How far ahead it lies that a delivery was last tried; or that it was taken in, to be tried at once."""
    return (due.tries[-1].at if due.attempt else due.due_at) - now


def _over(due: Due, now: datetime) -> list[Attempt]:
    return [msgspec.structs.replace(one, at=min(one.at, now)) for one in due.tries]
