"""What this room holds about somebody, for the export of their data."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

import msgspec

from veza.core.db import Tx
from veza.rooms.accounts.holdings import Holding
from veza.rooms.notifications import boxes_store, preferences_store, store
from veza.rooms.notifications.preferences_store import Choice


class _Told(msgspec.Struct, frozen=True):
    type: str
    subject_id: UUID | None
    count: int
    read: bool
    created_at: datetime
    updated_at: datetime


class _Kept(msgspec.Struct, frozen=True):
    notifications: Sequence[_Told]
    preferences: Sequence[Choice]


async def _export(tx: Tx, user_id: UUID) -> _Kept:
    read_seq = (await boxes_store.find(tx, user_id)).read_seq
    rows = await store.list_of(tx, user_id)
    told = [
        _Told(
            row.type,
            row.subject_id,
            row.actor_count,
            not row.unread(read_seq),
            row.created_at,
            row.updated_at,
        )
        for row in rows
    ]
    return _Kept(told, await preferences_store.list_chosen(tx, user_id))


# Nothing to erase: preferences go with the row of their user, and all else after it, in pieces.
HOLDING = Holding("notifications", _export)
