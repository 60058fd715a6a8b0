"""Copies of what was bought, in the format that its buyer chose: by what they are made, and which there are.

A copy is made when it is first asked for, by a job, and kept for as long as it is used. Its title and cover
are those of the track today; once this is gone, those of its last sale.
"""

import asyncio
import hashlib
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Literal
from uuid import UUID

import msgspec

from veza.core import clock
from veza.core.db import Database, Tx
from veza.core.jobs import enqueue
from veza.media import COPY_FORMATS, CopyFormat, Labels
from veza.rooms.marketplace import copies_store, licences_store, products_store
from veza.rooms.marketplace.copies_store import Copy
from veza.rooms.marketplace.errors import CopyFailed, FormatNotAvailable, NotBought, NothingToDownload
from veza.rooms.marketplace.kinds import MAKE_COPY, MakeCopy
from veza.rooms.marketplace.licences_store import Licence
from veza.rooms.marketplace.products_store import Product, ProductFile
from veza.rooms.tracks import sales
from veza.rooms.tracks.schemas import Particulars

Format = Literal["original", "flac", "mp3", "aac"]
ORIGINAL = "original"
_SPOKEN = {ORIGINAL: "as uploaded", "flac": "FLAC", "mp3": "MP3", "aac": "AAC"}
# The prefix of the keys of all copies.
ROOT = "bought"
# Seconds that a caller is kept waiting for what may be there in a moment, and how often it is looked for.
WAIT, STEP = 4.0, 0.25
# How many may wait at once in one process; the others are told to come again.
MOST_WAITING = 64
# That a copy is used is written down once in so long.
_TOUCHED = timedelta(days=1)


class Recipe(msgspec.Struct, frozen=True):
    """By what a copy is made."""

    file: ProductFile
    form: CopyFormat
    labels: Labels
    particulars: Particulars

    @property
    def source(self) -> str:
        """What the original is known by: the digest of its bytes, or of its key where that is not known."""
        return self.particulars.sha256 or hashlib.sha256(self.file.key.encode()).hexdigest()

    @property
    def mark(self) -> str:
        """The digest of all of this: copies with the same mark are the same."""
        told = msgspec.json.encode((self.source, self.form, self.labels, self.particulars.cover))
        return hashlib.blake2b(told, digest_size=16).hexdigest()


class Standing(msgspec.Struct, frozen=True):
    """How many of a download's files are there, of how many."""

    ready: int
    files: int

    @property
    def whole(self) -> bool:
        """Whether nothing is left to be made."""
        return self.ready == self.files


def formats_of(files: Sequence[ProductFile], known: Mapping[str, Particulars]) -> list[str]:
    """The formats in which a product of these files can be had; none where it has no files."""
    if not files:
        return []
    about = [known.get(file.key) for file in files if file.track_id is not None]
    if not about or None in about:
        return [ORIGINAL]
    lossless = all(one.lossless for one in about if one is not None)
    return [ORIGINAL, *(name for name, form in COPY_FORMATS.items() if lossless or not form.lossless)]


def spoken(formats: Sequence[str]) -> str:
    """Formats as people read them."""
    return ", ".join(_SPOKEN[name] for name in formats)


async def list_formats(tx: Tx, product_ids: Sequence[UUID]) -> dict[UUID, list[str]]:
    """The same of each of these products."""
    # Of a page of orders there may be ten thousand, and the same ones many times over.
    by_product: dict[UUID, list[ProductFile]] = {one: [] for one in product_ids}
    for file in await products_store.files_of(tx, list(by_product)):
        by_product[file.product_id].append(file)
    keys = [file.key for files in by_product.values() for file in files if file.track_id is not None]
    known = await sales.list_particulars(tx, keys)
    return {one: formats_of(files, known) for one, files in by_product.items()}


async def list_recipes(tx: Tx, licence: Licence, name: str) -> list[Recipe]:
    """By what a product's tracks are made into a format; what is no track stays as it is.

    Raises :class:`NothingToDownload`, :class:`FormatNotAvailable`.
    """
    product = await products_store.find(tx, licence.product_id)
    files = await products_store.files_of(tx, [licence.product_id])
    if product is None or not files:
        raise NothingToDownload
    tracks = [file for file in files if file.track_id is not None]
    known = await sales.list_particulars(tx, [file.key for file in tracks])
    if name not in formats_of(files, known):
        raise FormatNotAvailable
    return [
        Recipe(file, COPY_FORMATS[name], _labels(licence, product, known[file.key], number, len(tracks)),
               known[file.key])
        for number, file in enumerate(tracks, 1)
    ]  # fmt: skip


def _labels(licence: Licence, product: Product, known: Particulars, number: int, count: int) -> Labels:
    packed = product.product_type == "pack"
    return Labels(
        title=known.title,
        artist=known.artist,
        album=known.album or (product.title if packed else None),
        genre=known.genre,
        year=known.year,
        number=f"{number}/{count}" if packed else None,
        comment=f"{licence.license_type} licence, order {licence.order_id}",
    )


class Copies:
    """Sees to it that copies are made for those who have bought something."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._waiting = 0

    async def prepare(self, buyer_id: UUID, product_id: UUID, name: str) -> Standing:
        """Have what is missing be made, and wait a little for it; how far that is.

        Holds no transaction while it waits. Raises :class:`NotBought`, :class:`CopyFailed`, and what
        :func:`list_recipes` does.
        """
        standing = await self._look(buyer_id, product_id, name, first=True)
        if standing.whole or self._waiting >= MOST_WAITING:
            return standing
        self._waiting += 1
        try:
            for _ in range(round(WAIT / STEP)):
                await asyncio.sleep(STEP)
                standing = await self._look(buyer_id, product_id, name)
                if standing.whole:
                    break
            return standing
        finally:
            self._waiting -= 1

    async def _look(self, buyer_id: UUID, product_id: UUID, name: str, *, first: bool = False) -> Standing:
        async with self._database.read() as view:
            licence = await licences_store.find(view, buyer_id, product_id)
            if licence is None:
                raise NotBought
            recipes = await list_recipes(view, licence, name)
            there = await copies_store.list_of(view, licence.order_id, product_id, name)
        missing = [one for one in recipes if not _is_made(one, there.get(one.file.position))]
        if first and missing:
            await self._ask_for(licence, missing)
        elif not missing and any(one.used_at < clock.now() - _TOUCHED for one in there.values()):
            async with self._database.write() as tx:
                await copies_store.touch(tx, licence.order_id, product_id, name)
        return Standing(len(recipes) - len(missing), len(recipes))

    async def _ask_for(self, licence: Licence, missing: Sequence[Recipe]) -> None:
        """Queue what nobody has asked for yet."""
        async with self._database.write() as tx:
            for one in missing:
                what = MakeCopy(licence.order_id, licence.product_id, one.file.position, one.form.name)
                await enqueue(tx, MAKE_COPY, what, unique_key=what.once)


def _is_made(recipe: Recipe, copy: Copy | None) -> bool:
    """Whether the copy is there, as it would be made today. Raises :class:`CopyFailed`."""
    if copy is None or copy.mark != recipe.mark:
        return False
    if copy.key is None:
        raise CopyFailed
    return True
