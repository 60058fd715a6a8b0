"""What Stripe says, as far as it matters here, and what that means in the words of the port."""

from collections.abc import Sequence
from typing import Any, Literal
from uuid import UUID

import msgspec

from veza.rooms.marketplace.payments import Dispute, Notice, Outcome, Refund

# Under which our orders, and what we ask for under a key, are named in what Stripe keeps of them.
ORDER, KEY = "veza_order", "veza_key"

# What is asked for at once when it happens. More may be sent: it is acknowledged, and nothing follows.
KINDS = (
    "checkout.session.completed",
    "checkout.session.async_payment_succeeded",
    "checkout.session.async_payment_failed",
    "checkout.session.expired",
    "payment_intent.succeeded",
    "payment_intent.payment_failed",
    "payment_intent.canceled",
    "charge.refunded",
    "charge.refund.updated",
    "refund.failed",
    "charge.dispute.created",
    "charge.dispute.updated",
    "charge.dispute.funds_withdrawn",
    "charge.dispute.funds_reinstated",
    "charge.dispute.closed",
    "account.updated",
    "account.application.deauthorized",
)
# A payment that was made, and is not there yet.
_UNDER_WAY = {"processing", "requires_action", "requires_capture", "requires_confirmation"}
_OPEN = {"needs_response", "under_review"}
_LOST = {"lost", "appeal_needs_response", "appeal_under_review"}
# What a refund is that sends nothing to the buyer after all.
_SENT_BACK = {"failed", "canceled"}
# The bank only asks; nothing was taken yet.
_INQUIRY = {"warning_needs_response", "warning_under_review", "warning_closed"}


class Refunded(msgspec.Struct):
    """A Refund."""

    id: str
    amount: int
    status: str | None = None
    metadata: dict[str, str] | None = None


class _Refunds(msgspec.Struct):
    data: list[Refunded] = []
    has_more: bool = False


class _Charge(msgspec.Struct):
    id: str
    disputed: bool = False
    refunds: _Refunds = msgspec.field(default_factory=_Refunds)


class Intent(msgspec.Struct):
    """A PaymentIntent, with its latest charge."""

    id: str
    status: str
    currency: str
    amount_received: int = 0
    latest_charge: _Charge | None = None
    metadata: dict[str, str] = {}


class Session(msgspec.Struct):
    """A Checkout Session, with its PaymentIntent where there is one."""

    id: str
    status: str | None
    payment_status: str
    amount_total: int | None = None
    currency: str | None = None
    payment_intent: Intent | None = None


class _Movement(msgspec.Struct):
    amount: int
    fee: int
    currency: str


class Disputed(msgspec.Struct):
    """A Dispute with what was taken for it, and given back."""

    id: str
    amount: int
    currency: str
    status: str
    balance_transactions: list[_Movement] = []


class _Object(msgspec.Struct):
    id: str = ""
    object: str = ""
    client_reference_id: str | None = None
    payment_intent: Any = None
    metadata: dict[str, Any] | None = None


class _Data(msgspec.Struct):
    object: _Object


class EventBody(msgspec.Struct):
    """An Event; ``account`` is the connected account on which it happened, where it was on one."""

    id: str
    type: str
    data: _Data
    account: str | None = None


def outcome_of(session: Session, refunds: Sequence[Refunded], disputes: Sequence[Disputed]) -> Outcome:
    """What has become of a payment.

    What has gone back is counted refund by refund, whatever a charge says of those that failed.
    """
    intent = session.payment_intent
    state: Literal["open", "under_way", "paid", "over"] = "over"
    if session.status == "open":
        state = "open"
    elif intent is not None and intent.status == "succeeded":
        state = "paid"
    elif session.status == "complete" and intent is not None and intent.status in _UNDER_WAY:
        state = "under_way"
    if intent is None:
        return Outcome(state=state)
    charge = intent.latest_charge
    return Outcome(
        state=state,
        amount=intent.amount_received,
        currency=intent.currency.upper(),
        intent=intent.id,
        charge=charge.id if charge else "",
        returned=sum(one.amount for one in refunds if one.status not in _SENT_BACK),
        refunds=[
            Refund(one.id, one.amount, (one.metadata or {}).get(KEY, ""), one.status in _SENT_BACK)
            for one in refunds
        ],
        disputes=[_dispute(one) for one in disputes if one.status not in _INQUIRY],
    )


def _dispute(said: Disputed) -> Dispute:
    state: Literal["open", "won", "lost"] = "won"
    if said.status in _OPEN:
        state = "open"
    elif said.status in _LOST:
        state = "lost"
    moved = said.balance_transactions
    fee_currency = moved[0].currency if moved else said.currency
    return Dispute(said.id, said.amount, sum(one.fee for one in moved), fee_currency.upper(), state)


def notice_of(event: EventBody) -> Notice:
    """Of an event, what it is about; nothing else of what it says is believed."""
    if event.type not in KINDS:
        return Notice(id=event.id, kind=event.type)
    about = event.data.object
    if event.type.startswith("account."):
        return Notice(id=event.id, kind=event.type, account=event.account or about.id)
    intent = about.id if about.object == "payment_intent" else about.payment_intent
    return Notice(
        id=event.id,
        kind=event.type,
        order_id=order_of(about.metadata) or as_id(about.client_reference_id),
        intent=intent if isinstance(intent, str) else None,
    )


def order_of(metadata: dict[str, Any] | None) -> UUID | None:
    """The order that is named in an object's metadata."""
    return as_id((metadata or {}).get(ORDER))


def as_id(text: Any) -> UUID | None:
    """A UUID that somebody wrote, or None where it is none."""
    try:
        return UUID(text)
    except (ValueError, TypeError, AttributeError):
        return None
