"""What is told live of a room: entries in its order, and who is to be looked at anew.

An entry carries the frame that its hearers get, encoded once for all of them in all processes. One that is
too large for the bus carries none: whoever hears of it reads the database.
"""

from collections.abc import Iterator, Sequence
from uuid import UUID

import msgspec

from veza.core.db import Tx
from veza.core.live import MAX_BYTES, Live

# Where it is told of whose membership, blocks or name has changed.
PEOPLE = "chat"
_NONE = msgspec.Raw(b"null")
_ROOM_FOR_ENTRIES = MAX_BYTES - 64
_FRAME = 64  # of an entry beside its frame


class Entry(msgspec.Struct, frozen=True, array_like=True):
    """What happened at ``seq`` of a room, by whom; 0 for what passes and is not kept."""

    seq: int
    by: UUID | None
    frame: msgspec.Raw

    @property
    def told(self) -> bool:
        """Whether the frame is here."""
        return bytes(self.frame) != b"null"


class People(msgspec.Struct, frozen=True):
    """Who is to be looked at anew: in a room, or wherever they are."""

    users: list[UUID]
    room: UUID | None = None


def topic(room_id: UUID) -> str:
    """Where a room is told of."""
    return f"chat:{room_id}"


def entry(seq: int, by: UUID | None, frame: msgspec.Struct) -> Entry:
    """What is told of a change."""
    data = msgspec.json.encode(frame)
    return Entry(seq, by, msgspec.Raw(data) if len(data) < _ROOM_FOR_ENTRIES - _FRAME else _NONE)


def tell_after(tx: Tx, live: Live, room_id: UUID, entries: Sequence[Entry]) -> None:
    """Tell of these changes of a room once ``tx`` is committed."""
    for some in _split(entries):
        live.publish_after(tx, topic(room_id), some)


def tell(live: Live, room_id: UUID, frame: msgspec.Struct, by: UUID | None = None) -> None:
    """Tell what passes and is not kept."""
    live.publish(topic(room_id), [entry(0, by, frame)])


def look_after(tx: Tx, live: Live, room_id: UUID | None, *user_ids: UUID) -> None:
    """Have these users looked at anew once ``tx`` is committed."""
    live.publish_after(tx, PEOPLE, People(list(user_ids), room_id))


def _split(entries: Sequence[Entry]) -> Iterator[list[Entry]]:
    some: list[Entry] = []
    size = 0
    for one in entries:
        length = len(bytes(one.frame)) + _FRAME
        if some and size + length > _ROOM_FOR_ENTRIES:
            yield some
            some, size = [], 0
        some.append(one)
        size += length
    if some:
        yield some
