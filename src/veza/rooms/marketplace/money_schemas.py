"""What sellers have and are paid, as callers send and see it."""

from collections.abc import Sequence
from datetime import datetime
from functools import partial
from typing import Annotated, Literal
from uuid import UUID

import msgspec

from veza.core.body import checked
from veza.core.text import clean_text
from veza.rooms.marketplace.money import Currency, Price
from veza.rooms.marketplace.schemas import Standing

PayoutStatus = Literal["requested", "paid", "failed"]
MAX_NOTE = 500
Note = Annotated[str, checked(partial(clean_text, max_chars=MAX_NOTE), maxLength=MAX_NOTE)]
Format = Literal["json", "csv"]


class Balance(msgspec.Struct, frozen=True):
    """What somebody has in one currency.

    ``available`` can be paid out, ``pending`` waits until services are accepted or disputes are over, and
    ``requested`` is on its way.
    """

    currency: str
    available: float
    pending: float
    requested: float


class PayoutDraft(msgspec.Struct, frozen=True):
    """What somebody wants to be paid; all there is, where no ``amount`` is said."""

    amount: Price | None = None
    currency: Currency = "EUR"


class PayoutSettlement(msgspec.Struct, frozen=True):
    """What became of a payout; ``note`` says how it was paid, or why it was not."""

    status: Literal["paid", "failed"]
    note: Note = ""


class PayoutView(msgspec.Struct, frozen=True):
    """A payout as callers see it."""

    id: UUID
    seller_id: UUID
    amount: float
    currency: str
    status: str
    note: str
    created_at: datetime
    settled_at: datetime | None


class PayoutList(msgspec.Struct, frozen=True, kw_only=True):
    """A page of payouts, the latest first; the list itself is ``data``, as of products."""

    success: Literal[True] = True
    data: Sequence[PayoutView]
    pagination: Standing


class StatementLine(msgspec.Struct, frozen=True):
    """What changed a balance: ``net`` of it is the seller's, and ``balance`` what there was afterwards.

    A ``sale`` or the ``release`` of a service brings something, a ``refund`` or a ``payout`` takes it away
    again, and of a payout that has ``failed`` it comes back. What the payment provider pays is ``handed`` to
    them, and ``handed_back`` where that fails or a line is refunded; also ``handed`` is what they have twice.
    """

    date: datetime
    kind: str
    order_id: UUID | None
    payout_id: UUID | None
    product_id: UUID | None
    title: str
    gross: float
    fee: float
    net: float
    currency: str
    balance: float


class Statement(msgspec.Struct, frozen=True, kw_only=True):
    """A page of what changed a balance, the first first; the list itself is ``data``, as of products."""

    success: Literal[True] = True
    data: Sequence[StatementLine]
    pagination: Standing
