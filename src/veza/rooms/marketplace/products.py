"""Selling: making products, changing them, putting them on sale and taking them off again.

What a product is of, is chosen when it is made. An exclusive licence excludes every other product with the
same track or upload; of each other kind of licence there is one product that is the track by itself.
"""

from collections.abc import Iterable, Sequence
from typing import Any
from uuid import UUID

import msgspec

from veza.access.actor import Actor, Member
from veza.access.policy import Action, may, require
from veza.core import clock
from veza.core.db import Tx
from veza.core.errors import Detail, Forbidden, ValidationFailed
from veza.core.ids import new_id
from veza.core.jobs import enqueue
from veza.core.pages import Page
from veza.rooms.accounts import service as accounts
from veza.rooms.marketplace import licences_store, products_store, words_store
from veza.rooms.marketplace import products_store as store
from veza.rooms.marketplace.errors import (
    AlreadyForSale,
    IllegalStatus,
    ProductNotAvailable,
    ProductNotFound,
    TakenDown,
)
from veza.rooms.marketplace.events import ProductCreated, ProductUpdated
from veza.rooms.marketplace.kinds import MARK_TRACKS, MarkTracks
from veza.rooms.marketplace.money import shown
from veza.rooms.marketplace.products_store import Product, ProductFile, ProductFilter
from veza.rooms.marketplace.schemas import (
    Content,
    ProductChanges,
    ProductDetail,
    ProductDraft,
    ProductList,
    ProductView,
    Standing,
)
from veza.rooms.tracks import sales
from veza.rooms.tracks import service as tracks
from veza.rooms.tracks.errors import EmailNotVerified, TrackNotReady
from veza.rooms.uploads import service as uploads
from veza.rooms.uploads.errors import UploadNotReady

# From where a product may go where.
_MOVES = {("draft", "active"), ("active", "archived"), ("archived", "active")}


async def create(tx: Tx, actor: Member, draft: ProductDraft, *, verified_only: bool) -> Product:
    """Somebody offers a thing of their own, at once or as a draft.

    Raises :class:`Forbidden`, :class:`EmailNotVerified`, what tracks and uploads say of things that are
    not there, not theirs or not ready, :class:`AlreadyForSale`, :class:`TakenDown`, and
    :class:`ValidationFailed`.
    """
    require(actor, Action.SELL)
    if verified_only and not actor.email_verified:
        raise EmailNotVerified
    _check_contents(draft)
    await accounts.stay_signed_in(tx, actor)
    now = clock.now()
    product = Product(
        id=new_id(),
        seller_id=actor.id,
        title=draft.title,
        description=draft.description,
        price=int(draft.price),
        currency=draft.currency,
        product_type=draft.product_type,
        license_type=draft.license_type,
        status=draft.status,
        track_id=draft.track_id,
        created_at=now,
        updated_at=now,
    )
    files = await _collect(tx, actor, product, draft)
    held = [file.track_id for file in files if file.track_id is not None]
    await _check_rivals(tx, product, files)
    await store.add(tx, product, files)
    await words_store.put(tx, product.id, product.title)
    await mark(tx, held)
    tx.emit(ProductCreated(product.id, actor.id))
    return product


def _check_contents(draft: ProductDraft) -> None:
    """Raise :class:`ValidationFailed` unless what comes with a product fits its type."""
    given = {
        name
        for name in ("track_id", "track_ids", "upload_ids")
        if getattr(draft, name) is not None and getattr(draft, name) != []
    }
    allowed = {"track": {"track_id"}, "pack": {"track_ids", "upload_ids"}, "service": set[str]()}
    kind = draft.product_type
    details = [Detail(name, f"A {kind} has none.", "INVALID") for name in sorted(given - allowed[kind])]
    if kind == "track" and draft.track_id is None:
        details.append(Detail("track_id", "This field is required.", "REQUIRED"))
    if kind == "pack" and not given & allowed[kind]:
        details.append(Detail("track_ids", "A pack has at least one track or upload.", "REQUIRED"))
    for name in ("track_ids", "upload_ids"):
        ids = getattr(draft, name)
        if len(set(ids)) < len(ids):
            details.append(Detail(name, "Each can be in a pack once.", "INVALID"))
    if details:
        raise ValidationFailed(details=details)


async def _collect(tx: Tx, actor: Member, product: Product, draft: ProductDraft) -> list[ProductFile]:
    """The files of a product, all the actor's own; they are held until ``tx`` is over, tracks first."""
    wanted = draft.track_ids if draft.track_id is None else [draft.track_id]
    found = {}
    for track_id in sorted(wanted):
        track = await tracks.hold(tx, actor, track_id)
        if track.user_id != actor.id:  # a moderator may change it, and not sell it
            raise Forbidden
        if track.withheld is not None:
            raise TrackNotReady("A moderator withholds this track, so it cannot be sold.")
        if not track.saleable:
            raise TrackNotReady
        found[track_id] = track
    files = []
    for position, track_id in enumerate(wanted):
        original = sales.original_of(found[track_id])
        files.append(
            ProductFile(
                product.id, position, track_id, None,
                original.key, original.filename, original.mime, original.size,
            )
        )  # fmt: skip
    await uploads.hold(tx, draft.upload_ids)
    for position, upload_id in enumerate(draft.upload_ids, len(files)):
        upload = await uploads.get_own(tx, actor, upload_id)
        if upload.status != "completed":
            raise UploadNotReady
        key = uploads.original_key(upload.id)
        files.append(
            ProductFile(product.id, position, None, upload.id, key, upload.filename, upload.mime, upload.size)
        )
    return files


async def _check_rivals(tx: Tx, product: Product, files: Sequence[ProductFile]) -> None:
    """Raise :class:`AlreadyForSale`, or :class:`TakenDown` for what was in another product that was.

    What the files are of is held, so nobody offers it meanwhile.
    """
    for rival in await store.list_rivals(tx, files, product.id):
        if rival.taken_down_at is not None:
            raise TakenDown
        same = rival.product_type == product.product_type == "track"
        if (
            product.exclusive
            or rival.license_type == "exclusive"
            or (same and rival.license_type == product.license_type)
        ):
            raise AlreadyForSale


async def mark(tx: Tx, track_ids: Iterable[UUID]) -> None:
    """Have these tracks, which are held, be for sale just if a product has them."""
    ids = sorted(track_ids)
    on_sale = await store.offered(tx, ids)
    for track_id in ids:
        await sales.mark(tx, track_id, for_sale=track_id in on_sale)


async def get_visible(tx: Tx, actor: Actor, product_id: UUID) -> Product:
    """The product, if ``actor`` may see it: on sale, theirs or bought. Raises :class:`ProductNotFound`.

    What somebody has bought they see, whoever has blocked whom since.
    """
    product = await store.find(tx, product_id)
    if product is None or not (
        (product.status == "active" and product.seller_id not in actor.hidden)
        or may(actor, Action.EDIT_PRODUCT, product)
        or await licences_store.owns(tx, actor, product_id)
    ):
        raise ProductNotFound
    return product


async def hold(tx: Tx, actor: Member, product_id: UUID) -> Product:
    """A product that ``actor`` may change, held with all it is of. Raises ProductNotFound, Forbidden."""
    product = await get_visible(tx, actor, product_id)
    require(actor, Action.EDIT_PRODUCT, product)
    await accounts.stay_signed_in(tx, actor)
    files = await store.files_of(tx, [product_id])
    await sales.hold(tx, [file.track_id for file in files if file.track_id])
    await uploads.hold(tx, [file.upload_id for file in files if file.upload_id])
    held = await store.lock(tx, product_id)
    if held is None or held.seller_id != actor.id:
        raise ProductNotFound
    return held


async def update(tx: Tx, product: Product, changes: ProductChanges) -> Product:
    """Change a product that :func:`hold` gave.

    Raises :class:`IllegalStatus`, :class:`TakenDown`, :class:`AlreadyForSale`, :class:`ProductNotAvailable`.
    """
    given = {
        name: value for name, value in msgspec.structs.asdict(changes).items() if value is not msgspec.UNSET
    }
    if not given:
        return product
    if given.get("status", product.status) != product.status:
        await _check_move(tx, product, given["status"])
    changed = await store.change(tx, product, **given)
    if "title" in given:
        await words_store.put(tx, product.id, changed.title)
    if "status" in given:
        await mark(tx, [file.track_id for file in await store.files_of(tx, [product.id]) if file.track_id])
    if product.seller_id is not None:
        tx.emit(ProductUpdated(product.id, product.seller_id))
    return changed


async def _check_move(tx: Tx, product: Product, status: str) -> None:
    if (product.status, status) not in _MOVES:
        raise IllegalStatus
    if status != "active":
        return
    if product.taken_down_at is not None:
        raise TakenDown
    files = await store.files_of(tx, [product.id])
    track_ids = [file.track_id for file in files if file.track_id]
    there = await sales.hold(tx, track_ids)
    if len(there) < len(track_ids):
        raise ProductNotAvailable("A track of this product is gone, so it cannot be on sale again.")
    if not all(track.saleable for track in there.values()):
        raise ProductNotAvailable(
            "A track of this product is withheld or not ready, so it cannot be on sale."
        )
    for file in files:
        if file.upload_id and not await uploads.exists(tx, file.upload_id):
            raise ProductNotAvailable("A file of this product is gone, so it cannot be on sale again.")
    await _check_rivals(tx, product, files)


async def list_products(tx: Tx, actor: Actor, page: Page, wanted: ProductFilter, q: str = "") -> ProductList:
    """A page of what is on sale, but for what hidden users sell; of what is not, everybody gets their own."""
    own = (wanted.status or "active") != "active" or (
        wanted.seller_id is not None and wanted.seller_id == actor.id
    )
    if wanted.seller_id in actor.hidden or (
        own and (actor.id is None or wanted.seller_id not in (None, actor.id))
    ):
        return _listed([], page, 0, exact=True)
    wanted = msgspec.structs.replace(
        wanted,
        own=own,
        seller_id=actor.id if own else wanted.seller_id,
        status=wanted.status if own else None,
        hidden=frozenset() if own or wanted.seller_id else actor.hidden,
    )
    words = words_store.words_of(q)
    if q.strip() and not words:  # signs alone, of which no title has any
        return _listed([], page, 0, exact=True)
    if words:
        ids, exact = await words_store.find(tx, wanted, words)
        part = ids[page.offset : page.offset + page.limit]
        found = await store.list_some(tx, part)
        return _listed([found[one] for one in part if one in found], page, len(ids), exact=exact)
    total = await store.count(tx, wanted)
    most = products_store.MOST_COUNTED
    rows = await store.page(tx, wanted, page, total) if page.offset < min(total, most) else []
    return _listed(rows, page, min(total, most), exact=total <= most)


def _listed(rows: Sequence[Product], page: Page, total: int, *, exact: bool) -> ProductList:
    return ProductList(data=[view(row) for row in rows], pagination=stand(page, total, exact=exact))


def stand(page: Page, total: int, *, exact: bool = True) -> Standing:
    """A page's place in a list of so many things."""
    place = page.of(total)
    return Standing(place.page, place.limit, place.total, place.total_pages, exact)


def view(product: Product) -> ProductView:
    """A product as callers see it."""
    return ProductView(**_fields(product))


async def detail(tx: Tx, product: Product) -> ProductDetail:
    """A product with all that belongs to it."""
    files = await store.files_of(tx, [product.id])
    contents = [Content(file.track_id, file.filename, file.mime, file.size) for file in files]
    return ProductDetail(**_fields(product), contents=contents)


def _fields(product: Product) -> dict[str, Any]:
    status = "archived" if product.status == products_store.CLOSED else product.status
    return msgspec.structs.asdict(product) | {"price": shown(product.price), "status": status}


async def withdraw_track(tx: Tx, track_id: UUID) -> None:
    """A track is gone: what it was in is on sale no longer."""
    await _withdraw(tx, await store.list_with_track(tx, track_id))


async def withdraw_upload(tx: Tx, upload_id: UUID) -> None:
    """An upload is gone: what it was in is on sale no longer."""
    await _withdraw(tx, await store.list_with_upload(tx, upload_id))


async def _withdraw(tx: Tx, product_ids: Sequence[UUID]) -> None:
    if product_ids:
        for product in (await store.hold(tx, product_ids)).values():
            if product.status in {"draft", products_store.ACTIVE, products_store.CLOSED}:
                await withdraw(tx, product)


async def take_down(tx: Tx, product_id: UUID) -> None:
    """Somebody who moderates takes a product off sale, for good; its buyers keep it."""
    await _withdraw(tx, [product_id])
    product = await store.lock(tx, product_id)
    if product is not None and product.taken_down_at is None:
        await store.change(tx, product, taken_down_at=clock.now())


async def let_back(tx: Tx, product_id: UUID) -> None:
    """Take that back: its seller may put it on sale again. Raises :class:`ProductNotFound`."""
    product = await store.lock(tx, product_id)
    if product is None:
        raise ProductNotFound
    if product.taken_down_at is not None:
        await store.change(tx, product, taken_down_at=None)
        if product.seller_id is not None:
            tx.emit(ProductUpdated(product.id, product.seller_id))


async def withdraw(tx: Tx, product: Product) -> None:
    """Take a product, which is locked, off sale; what that means for its tracks follows."""
    await store.change(tx, product, status="archived")
    if product.seller_id is not None:
        tx.emit(ProductUpdated(product.id, product.seller_id))
    # Later, for tracks are held before products.
    track_ids = [file.track_id for file in await store.files_of(tx, [product.id]) if file.track_id]
    if track_ids:
        await enqueue(tx, MARK_TRACKS, MarkTracks(track_ids))
