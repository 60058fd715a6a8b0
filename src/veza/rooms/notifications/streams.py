"""``GET /events``: what somebody is told, as it happens (server-sent events: WHATWG HTML, 9.2).

Each event bears the place in its listener's order of all that they are told. Whoever comes back says where
they stopped, and gets what they missed from the database, in order, without a gap: a place is given out while
the box is held, so none becomes visible after a greater one. What has changed since then comes as it is now.
"""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from time import perf_counter
from typing import Annotated, Any

import msgspec
from litestar.params import Dependency, Parameter

from veza.access.actor import Member
from veza.access.signing import Signer, UrlExpired, expires_at
from veza.core.db import Database
from veza.core.errors import Detail, InvalidRequest, InvalidToken, Unavailable
from veza.core.exchange import Exchange
from veza.core.http import SentBytes
from veza.rooms.notifications import service
from veza.rooms.notifications.hub import Hub, Stream
from veza.rooms.notifications.schemas import Notification, StreamAddress
from veza.rooms.sessions.authenticator import Authenticator

BEAT_SECONDS = 15.0
RETRY_MILLISECONDS = 3_000
# An address is asked for anew when a browser is refused; a session that ends takes its addresses along.
LASTS = timedelta(hours=1)
# A burst is read together.
_PAUSE_SECONDS = 0.2
_PIECE = 100
_MOST_PLACE = 2**63 - 1
_MOST_DIGITS = 19
_HEAD = [
    (b"content-type", b"text/event-stream"),
    (b"cache-control", b"no-store"),
    # Else nginx would gather what is sent until it fills a buffer.
    (b"x-accel-buffering", b"no"),
]

Sig = Annotated[str, Parameter(query="sig", description="What `GET /events/token` has signed for you.")]
Place = Annotated[
    str | None,
    Parameter(header="Last-Event-ID", description="Where you stopped: what came after it is sent."),
]


class _News(msgspec.Struct, frozen=True):
    notification: Notification


class _Unread(msgspec.Struct, frozen=True):
    unread_count: int


class Streams:
    """Makes streams for members, and addresses that open one."""

    def __init__(self, database: Database, hub: Hub, authenticator: Authenticator, signer: Signer) -> None:
        self.database = database
        self.hub = hub
        self.authenticator = authenticator
        self._signer = signer

    def sign(self, actor: Member, base_url: str) -> StreamAddress:
        """An address for a browser, whose EventSource sends no headers; it opens nothing else."""
        signature = self._signer.sign("events", actor.session_id, LASTS)
        return StreamAddress(f"{base_url}/api/v1/events/signed?sig={signature}", expires_at(signature))

    async def by_signature(self, signature: str) -> Member:
        """Whom this was signed for, while their session lasts. Raises SignatureInvalid, UrlExpired."""
        try:
            return await self.authenticator.member_of(self._signer.check("events", signature))
        except InvalidToken:
            raise UrlExpired from None

    def open(self, member: Member, place: str | None) -> "StreamAnswer":
        """The stream of somebody, from a place on, or from now. Raises :class:`InvalidRequest`."""
        if not place:
            return StreamAnswer(self, member, None)
        # Python reads no number of thousands of digits.
        digits = len(place) <= _MOST_DIGITS and place.isascii() and place.isdecimal()
        if not (digits and int(place) <= _MOST_PLACE):
            raise InvalidRequest(details=[Detail("Last-Event-ID", "This is no event's id.", "INVALID")])
        return StreamAnswer(self, member, int(place))


TheStreams = Annotated[Streams, Dependency(skip_validation=True)]


class StreamAnswer(SentBytes):
    """An answer that goes on until its listener leaves, is signed out, or the process ends."""

    def __init__(self, streams: Streams, member: Member, place: int | None) -> None:
        super().__init__(b"", media_type="text/event-stream")
        self.streams = streams
        self.member = member
        self.place = place

    async def _answer(self, scope: Any, receive: Any, send: Any) -> None:
        exchange: Exchange = scope["veza"]
        start = {"type": "http.response.start", "status": 200, "headers": list(_HEAD)}
        if exchange.scope["method"] == "HEAD":
            await send(start)
            await send({"type": "http.response.body", "body": b""})
            return
        with self.streams.hub.stream(self.member) as stream:
            await send(start)
            seconds = exchange.elapsed()
            leaving = asyncio.create_task(_see_off(receive, stream))
            try:
                async for piece in self._events(stream):
                    await send({"type": "http.response.body", "body": piece, "more_body": True})
            finally:
                leaving.cancel()
        # How long somebody listens says nothing of how quickly they were answered.
        exchange.started = perf_counter() - seconds
        await send({"type": "http.response.body", "body": b""})

    async def _events(self, stream: Stream) -> AsyncIterator[bytes]:
        yield b"retry: %d\n\n" % RETRY_MILLISECONDS
        stream.wake()
        while not stream.ended:
            if not await stream.wait(BEAT_SECONDS):
                yield b": beat\n\n"
            elif not stream.ended:
                try:
                    async for piece in self._news(stream):
                        yield piece
                except InvalidToken:
                    return
                except Unavailable:  # the database is away: it will be looked at again
                    stream.wake()
                    await asyncio.sleep(1)
                await asyncio.sleep(_PAUSE_SECONDS)

    async def _news(self, stream: Stream) -> AsyncIterator[bytes]:
        """All that came since the last time, and how much is unread if that has changed."""
        more = True
        while more and not stream.ended:
            # Anew each time: names and titles are those that they may see now.
            member = await self.streams.authenticator.member_of(stream.session_id)
            async with self.streams.database.read() as view:
                if self.place is None:
                    self.place = await service.find_place(view, member.id)
                found, box = await service.list_after(view, member, member.id, self.place, _PIECE)
            more = len(found) == _PIECE
            for one in found:
                yield _event(b"notification", one.cursor, _News(one))
            # All up to the box's own place was there when that was read, and so is among what was found.
            last = found[-1].cursor if found else 0
            self.place = last if more else max(box.seq, last)
            unread, stream.known = stream.known[1], (box.seq, box.unread)
            if not more and box.unread != unread:
                yield _event(b"unread_count", self.place, _Unread(box.unread))


def _event(name: bytes, place: int, data: Any) -> bytes:
    return b"id: %d\nevent: %b\ndata: %b\n\n" % (place, name, msgspec.json.encode(data))


async def _see_off(receive: Any, stream: Stream) -> None:
    """End the stream as soon as its listener has left."""
    while (await receive())["type"] != "http.disconnect":
        pass
    stream.end()
