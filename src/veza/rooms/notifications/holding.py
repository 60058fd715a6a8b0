"""What this room holds about somebody, for the export of their data."""

from collections.abc import AsyncIterator, Sequence
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
    notifications: AsyncIterator[Sequence[_Told]]
    preferences: Sequence[Choice]


async def _export(view: Tx, user_id: UUID) -> _Kept:
    return _Kept(_told(view, user_id), await preferences_store.list_chosen(view, user_id))


async def _told(view: Tx, user_id: UUID) -> AsyncIterator[Sequence[_Told]]:
    read_seq = (await boxes_store.find(view, user_id)).read_seq
    async for rows in store.pieces_of(view, user_id):
        yield [
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


# Nothing to erase: preferences go with the row of their user, and all else after it, in pieces.
HOLDING = Holding("notifications", _export)
