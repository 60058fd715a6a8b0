"""What happens in the marketplace; ``user_id`` is whom it concerns first."""

from collections.abc import Sequence
from typing import ClassVar
from uuid import UUID

from veza.core.events import Event


class ProductCreated(Event, frozen=True):
    """A seller (``user_id``) made a product; it may be a draft."""

    kind: ClassVar[str] = "product.created"
    product_id: UUID
    user_id: UUID


class ProductUpdated(Event, frozen=True):
    """A seller (``user_id``) changed a product, or took it off sale."""

    kind: ClassVar[str] = "product.updated"
    product_id: UUID
    user_id: UUID


class ProductDownloaded(Event, frozen=True):
    """A buyer (``user_id``) fetched what they bought, from its beginning; once in ten minutes."""

    kind: ClassVar[str] = "product.downloaded"

    product_id: UUID
    user_id: UUID


class OrderPlaced(Event, frozen=True):
    """A buyer (``user_id``) has ordered something, and is yet to pay for it."""

    kind: ClassVar[str] = "order.placed"

    order_id: UUID
    user_id: UUID


class OrderCancelled(Event, frozen=True):
    """An order of a buyer (``user_id``) was given up before it was complete.

    What they had paid for it, in minor units, goes back to them.
    """

    kind: ClassVar[str] = "order.cancelled"

    order_id: UUID
    user_id: UUID
    amount: int = 0
    currency: str = ""


class OrderCompleted(Event, frozen=True):
    """A buyer (``user_id``) owns what they ordered from these sellers."""

    kind: ClassVar[str] = "order.completed"
    order_id: UUID
    user_id: UUID
    seller_ids: Sequence[UUID]


class ServiceOrdered(Event, frozen=True):
    """A seller (``user_id``) is to deliver a service."""

    kind: ClassVar[str] = "service.ordered"
    order_id: UUID
    product_id: UUID
    user_id: UUID


class ServiceDelivered(Event, frozen=True):
    """A buyer (``user_id``) was handed what they ordered, for the first time or once more."""

    kind: ClassVar[str] = "service.delivered"
    order_id: UUID
    product_id: UUID
    user_id: UUID


class RevisionAsked(Event, frozen=True):
    """A seller (``user_id``) is to change what they delivered."""

    kind: ClassVar[str] = "service.revision_asked"
    order_id: UUID
    product_id: UUID
    user_id: UUID


class ServiceAccepted(Event, frozen=True):
    """What a seller (``user_id``) delivered was accepted, or counts as that; the money is theirs."""

    kind: ClassVar[str] = "service.accepted"
    order_id: UUID
    product_id: UUID
    user_id: UUID


class PayoutRequested(Event, frozen=True):
    """A seller (``user_id``) asked to be paid so much, in minor units."""

    kind: ClassVar[str] = "payout.requested"
    payout_id: UUID
    user_id: UUID
    amount: int
    currency: str


class PayoutSettled(Event, frozen=True):
    """A seller (``user_id``) was paid, or that has failed: ``status`` says which."""

    kind: ClassVar[str] = "payout.settled"
    payout_id: UUID
    user_id: UUID
    status: str


class OrderRefunded(Event, frozen=True):
    """So much of an order, in minor units, was given back to its buyer (``user_id``), licences with it."""

    kind: ClassVar[str] = "order.refunded"
    order_id: UUID
    user_id: UUID
    seller_ids: Sequence[UUID]
    product_ids: Sequence[UUID]
    amount: int
    currency: str


class RefundFailed(Event, frozen=True):
    """So much that was sent back to a buyer (``user_id``) was returned by their bank, and is owed to them."""

    kind: ClassVar[str] = "order.refund_failed"
    order_id: UUID
    user_id: UUID
    amount: int
    currency: str


class PayoutAccountOpened(Event, frozen=True):
    """A seller (``user_id``) has an account at a payment provider, to be paid on."""

    kind: ClassVar[str] = "user.payout_account_opened"
    user_id: UUID
    provider: str


class OrderDisputed(Event, frozen=True):
    """A buyer's (``user_id``) bank disputes the payment of an order: what was bought is frozen."""

    kind: ClassVar[str] = "order.disputed"
    order_id: UUID
    user_id: UUID
    seller_ids: Sequence[UUID]


class DisputeClosed(Event, frozen=True):
    """No payment of an order is disputed any more: what its buyer (``user_id``) kept is no longer frozen."""

    kind: ClassVar[str] = "order.dispute_closed"
    order_id: UUID
    user_id: UUID
    seller_ids: Sequence[UUID]
