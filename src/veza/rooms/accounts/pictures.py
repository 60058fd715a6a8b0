"""A picture in a request: in a form, or by the id of one that was uploaded before, in JSON."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import UUID

from veza.access.actor import Actor
from veza.core.body import read_body
from veza.core.errors import Detail, PayloadTooLarge, ValidationFailed
from veza.core.exchange import Exchange
from veza.core.multipart import receive_form
from veza.rooms.accounts.schemas import UploadedPicture

MAX_BYTES = 10 * 1024**2
# Received, and before the one at work: each lies in the scratch folder, and takes a second of a core.
MOST_WAITING = 20
_JSON_BYTES = 8 * 1024

# The bytes of a picture that somebody uploaded before, by its id; raises what it can be refused for.
FindPicture = Callable[[Actor, UUID], Awaitable[bytes]]


class PictureIntake:
    """Takes pictures out of requests; ``find`` knows those that were uploaded before."""

    def __init__(self, scratch: Path, find: FindPicture) -> None:
        self._scratch = scratch
        self._find = find

    @asynccontextmanager
    async def receive(
        self, actor: Actor, exchange: Exchange, body: AsyncIterator[bytes]
    ) -> AsyncIterator[Path | bytes]:
        """The picture, for as long as the block lasts.

        Raises what forms, JSON and uploads can be refused for.
        """
        content_type = exchange.headers.get(b"content-type", b"").decode("latin-1")
        if content_type.partition(";")[0].strip().lower() == "application/json":
            named = read_body(await _whole(body), UploadedPicture)
            yield await self._find(actor, named.upload_id)
            return
        form = await receive_form(
            body, content_type, file_field="file", fields=(), max_file_bytes=MAX_BYTES, into=self._scratch
        )
        try:
            if form.file is None:
                raise ValidationFailed(details=[Detail("file", "This field is required.", "REQUIRED")])
            yield form.file.path
        finally:
            form.discard()


async def _whole(body: AsyncIterator[bytes]) -> bytes:
    raw = bytearray()
    async for piece in body:
        raw += piece
        if len(raw) > _JSON_BYTES:
            raise PayloadTooLarge
    return bytes(raw)
