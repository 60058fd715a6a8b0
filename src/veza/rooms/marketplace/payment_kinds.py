"""The kinds of jobs that deal with payment providers, who may be away for hours."""

from datetime import timedelta
from uuid import UUID

import msgspec

from veza.core.jobs import JobKind, NoPayload


class AskPayment(msgspec.Struct, frozen=True):
    """An order of which it is to be asked what has become of its payment."""

    order_id: UUID


class AskIntent(msgspec.Struct, frozen=True):
    """A payment of which it is to be asked whether it is for an order of ours."""

    provider: str
    intent: str


class AskAccount(msgspec.Struct, frozen=True):
    """A seller's account of which it is to be asked whether it is ready."""

    account: str


class PaySellers(msgspec.Struct, frozen=True):
    """An order whose sellers are to be handed their shares."""

    order_id: UUID


class LookAgain(msgspec.Struct, frozen=True):
    """An attempt at a share of which it is to be asked how often it was made; mostly, it came to nothing.

    ``account`` and ``amount``, in minor units, are what it was asked with, where that is said. ``looks`` is
    how often it was asked before.
    """

    order_id: UUID
    share_id: UUID
    attempt: int
    account: str = ""
    amount: int = 0
    looks: int = 0


class TakeBack(msgspec.Struct, frozen=True):
    """So much, in minor units, of a share is to be taken back; the same ``key`` is once.

    ``refusals`` is how often that was refused. If it is once more when it is asked the ``last`` time, the
    seller owes it.
    """

    provider: str
    order_id: UUID
    share_id: UUID
    amount: int
    key: str
    refusals: int = 0
    last: bool = False


class TakeBackTwice(msgspec.Struct, frozen=True):
    """What a provider made of an attempt at a share, beside the share, in minor units; else as above."""

    provider: str
    order_id: UUID
    share_id: UUID
    seller_id: UUID
    attempt: int
    account: str
    amount: int
    reference: str
    refusals: int = 0
    last: bool = False

    @property
    def key(self) -> str:
        """What tells this from others: the same attempt may have been made more than once."""
        return f"{self.share_id}:{self.attempt}:twice:{self.reference}"


# A notice mostly comes within seconds. And whoever asks Stripe for something mostly asks for the last time
# some two minutes later: thrice, with a second between, and each time with ten at most for a turn, for a
# connection, for the question, and for each piece of the answer.
PATIENCE = timedelta(minutes=10)
# Nothing holds a machine to that which stands still: so it is looked for once more so much later, so often.
LOOK_LATER = timedelta(days=1)
MOST_LOOKS = 3

ASK_PAYMENT = JobKind("marketplace.ask_payment", AskPayment, attempts=50)
ASK_INTENT = JobKind("marketplace.ask_intent", AskIntent, attempts=50)
ASK_ACCOUNT = JobKind("marketplace.ask_account", AskAccount, attempts=50)
PAY_SELLERS = JobKind("marketplace.pay_sellers", PaySellers, attempts=50)
LOOK_AGAIN = JobKind("marketplace.look_again", LookAgain, attempts=50)
TAKE_BACK = JobKind("marketplace.take_back", TakeBack, attempts=50)
TAKE_BACK_TWICE = JobKind("marketplace.take_back_twice", TakeBackTwice, attempts=50)
ASK_MISSED = JobKind("marketplace.ask_missed", NoPayload, every=timedelta(minutes=15))
