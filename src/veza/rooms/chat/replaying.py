"""What was missed of a room, from the database, in pieces: so nothing is held while somebody reads slowly."""

from collections.abc import AsyncIterator, Collection
from uuid import UUID

import msgspec

from veza.core.db import Database
from veza.rooms.chat import messages_store as store
from veza.rooms.chat.frames import Deleted, Edited, Said, ServerFrame
from veza.rooms.chat.messages import seen_by
from veza.rooms.chat.messages_store import MessageRow

PIECE = 100
MOST_CHANGES = 1_000


class Missed(msgspec.Struct, frozen=True):
    """One frame, where it belongs in the room's order, and by whom it is."""

    seq: int
    by: UUID | None
    frame: ServerFrame


async def replay(
    database: Database,
    room_id: UUID,
    since: int,
    to: int,
    *,
    reader: UUID | None = None,
    hidden: Collection[UUID] = (),
    changes: bool = True,
) -> AsyncIterator[list[Missed]]:
    """What was said after one place and up to another, and then what has changed of what was there before."""
    place, more = since, True
    while more:
        async with database.read() as view:
            rows = await store.list_slice(view, room_id, "after", place, PIECE, hidden)
            more = len(rows) == PIECE and rows[-1].seq < to
            rows = [row for row in rows if row.seq <= to]
            seen = await seen_by(view, reader, rows)
        if rows:
            place = rows[-1].seq
            yield [
                Missed(row.seq, row.user_id, Said(room_id=room_id, message=message))
                for row, message in zip(rows, seen, strict=True)
            ]
    if changes:
        async with database.read() as view:
            rows = await store.list_slice(view, room_id, "changed", since, MOST_CHANGES, hidden)
            seen = await seen_by(view, reader, rows)
        yield [
            Missed(row.change_seq, row.user_id, _changed(row, Edited(room_id=room_id, message=message)))
            for row, message in zip(rows, seen, strict=True)
        ]


def _changed(row: MessageRow, edited: Edited) -> ServerFrame:
    if row.deleted_at is None:
        return edited
    return Deleted(room_id=row.room_id, message_id=row.id, seq=row.change_seq)
