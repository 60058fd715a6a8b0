"""How an order is paid: one port, and behind it whoever moves the money.

An order is priced first, and its payment begun; only then is it placed, so nothing slow happens within the
transaction. A payment that was begun and whose order was never placed is never paid.
"""

from collections.abc import Callable, Mapping
from typing import Protocol
from uuid import UUID

import msgspec


class Payment(msgspec.Struct, frozen=True):
    """What is to be paid: ``amount`` in minor units, for the order of this id."""

    order_id: UUID
    buyer_id: UUID
    amount: int
    currency: str


class Begun(msgspec.Struct, frozen=True):
    """A payment that has begun: ``paid`` if it is over already, else the buyer pays at ``url``.

    ``reference`` is what the provider calls it.
    """

    paid: bool
    reference: str
    url: str | None = None


class PaymentProvider(Protocol):
    """Whoever moves the money."""

    @property
    def name(self) -> str:
        """What the settings call it."""

    @property
    def moves_money(self) -> bool:
        """Whether anybody pays anything."""

    async def begin(self, payment: Payment) -> Begun:
        """Begin a payment; the same order's twice is one payment."""

    async def refund(self, reference: str, amount: int, currency: str, key: str) -> None:
        """Give so much of a payment back; the same ``key`` twice is one refund."""


class Instant:
    """Completes every order at once and moves no money: for what is free, and for trying things out."""

    name = "instant"
    moves_money = False

    async def begin(self, payment: Payment) -> Begun:
        """It is paid."""
        return Begun(paid=True, reference=str(payment.order_id))

    async def refund(self, reference: str, amount: int, currency: str, key: str) -> None:
        """There is nothing to give back."""


PROVIDERS: Mapping[str, Callable[[], PaymentProvider]] = {"instant": Instant}


def open_provider(name: str) -> PaymentProvider:
    """The provider of this name, which is one of those that there are."""
    return PROVIDERS[name]()
