"""What was missed of a room, from the database, in pieces: so nothing is held while somebody reads slowly."""

from collections.abc import AsyncIterator, Collection
from operator import attrgetter
from uuid import UUID

import msgspec

from veza.core.db import Database
from veza.rooms.chat import messages_store as store
from veza.rooms.chat.frames import Deleted, Edited, Said, ServerFrame
from veza.rooms.chat.messages import seen_by
from veza.rooms.chat.messages_store import MessageRow

PIECE = 100


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
    """What was said after one place and up to another, and what has changed of what was there before.

    One order for both, by places: whoever is cut off in the midst of it has missed nothing up to the last
    place that they were told. What changes again meanwhile is told then, and left out here.
    """
    for place in range(since, to, PIECE):
        end = min(place + PIECE, to)
        async with database.read() as view:
            said = await store.list_said_between(view, room_id, place, end, hidden)
            changed = (
                await store.list_changed_between(view, room_id, since, place, end, hidden) if changes else []
            )
            seen = await seen_by(view, reader, [*said, *changed])
        piece = [
            Missed(row.seq, row.user_id, Said(room_id=room_id, message=message))
            for row, message in zip(said, seen, strict=False)
        ]
        piece += [
            Missed(row.change_seq, row.user_id, _changed(row, Edited(room_id=room_id, message=message)))
            for row, message in zip(changed, seen[len(said) :], strict=True)
        ]
        yield sorted(piece, key=attrgetter("seq"))


def _changed(row: MessageRow, edited: Edited) -> ServerFrame:
    if row.deleted_at is None:
        return edited
    return Deleted(room_id=row.room_id, message_id=row.id, seq=row.change_seq)
