"""What was bought comes down by an address that is signed for its buyer, good for a quarter of an hour.

Whoever follows it needs no token: so it is asked again whether the licence is still there.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import timedelta
from typing import Annotated, Any
from uuid import UUID
from zipfile import ZIP_STORED, ZipFile, ZipInfo

from litestar import Response
from litestar.params import Dependency
from litestar.types import ASGIApp

from veza.access.actor import Member
from veza.access.signing import Signer, expires_at
from veza.core.db import Tx
from veza.core.delivery import FileAnswer, disposition
from veza.core.exchange import Exchange
from veza.core.storage import Storage
from veza.rooms.marketplace import licences_store, products, products_store
from veza.rooms.marketplace.errors import NotBought, NothingToDownload
from veza.rooms.marketplace.order_schemas import Link
from veza.rooms.marketplace.products_store import ProductFile

LASTS = timedelta(minutes=15)
_FLUSHED = 256 * 1024
_PRIVATE = {"cache-control": "private, no-store", "vary": "Authorization"}


class Downloads:
    """Signs addresses for buyers, and gives out what they open."""

    def __init__(self, storage: Storage, signer: Signer, base_url: str) -> None:
        self._storage = storage
        self._signer = signer
        self._base_url = base_url

    async def link(self, tx: Tx, actor: Member, product_id: UUID) -> Link:
        """Where the actor gets what they bought.

        Raises :class:`veza.rooms.marketplace.errors.ProductNotFound`, :class:`NotBought`,
        :class:`NothingToDownload`.
        """
        if await licences_store.find(tx, actor.id, product_id) is None:
            await products.get_visible(tx, actor, product_id)
            raise NotBought
        name, _, _ = await _content(tx, product_id)
        signature = self._signer.sign(_thing(product_id), actor.id, LASTS)
        url = f"{self._base_url}/api/v1/marketplace/download/{product_id}/file?sig={signature}"
        return Link(url, expires_at(signature), name)

    async def answer(self, tx: Tx, product_id: UUID, signature: str) -> Response[bytes]:
        """What this address opens: a file, or a pack as a ZIP of files.

        Raises :class:`veza.access.signing.SignatureInvalid`, ``UrlExpired``, :class:`NotBought`.
        """
        buyer_id = self._signer.check(_thing(product_id), signature)
        if await licences_store.find(tx, buyer_id, product_id) is None:
            raise NotBought
        name, files, packed = await _content(tx, product_id)
        head = {"content-disposition": disposition("attachment", name)}
        if packed:
            return ZipAnswer(self._storage, files, head)
        file = files[0]
        return FileAnswer(
            self._storage, file.key, size=file.size, mime=file.mime, public=False, headers=head,
            etag=f"{product_id.hex}-{file.position}",
        )  # fmt: skip


TheDownloads = Annotated[Downloads, Dependency(skip_validation=True)]


def _thing(product_id: UUID) -> str:
    return f"product:{product_id}"


async def _content(tx: Tx, product_id: UUID) -> tuple[str, Sequence[ProductFile], bool]:
    """The name that it is saved under, the files, and whether they come as one archive."""
    product = await products_store.find(tx, product_id)
    files = await products_store.files_of(tx, [product_id])
    if product is None or not files:
        raise NothingToDownload
    packed = product.product_type == "pack"
    return (f"{product.title}.zip" if packed else files[0].filename), files, packed


class ZipAnswer(Response[bytes]):
    """Files as one ZIP archive, made while it is sent: nothing is copied, and no more than a piece in memory.

    They are stored as they are, for sound does not get smaller; sizes may pass 4 GiB (zip64).
    """

    def __init__(self, storage: Storage, files: Sequence[ProductFile], headers: dict[str, str]) -> None:
        super().__init__(b"", media_type="application/zip")
        self.storage = storage
        self.files = files
        self.extra = headers

    def to_asgi_response(self, *_: Any, **__: Any) -> ASGIApp:  # type: ignore[override]  # not the bytes that the base would render
        """The answer itself."""
        return self._answer

    async def _answer(self, scope: Any, receive: Any, send: Any) -> None:
        del receive
        exchange: Exchange = scope["veza"]
        if exchange.tx is not None:
            # Whoever downloads for an hour holds no connection to the database meanwhile.
            await exchange.tx.close()
        head = self.extra | _PRIVATE | {"content-type": "application/zip"}
        raw = [(name.encode(), value.encode("latin-1", "replace")) for name, value in head.items()]
        begun = False
        if scope["method"] != "HEAD":
            async for piece in zipped(self.storage, self.files):
                if not begun:  # with the first bytes, so that a storage that is away can still be an error
                    begun = True
                    await send({"type": "http.response.start", "status": 200, "headers": raw})
                await send({"type": "http.response.body", "body": piece, "more_body": True})
        if not begun:
            await send({"type": "http.response.start", "status": 200, "headers": raw})
        await send({"type": "http.response.body", "body": b""})


class _Sink:
    """Takes what the archive writes, until it is fetched; it cannot seek, so sizes follow their data."""

    def __init__(self) -> None:
        self.pieces: list[bytes] = []
        self.size = 0

    def write(self, data: bytes) -> int:
        self.pieces.append(bytes(data))
        self.size += len(data)
        return len(data)

    def flush(self) -> None:
        """Nothing is held back."""

    def take(self) -> bytes:
        """What has been written since the last time."""
        taken, self.pieces, self.size = b"".join(self.pieces), [], 0
        return taken


async def zipped(storage: Storage, files: Sequence[ProductFile]) -> AsyncIterator[bytes]:
    """The bytes of a ZIP archive of these files, in pieces. Raises :class:`veza.core.storage.NoSuchFile`."""
    sink = _Sink()
    with ZipFile(sink, "w", ZIP_STORED, allowZip64=True) as archive:  # type: ignore[call-overload]  # it needs no more
        for name, file in zip(_names(files), files, strict=True):
            with archive.open(ZipInfo(name), "w", force_zip64=True) as entry:
                async for piece in storage.open_range(file.key, 0, file.size):
                    entry.write(piece)
                    if sink.size >= _FLUSHED:
                        yield sink.take()
                        await asyncio.sleep(0)
    yield sink.take()


def _names(files: Sequence[ProductFile]) -> list[str]:
    """The entries' names: numbered, so that they keep their order and none stands twice."""
    width = len(str(len(files)))
    return [f"{number:0{width}d} {_plain(file.filename)}" for number, file in enumerate(files, 1)]


def _plain(filename: str) -> str:
    """A name without anything that a file system takes for a folder or a drive."""
    clean = "".join("_" if char in '/\\:*?"<>|' or not char.isprintable() else char for char in filename)
    return clean.strip(". ") or "file"
