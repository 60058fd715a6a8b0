"""What was bought comes down by an address that is signed for its buyer, good for some minutes.

Whoever follows it needs no token: so, where this server sends the file, it is asked again whether the licence
is still there. What lies in a bucket is sent by that, to whoever has the address, until it expires.
"""

from collections.abc import Sequence
from datetime import timedelta
from functools import partial
from typing import Annotated
from uuid import UUID

import msgspec
from litestar import Response
from litestar.params import Dependency

from veza.access.actor import Member
from veza.access.signing import Signer, expires_at
from veza.core import clock
from veza.core.db import Database, Tx
from veza.core.delivery import FileAnswer, disposition
from veza.core.http import Bytes, Reply, reply
from veza.core.storage import Storage
from veza.media import COPY_FORMATS
from veza.rooms.marketplace import copies_store, deliveries_store, licences_store, products, products_store
from veza.rooms.marketplace.archive import Entry, ZipAnswer
from veza.rooms.marketplace.copies import ORIGINAL, Copies, Standing
from veza.rooms.marketplace.errors import CopyNotReady, NotBought, NothingToDownload, PurchaseDisputed
from veza.rooms.marketplace.events import ProductDownloaded
from veza.rooms.marketplace.licences_store import Licence
from veza.rooms.marketplace.order_schemas import Link, Preparing
from veza.rooms.tracks.downloads import Notes

# Whoever signs it, this server or the bucket.
LASTS = timedelta(minutes=15)
ASK_AGAIN = "2"  # seconds


class Download(msgspec.Struct, frozen=True):
    """The name that something is saved under, its files, and whether they come as one archive."""

    filename: str
    entries: Sequence[Entry]
    packed: bool


class Wanted(msgspec.Struct, frozen=True):
    """Which product somebody wants, as what, and of which order if they say so."""

    product_id: UUID
    format: str
    order_id: UUID | None = None

    @property
    def thing(self) -> str:
        """What an address for it is signed for."""
        order = "" if self.order_id is None else f":{self.order_id}"
        return f"product:{self.product_id}{order}" + ("" if self.format == ORIGINAL else f":{self.format}")


class Downloads:
    """Signs addresses for buyers, and gives out what they open; ``presigned`` lets a bucket do so."""

    def __init__(
        self, database: Database, storage: Storage, signer: Signer, base_url: str, *, presigned: bool
    ) -> None:
        self._database = database
        self._storage = storage
        self._signer = signer
        self._base_url = base_url
        self._presigned = presigned
        self._copies = Copies(database)

    async def link(self, notes: Notes, actor: Member, what: Wanted) -> Reply[Link] | Bytes:
        """Where the actor gets what they bought in this format; 202 as long as it is being made.

        Raises :class:`veza.rooms.marketplace.errors.ProductNotFound`, :class:`NotBought`,
        :class:`PurchaseDisputed`, :class:`NothingToDownload`, ``FormatNotAvailable``, ``CopyFailed``.
        """
        async with self._database.read() as view:
            if await _held(view, actor.id, what) is None:
                await products.get_visible(view, actor, what.product_id)
                raise NotBought
        if what.format != ORIGINAL:
            standing = await self._copies.prepare(actor.id, what.product_id, what.format)
            if not standing.whole:
                return _later(what.format, standing)
        async with self._database.read() as view:
            licence = await _held(view, actor.id, what)
            if licence is None:
                raise NotBought
            found = await _content(view, licence, what.format)
        link = await self._presign(found, what.format)
        if link is None:
            return reply(self._sign(found, licence, what.format))
        # The bucket does not tell when it is fetched.
        await notes.take(ProductDownloaded(what.product_id, actor.id), _file(licence, what))
        return reply(link)

    async def _presign(self, found: Download, wanted: str) -> Link | None:
        if not self._presigned or found.packed:
            return None
        (entry,) = found.entries
        headers = {
            "Content-Type": entry.mime,
            "Content-Disposition": disposition("attachment", found.filename),
            "Cache-Control": "private, no-store",
        }
        url = await self._storage.presigned_url(entry.key, LASTS, headers)
        return None if url is None else Link(url, clock.now() + LASTS, found.filename, wanted)

    def _sign(self, found: Download, licence: Licence, wanted: str) -> Link:
        what = Wanted(licence.product_id, wanted, licence.order_id if licence.repeatable else None)
        signature = self._signer.sign(what.thing, licence.buyer_id, LASTS)
        address = f"{self._base_url}/api/v1/marketplace/download/{licence.product_id}/file"
        query = "" if wanted == ORIGINAL else f"format={wanted}&"
        query += "" if what.order_id is None else f"order_id={what.order_id}&"
        return Link(f"{address}?{query}sig={signature}", expires_at(signature), found.filename, wanted)

    async def answer(self, tx: Tx, notes: Notes, what: Wanted, signature: str) -> Response[bytes]:
        """What this address opens: a file, or a pack as a ZIP of files.

        Raises :class:`veza.access.signing.SignatureInvalid`, ``UrlExpired``, :class:`NotBought`,
        :class:`PurchaseDisputed`, :class:`CopyNotReady`.
        """
        buyer_id = self._signer.check(what.thing, signature)
        licence = await _held(tx, buyer_id, what)
        if licence is None:
            raise NotBought
        found = await _content(tx, licence, what.format)
        on_send = partial(notes.take, ProductDownloaded(what.product_id, buyer_id), _file(licence, what))
        head = {"content-disposition": disposition("attachment", found.filename)}
        if found.packed:
            return ZipAnswer(self._storage, found.entries, licence.created_at, head, on_send)
        (entry,) = found.entries
        return FileAnswer(
            self._storage, entry.key, size=entry.size, mime=entry.mime, etag=entry.tag, public=False,
            headers=head, on_send=on_send,
        )  # fmt: skip


TheDownloads = Annotated[Downloads, Dependency(skip_validation=True)]


def _later(wanted: str, standing: Standing) -> Bytes:
    told = reply(Preparing(wanted, standing.ready, standing.files))
    return Bytes(msgspec.json.encode(told), 202, (("Retry-After", ASK_AGAIN),))


def _file(licence: Licence, what: Wanted) -> str:
    """Which of a product's files this is: in what format, and, of what each order is given anew, of which."""
    return f"{what.format} {licence.order_id}" if licence.repeatable else what.format


async def _held(tx: Tx, buyer_id: UUID, what: Wanted) -> Licence | None:
    """The licence by which somebody has it, if they do. Raises :class:`PurchaseDisputed`.

    Of a service that was ordered more than once: that of the order asked for, else the latest with a file.
    """
    if what.order_id is None:
        found = await licences_store.list_for(tx, buyer_id, what.product_id)
    else:  # however many came after it
        one = await licences_store.find_of(tx, what.order_id, what.product_id)
        found = [one] if one is not None and one.buyer_id == buyer_id else []
    licence = found[0] if found else None
    for one in found if len(found) > 1 else []:
        if await deliveries_store.latest_files(tx, one.order_id, one.product_id):
            licence = one
            break
    if licence is not None and licence.frozen_at is not None:
        raise PurchaseDisputed
    return licence


async def _content(tx: Tx, licence: Licence, wanted: str) -> Download:
    """What a licence gives in this format; of a service the file that was delivered last.

    Raises :class:`NothingToDownload`, :class:`CopyNotReady`.
    """
    product = await products_store.find(tx, licence.product_id)
    files, of = await products_store.files_of(tx, [licence.product_id]), licence.product_id
    if product is not None and product.product_type == "service":
        files = await deliveries_store.latest_files(tx, licence.order_id, licence.product_id)
        of = licence.order_id  # another buyer is delivered another file
    if product is None or not files:
        raise NothingToDownload
    copies = await copies_store.list_of(tx, licence.order_id, licence.product_id, wanted)
    entries = []
    for file in files:
        entry = Entry(
            file.key, file.filename, file.mime, file.size, f"{of.hex}-{product.id.hex}-{file.position}"
        )
        if wanted != ORIGINAL and file.track_id is not None:
            copy, form = copies.get(file.position), COPY_FORMATS[wanted]
            if copy is None or copy.key is None:
                raise CopyNotReady
            name = f"{file.filename.rpartition('.')[0]}.{form.ending}"
            entry = Entry(copy.key, name, form.mime, copy.size, copy.mark)
        entries.append(entry)
    packed = product.product_type == "pack"
    return Download(f"{product.title}.zip" if packed else entries[0].filename, entries, packed)
