"""Where in the feed somebody is: a place between two things, which stays where it is while others come."""

import base64
import re
from datetime import UTC, datetime
from uuid import UUID

import msgspec

from veza.core.db.types import from_micros, to_micros
from veza.core.errors import Detail, InvalidRequest

_MOMENT, _ID = 8, 16
_SPELLING = re.compile(r"[A-Za-z0-9_-]{32}", re.ASCII)
_LATEST = datetime(9999, 12, 31, tzinfo=UTC)


class Cursor(msgspec.Struct, frozen=True):
    """Before the thing with this moment and id."""

    created_at: datetime
    id: UUID

    def __str__(self) -> str:
        """As it goes over the wire."""
        raw = to_micros(self.created_at).to_bytes(_MOMENT) + self.id.bytes
        return base64.urlsafe_b64encode(raw).decode()


NEWEST = Cursor(_LATEST, UUID(int=(1 << 128) - 1))


def read_cursor(text: str | None) -> Cursor:
    """The place that was written so; without one, that of the newest. Raises :class:`InvalidRequest`."""
    if text is None:
        return NEWEST
    raw = base64.urlsafe_b64decode(text) if _SPELLING.fullmatch(text) else b""
    micros = int.from_bytes(raw[:_MOMENT])
    if not raw or micros > to_micros(_LATEST):
        said = "Must be what `next` of the part before was."
        raise InvalidRequest(details=[Detail("before", said, "INVALID")])
    return Cursor(from_micros(micros), UUID(bytes=raw[_MOMENT:]))
