"""How an order is paid: one port, and behind it whoever moves the money.

An order is priced first, and its payment begun; only then is it placed, so nothing slow happens within the
transaction. A payment that was begun and whose order was never placed is never paid.

A provider that moves money has more to say than a call answers: it sends notices of what has happened. A
notice only says that it is time to ask; what has become of a payment is what the provider answers then.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated, Literal, Protocol, runtime_checkable
from uuid import UUID

import msgspec
from litestar.params import Dependency


class Line(msgspec.Struct, frozen=True):
    """One thing among what is to be paid; ``amount`` in minor units."""

    title: str
    amount: int


class Payment(msgspec.Struct, frozen=True):
    """What is to be paid: ``amount`` in minor units, the sum of its lines, for the order of this id."""

    order_id: UUID
    buyer_id: UUID
    amount: int
    currency: str
    lines: Sequence[Line] = ()


class Begun(msgspec.Struct, frozen=True):
    """A payment that has begun: ``paid`` if it is over already, else the buyer pays at ``url``.

    ``reference`` is what the provider calls it.
    """

    paid: bool
    reference: str
    url: str | None = None


class Dispute(msgspec.Struct, frozen=True):
    """A buyer's bank wants money back; amounts in minor units, ``fee`` what the provider takes for it."""

    id: str
    amount: int
    fee: int
    fee_currency: str
    state: Literal["open", "won", "lost"]


class Refund(msgspec.Struct, frozen=True):
    """Money that was sent back to a buyer, in minor units, and whether the bank returned it.

    ``key`` is under which we asked for it; none where somebody used the provider's own dashboard.
    """

    id: str
    amount: int
    key: str = ""
    failed: bool = False


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What has become of a payment, as its provider says now; amounts in minor units.

    ``open``: it can still be paid; ``under_way``: it was, and the bank takes its time; ``over``: it never
    will be. ``returned`` is all that has gone back to the buyer and stayed there, whoever had it sent.
    """

    state: Literal["open", "under_way", "paid", "over"]
    amount: int = 0
    currency: str = ""
    intent: str = ""
    charge: str = ""
    returned: int = 0
    refunds: Sequence[Refund] = ()
    disputes: Sequence[Dispute] = ()


class Notice(msgspec.Struct, frozen=True, kw_only=True):
    """Something happened at a provider's, to one of these as far as it says; the same ``id`` is the same."""

    id: str
    kind: str
    order_id: UUID | None = None
    intent: str | None = None
    account: str | None = None


class Handover(msgspec.Struct, frozen=True):
    """So much, in minor units, of a charge is a seller's; the same ``key`` is one handover.

    ``again``: it may have been made already, and only the answer been lost.
    """

    account: str
    amount: int
    currency: str
    charge: str
    order_id: UUID
    key: str
    again: bool = False


class Made(msgspec.Struct, frozen=True):
    """What a provider has made of a handover: its name for it, and so much, in minor units, to whom."""

    reference: str
    account: str
    amount: int


class ProviderRefused(Exception):
    """A provider says no, and would again; ``code`` is its word for why, ``about`` the parameter.

    ``kept``: to the same question under the same key it says so for a day, whatever it would say to another.
    """

    def __init__(self, message: str, code: str = "", about: str = "", *, kept: bool = False) -> None:
        super().__init__(message)
        self.code = code
        self.about = about
        self.kept = kept


class RefundWaits(Exception):
    """Nothing can be given back as long as the buyer's bank disputes the payment."""


class PaymentProvider(Protocol):
    """Whoever sees to payments."""

    @property
    def name(self) -> str:
        """What the settings call it."""

    @property
    def moves_money(self) -> bool:
        """Whether anybody pays anything."""

    async def begin(self, payment: Payment) -> Begun:
        """Begin a payment; the same order's twice is one payment."""

    async def refund(self, reference: str, amount: int, currency: str, key: str, refusals: int = 0) -> None:
        """Give so much of a payment back, or what is left of it; the same ``key`` twice is one refund.

        So often that was refused before: it is asked for anew then. Raises :class:`RefundWaits`.
        """


@runtime_checkable
class MoneyProvider(PaymentProvider, Protocol):
    """Whoever really moves money, to sellers too.

    Everything raises :class:`ProviderRefused`, and ``PaymentUnavailable`` where trying again may help.
    """

    async def look(self, reference: str) -> Outcome:
        """What has become of a payment."""

    async def withdraw(self, reference: str) -> None:
        """Let nobody pay any more, where nobody has."""

    async def find_order(self, intent: str) -> UUID | None:
        """The order that a payment was for, by another of its names; None where it is none of ours."""

    async def find_handovers(self, what: Handover) -> Sequence[Made]:
        """A handover as often as the provider has ever made it, the first at the start."""

    async def hand_over(self, what: Handover) -> str:
        """Hand a seller their share; what the provider calls that."""

    async def take_back(self, reference: str, amount: int, key: str, refusals: int = 0) -> None:
        """Take so much of a share back, or what is left of it; the same ``key`` twice is once.

        So often that was refused before: it is asked for anew then.
        """

    async def open_account(self, user_id: UUID, country: str | None) -> str:
        """Open an account for a seller to be paid on, or find the one there is; what it is called."""

    async def onboarding(self, account: str) -> tuple[str, datetime]:
        """An address where a seller says who they are and where their money goes, and until when it works."""

    async def is_ready(self, account: str) -> bool:
        """Whether shares can be handed over to an account now."""

    def read(self, body: bytes, signature: str) -> Notice:
        """A notice that somebody brought. Raises ``SignatureRefused`` unless it was signed, and lately."""

    async def missed(self, since: datetime) -> Sequence[Notice]:
        """What has happened since then of which no notice has come."""

    async def close(self) -> None:
        """Let go of connections."""


class Instant:
    """Completes every order at once and moves no money: for what is free, and for trying things out."""

    name = "instant"
    moves_money = False

    async def begin(self, payment: Payment) -> Begun:
        """It is paid."""
        return Begun(paid=True, reference=str(payment.order_id))

    async def refund(self, reference: str, amount: int, currency: str, key: str, refusals: int = 0) -> None:
        """There is nothing to give back."""


class StripeConfig(msgspec.Struct, frozen=True):
    """What is to be known to work with Stripe; ``api_url`` is Stripe's own where it is empty.

    ``return_url`` is where people come back to from Stripe's pages.
    """

    secret_key: str
    webhook_secrets: tuple[str, ...]
    return_url: str
    api_url: str = ""


NAMES = ("instant", "stripe")


class Providers:
    """Every provider that is set up. What was paid by one that is not chosen any more is still its matter."""

    def __init__(self, current: str, known: Mapping[str, PaymentProvider]) -> None:
        self._known = known
        self.current = known[current]

    def get(self, name: str) -> PaymentProvider:
        """The provider of this name. Raises LookupError where it is not set up."""
        return self._known[name]

    def find_money(self, name: str) -> MoneyProvider | None:
        """The same, if it is set up and moves money."""
        found = self._known.get(name)
        return found if isinstance(found, MoneyProvider) else None

    async def close(self) -> None:
        """Let go of connections."""
        for provider in self.list_money():
            await provider.close()

    def list_money(self) -> Sequence[MoneyProvider]:
        """All those that move money."""
        return [one for one in self._known.values() if isinstance(one, MoneyProvider)]


TheProviders = Annotated[Providers, Dependency(skip_validation=True)]


def open_providers(current: str, stripe: StripeConfig | None = None) -> Providers:
    """The providers, of whom ``current`` is the one that new orders go to."""
    known: dict[str, PaymentProvider] = {"instant": Instant()}
    if stripe is not None:
        from veza.rooms.marketplace.stripe_provider import Stripe  # noqa: PLC0415 - its library takes 34 MB

        known["stripe"] = Stripe(stripe)
    return Providers(current, known)
