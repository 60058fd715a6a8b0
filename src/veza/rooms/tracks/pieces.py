"""Pieces of renditions as answers; one that is still to be encoded is waited for, but not for long."""

import asyncio
import re
from collections import Counter
from contextlib import suppress
from typing import Annotated, Any
from uuid import UUID

from litestar.params import Dependency

from veza.access.actor import Actor
from veza.core.db import Database, Tx
from veza.core.delivery import FileAnswer
from veza.core.errors import VezaError
from veza.core.exchange import Exchange
from veza.core.http import SentBytes
from veza.core.storage import Storage
from veza.media import FORMATS
from veza.rooms.tracks import hls, wishes
from veza.rooms.tracks.errors import PieceNotReady, RenditionNotFound

# Seconds. Players give up on an answer that does not begin within ten.
WAIT, STEP = 8.0, 0.25
# How many may wait at once in one process, and of these how many of one person, whose players ask for a few
# at a time; the others are told to come again.
MOST_WAITING, MOST_EACH = 64, 4
_HEAD = "init.mp4"
_SEGMENT = re.compile(r"([1-9]\d{0,5})\.m4s", re.ASCII)


class Pieces:
    """Gives out pieces of renditions."""

    def __init__(self, database: Database, storage: Storage) -> None:
        self._database = database
        self._storage = storage
        self._waiting: Counter[UUID | None] = Counter()

    async def answer(self, tx: Tx, actor: Actor, track_id: UUID, name: str, file: str) -> "PieceAnswer":
        """The piece that this file name means. Raises what :func:`hls.find_piece` raises."""
        number = _number(file)
        found = await hls.find_piece(tx, actor, track_id, name, number)
        return PieceAnswer(self, (actor, track_id, name, number), found)

    async def wait(self, wanted: tuple[Actor, UUID, str, int], receive: Any) -> hls.Piece | None:
        """A piece as soon as it is there; None when the caller has left, or it is known to take too long.

        Holds no thread and no transaction. Raises :class:`PieceNotReady`.
        """
        who = wanted[0].id
        if self._waiting.total() >= MOST_WAITING or self._waiting[who] >= MOST_EACH:
            raise PieceNotReady(headers={"Retry-After": "2"})
        self._waiting[who] += 1
        left = asyncio.ensure_future(_until_left(receive))
        try:
            await self._wish(*wanted[1:])
            for _ in range(round(WAIT / STEP)):
                await asyncio.wait({left}, timeout=STEP)
                if left.done():
                    return None
                async with self._database.read() as view:
                    found = await hls.find_piece(view, *wanted)
                if found is not None:
                    return found
            raise PieceNotReady(headers={"Retry-After": "1"})
        finally:
            self._waiting -= Counter([who])  # and nobody is remembered who does not wait
            left.cancel()
            await asyncio.gather(left, return_exceptions=True)

    async def _wish(self, track_id: UUID, name: str, number: int) -> None:
        with suppress(VezaError):  # then it comes in its turn
            async with self._database.write() as tx:
                await wishes.wish(tx, track_id, name, number)

    def file(self, piece: hls.Piece) -> FileAnswer:
        """A piece that is there, as a file to send."""
        return FileAnswer(
            self._storage, piece.key, size=piece.size, offset=piece.offset, mime=FORMATS["m4a"].mime,
            etag=piece.etag, public=piece.public, headers={"content-disposition": "inline"},
        )  # fmt: skip


class PieceAnswer(SentBytes):
    """A piece, now or in a moment."""

    def __init__(self, pieces: Pieces, wanted: tuple[Actor, UUID, str, int], found: hls.Piece | None) -> None:
        super().__init__(b"", media_type=FORMATS["m4a"].mime)
        self.pieces = pieces
        self.wanted = wanted
        self.found = found

    async def _answer(self, scope: Any, receive: Any, send: Any) -> None:
        exchange: Exchange = scope["veza"]
        await exchange.end_tx()
        piece = self.found or await self.pieces.wait(self.wanted, receive)
        if piece is not None:
            await self.pieces.file(piece).to_asgi_response()(scope, receive, send)


ThePieces = Annotated[Pieces, Dependency(skip_validation=True)]


def _number(file: str) -> int:
    """Which piece; the head is 0."""
    if file == _HEAD:
        return 0
    found = _SEGMENT.fullmatch(file)
    if found is None:
        raise RenditionNotFound("There is no such part of this rendition.")
    return int(found[1])


async def _until_left(receive: Any) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
