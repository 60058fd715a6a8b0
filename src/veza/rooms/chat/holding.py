"""What this room holds about somebody, for the export of their data and the end of their account.

What somebody said stays where they said it, as nobody's, like what was written on a wall: without it the
answers of others would hang in the air. Who wants it gone deletes it before.
"""

from collections.abc import AsyncIterator
from uuid import UUID

import msgspec

from veza.core.db import Tx
from veza.rooms.accounts.holdings import Holding
from veza.rooms.chat import members_store, messages_store, rooms_store
from veza.rooms.chat.events import RoomDeleted
from veza.rooms.chat.members_store import MemberRow
from veza.rooms.chat.messages_store import Said


class _Kept(msgspec.Struct, frozen=True):
    rooms: list[MemberRow]
    messages: AsyncIterator[list[Said]]


async def _export(view: Tx, user_id: UUID) -> _Kept:
    return _Kept(await members_store.list_of(view, user_id), messages_store.pieces_said(view, user_id))


async def _erase(tx: Tx, user_id: UUID) -> None:
    """They are in no room any more; what they owned is another's, and gone where they were alone."""
    mine = {row.room_id: row for row in await members_store.list_of(tx, user_id)}
    for room_id in await rooms_store.hold_some(tx, mine):
        heir = await members_store.find_heir(tx, room_id, user_id)
        await members_store.remove(tx, room_id, user_id)
        await rooms_store.count_people(tx, room_id, -1)
        if heir is None:
            await rooms_store.remove(tx, room_id)
            tx.emit(RoomDeleted(room_id))
        elif mine[room_id].role == "owner":
            await members_store.change(tx, room_id, heir.user_id, "owner", None)
    await members_store.forget_user(tx, user_id)


HOLDING = Holding("chat", _export, _erase)
