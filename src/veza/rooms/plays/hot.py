"""``POST /tracks/{id}/play`` answered from the edge: of all writes, the one that comes by the thousand.

Any request with something out of the ordinary (a token that is not remembered, an Idempotency-Key, a body
without a length or of an odd kind) is left to the ordinary route before a byte of it is read. What follows is
the same reading of the body and the same rules; plays that come at the same time share a transaction.
"""

from collections.abc import Callable, Sequence
from functools import lru_cache
from uuid import UUID

import msgspec

from veza.access.actor import Actor, Member
from veza.core.body import read_body
from veza.core.edge import Header, Ready, Receive, Scope
from veza.core.exchange import Exchange
from veza.core.gathering import Gatherer
from veza.core.incoming import is_short_json, read_whole
from veza.core.places import Places
from veza.rooms.plays.routes import RECORDED
from veza.rooms.plays.schemas import PlayDraft
from veza.rooms.plays.service import Play

Remembered = Callable[[str], Actor | None]
Dress = Callable[[str, int, Sequence[Header], bytes], Ready]

ROUTE = "/api/v1/tracks/{track_id}/play"
MOST_BYTES = 512
_ID = slice(-41, -5)  # of …/{id}/play
_encode = msgspec.json.Encoder().encode  # makes text of a UUID six times as fast as str


class HotPlays:
    """Takes plays."""

    def __init__(
        self, gatherer: Gatherer[Play, UUID], remembered: Remembered, places: Places, dress: Dress
    ) -> None:
        self._gatherer = gatherer
        self._remembered = remembered
        self._places = places
        self._dressed = dress(ROUTE, 200, ((b"content-type", b"application/json"),), b"")

    async def record(self, exchange: Exchange, scope: Scope, receive: Receive) -> Ready | None:
        """The answer to a play once it is durable; None leaves it to the ordinary route."""
        actor, track_id = self._actor(exchange), _read_id(scope["path"][_ID])
        if (
            actor is None
            or track_id is None
            or scope["query_string"]
            or not is_short_json(exchange, MOST_BYTES)
        ):
            return None
        exchange.actor, exchange.route = actor, ROUTE
        told = _read(await read_whole(receive))
        country = self._places.country_of(exchange.ip)
        play_id = await self._gatherer.keep(Play(actor, track_id, told, country))
        body = b'{"success":true,"data":{"message":"%b","id":%b}}' % (RECORDED, _encode(play_id))
        return self._dressed.with_body(body)

    def _actor(self, exchange: Exchange) -> Member | None:
        token = exchange.bearer()
        found = self._remembered(token) if token else None
        return found if isinstance(found, Member) else None


def _read_id(text: str) -> UUID | None:
    try:
        found: UUID = msgspec.convert(text, UUID)
    except msgspec.ValidationError:
        return None
    return found if _encode(found) == b'"%b"' % text.encode() else None


@lru_cache(4_096)
def _read(body: bytes) -> PlayDraft:
    """The body; players say the same over and over."""
    return read_body(body, PlayDraft)
