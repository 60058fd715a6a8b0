"""Services: ordered, delivered by the seller, and accepted by the buyer, or sent back with a reason.

What the seller has of it is held until then. Whatever changes a service holds its order first.
"""

from datetime import datetime, timedelta
from uuid import UUID

import msgspec

from veza.access.actor import Actor, Member
from veza.access.policy import Action, may, require
from veza.core import clock
from veza.core.db import Tx
from veza.core.errors import Detail, ValidationFailed
from veza.core.pages import Page
from veza.rooms.accounts import service as accounts
from veza.rooms.marketplace import charges_store, ledger, orders_store, shares
from veza.rooms.marketplace import deliveries_store as store
from veza.rooms.marketplace.deliveries_store import Handed, Place
from veza.rooms.marketplace.delivery_schemas import (
    DeliveryDraft,
    HandedView,
    ServiceDetail,
    ServiceList,
    ServiceView,
)
from veza.rooms.marketplace.errors import (
    NotDelivered,
    NotToDeliver,
    OrderDisputed,
    ServiceNotFound,
    TooManyRevisions,
)
from veza.rooms.marketplace.events import RevisionAsked, ServiceAccepted, ServiceDelivered
from veza.rooms.marketplace.orders_store import Item, Order
from veza.rooms.marketplace.products import stand
from veza.rooms.marketplace.products_store import MOST_COUNTED
from veza.rooms.marketplace.terms import Terms
from veza.rooms.tracks import sales
from veza.rooms.uploads import service as uploads
from veza.rooms.uploads.errors import UploadNotReady
from veza.rooms.uploads.schemas import Upload

MOST_REVISIONS = 50


async def get_visible(tx: Tx, actor: Actor, order_id: UUID, product_id: UUID) -> tuple[Order, Item]:
    """A service that was ordered, for its buyer, its seller and admins. Raises :class:`ServiceNotFound`."""
    order = await orders_store.find(tx, order_id)
    item = await _item(tx, order_id, product_id)
    if (
        order is None
        or item is None
        or not (may(actor, Action.SEE_ORDER, order) or may(actor, Action.DELIVER, item))
    ):
        raise ServiceNotFound
    return order, item


async def _item(tx: Tx, order_id: UUID, product_id: UUID) -> Item | None:
    items = await orders_store.items_of(tx, [order_id])
    there = (item for item in items if item.product_id == product_id and item.sold_at and item.delivery)
    return next(there, None)


async def _hold(tx: Tx, item: Item) -> tuple[Order, Item]:
    """The same as it is now; nobody else changes it until ``tx`` is over."""
    order = await orders_store.lock(tx, item.order_id)
    held = await _item(tx, item.order_id, item.product_id)
    if order is None or held is None:
        raise ServiceNotFound
    return order, held


async def deliver(
    tx: Tx, actor: Member, order_id: UUID, product_id: UUID, draft: DeliveryDraft, terms: Terms
) -> ServiceDetail:
    """The seller hands something over, for the first time or once more after a revision was asked for.

    Raises :class:`ServiceNotFound`, :class:`veza.core.errors.Forbidden`, :class:`NotToDeliver`,
    :class:`ValidationFailed`, and what uploads say of files that are not there or not ready.
    """
    _, seen = await get_visible(tx, actor, order_id, product_id)
    require(actor, Action.DELIVER, seen)
    if not draft.note and draft.upload_id is None:
        raise ValidationFailed(details=[Detail("note", "Hand over a note, a file, or both.", "REQUIRED")])
    await accounts.stay_signed_in(tx, actor)
    file = await _file(tx, actor, draft.upload_id)
    order, item = await _hold(tx, seen)
    if item.delivery not in {"ordered", "revision"}:
        raise NotToDeliver
    now, before = clock.now(), await store.list_handed(tx, item)
    handed = Handed(order_id, item.position, len(before) + 1, draft.note, delivered_at=now)
    if file is not None:
        key = uploads.original_key(file.id)
        await sales.keep(tx, [key])
        await sales.hold_kept(tx, key)
        handed = msgspec.structs.replace(
            handed, upload_id=file.id, key=key, filename=file.filename, mime=file.mime, size=file.size
        )
    await store.add(tx, handed)
    item = await store.set_state(tx, item, "delivered", now + terms.accepted_after)
    tx.emit(ServiceDelivered(order_id, product_id, order.buyer_id))
    return await detail(tx, item, terms)


async def _file(tx: Tx, actor: Member, upload_id: UUID | None) -> Upload | None:
    if upload_id is None:
        return None
    upload = await uploads.hold_own(tx, actor, upload_id)
    if upload.status != "completed":
        raise UploadNotReady
    return upload


async def accept(tx: Tx, actor: Member, order_id: UUID, product_id: UUID, terms: Terms) -> ServiceDetail:
    """The buyer is content, and the seller's money is released.

    Raises :class:`ServiceNotFound`, :class:`veza.core.errors.Forbidden`, :class:`NotDelivered`,
    :class:`OrderDisputed`.
    """
    seen_order, seen = await get_visible(tx, actor, order_id, product_id)
    require(actor, Action.ACCEPT, seen_order)
    order, item = await _hold(tx, seen)
    if item.delivery not in {"delivered", "revision"}:
        raise NotDelivered
    if await charges_store.is_disputed(tx, order.id):
        raise OrderDisputed
    return await detail(tx, await _accept(tx, order, item), terms)


async def _accept(tx: Tx, order: Order, item: Item) -> Item:
    await ledger.write(tx, [item], order.currency, ledger.RELEASE)
    await shares.resume(tx, order.id)
    tx.emit(ServiceAccepted(item.order_id, item.product_id, item.seller_id))
    return await store.set_state(tx, item, "accepted")


async def accept_if_due(tx: Tx, place: Place) -> None:
    """What a buyer has said nothing about in time counts as accepted, unless its payment is disputed."""
    order = await orders_store.lock(tx, place.order_id)
    disputed = await charges_store.is_disputed(tx, place.order_id)
    items = [] if disputed else await orders_store.items_of(tx, [place.order_id])
    for item in items:
        due = item.delivery == "delivered" and item.due_at is not None and item.due_at <= clock.now()
        if order is not None and item.position == place.position and due:
            await _accept(tx, order, item)


async def extend(tx: Tx, item: Item, by: timedelta) -> None:
    """A buyer, whose order is locked, could not look at what was delivered for so long."""
    if item.delivery == "delivered" and item.due_at is not None:
        await store.set_state(tx, item, "delivered", item.due_at + by)


async def send_back(
    tx: Tx, actor: Member, order_id: UUID, product_id: UUID, reason: str, terms: Terms
) -> ServiceDetail:
    """The buyer wants something changed.

    Raises :class:`ServiceNotFound`, :class:`veza.core.errors.Forbidden`, :class:`NotDelivered`,
    :class:`TooManyRevisions`.
    """
    seen_order, seen = await get_visible(tx, actor, order_id, product_id)
    require(actor, Action.ACCEPT, seen_order)
    _, item = await _hold(tx, seen)
    if item.delivery != "delivered":
        raise NotDelivered
    handed = await store.list_handed(tx, item)
    if len(handed) > MOST_REVISIONS:
        raise TooManyRevisions
    await store.give_back(tx, handed[-1], reason, clock.now())
    item = await store.set_state(tx, item, "revision")
    tx.emit(RevisionAsked(order_id, product_id, item.seller_id))
    return await detail(tx, item, terms)


async def list_sold(tx: Tx, actor: Member, state: str | None, page: Page) -> ServiceList:
    """A page of the services that the actor sold, those that wait longest first."""
    total = await store.count(tx, actor.id, state)
    found = await store.page(tx, actor.id, state, page) if page.offset < min(total, MOST_COUNTED) else []
    return ServiceList(
        data=[view(item) for item in found],
        pagination=stand(page, min(total, MOST_COUNTED), exact=total <= MOST_COUNTED),
    )


def view(item: Item) -> ServiceView:
    """A service as callers see it."""
    return ServiceView(*_fields(item))


async def detail(tx: Tx, item: Item, terms: Terms) -> ServiceDetail:
    """The same with all that was handed over, and from when its buyer may give it back."""
    handed = [_handed(one) for one in await store.list_handed(tx, item)]
    waits = item.delivery in {"ordered", "revision"}
    late_at = await store.waits_since(tx, item) + terms.delivered_within if waits else None
    return ServiceDetail(*_fields(item), handed, late_at)


def _fields(item: Item) -> tuple[UUID, UUID, str, str, datetime, datetime | None]:
    assert item.delivery is not None  # of a service that is sold
    assert item.sold_at is not None
    return item.order_id, item.product_id, item.title, item.delivery, item.sold_at, item.due_at


def _handed(one: Handed) -> HandedView:
    return HandedView(
        one.note, one.filename, one.mime, one.size, one.delivered_at, one.reason, one.returned_at
    )
