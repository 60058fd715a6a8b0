"""The ledger: every amount twice, so that it always sums to zero.

Of each line that is paid for, what the buyer paid stands against what the seller and the platform have of
it. A refund is the same with the signs turned. Rows are written in the transaction of what they tell of.

Accounts: what buyers paid (``payments``) is what sellers (``seller``) and the platform (``fees``) have, and
what was handed to sellers since (``handed``). Of a service the seller has it only once it is accepted
(``held``); what they asked to be paid by hand is on its way (``payouts``), and then gone from what was paid.
Money that went back and no line was refunded for is the platform's loss (``concessions``, ``disputes``), and
so is what a provider takes for a dispute (``provider``). What should have gone back, and could not be sent,
is ``owed``.
"""

from collections.abc import Iterable, Sequence
from uuid import UUID

import msgspec

from veza.core import clock
from veza.core.db import Tx
from veza.core.ids import new_id
from veza.rooms.marketplace import ledger_store as store
from veza.rooms.marketplace import proof_store
from veza.rooms.marketplace.ledger_store import Entry
from veza.rooms.marketplace.orders_store import Item
from veza.rooms.marketplace.payouts_store import Payout

PAYMENTS, SELLER, FEES = "payments", "seller", "fees"
# A seller's, too: what is theirs once a service is accepted, and what is on its way to them.
HELD, PAYOUTS = "held", "payouts"
HANDED, CONCESSIONS, DISPUTES, PROVIDER = "handed", "concessions", "disputes", "provider"
OWED = "owed"
SALE, REFUND, RELEASE = "sale", "refund", "release"
PAYOUT, PAID, FAILED = "payout", "paid", "failed"
# What is not of a line stands behind all of them: an order has a hundred at most.
_BEHIND = 1_000


class Proof(msgspec.Struct, frozen=True):
    """What is wrong with the ledger; nothing, unless somebody has changed rows behind our back."""

    unbalanced: Sequence[UUID]
    not_as_ordered: Sequence[UUID]
    without_licence: Sequence[UUID]
    not_as_held: Sequence[UUID]
    not_as_paid_out: Sequence[UUID]
    not_as_handed: Sequence[UUID]

    @property
    def holds(self) -> bool:
        """Whether all is right."""
        return not any(getattr(self, name) for name in self.__struct_fields__)


class Standing(msgspec.Struct, frozen=True):
    """What a seller has in one currency, in minor units.

    ``available`` can be paid out, ``pending`` waits until services are accepted, ``requested`` is being paid.
    """

    currency: str
    available: int = 0
    pending: int = 0
    requested: int = 0


def sides(item: Item, kind: str) -> list[tuple[str, UUID | None, int]]:
    """What a line, sold or refunded, is in each account, in minor units; it sums to zero.

    What a seller has of a service is held until it is accepted; its release goes from there to the seller.
    """
    net = item.price - item.fee
    amounts: list[tuple[str, UUID | None, int]]
    if kind == RELEASE:
        amounts = [(HELD, item.seller_id, -net), (SELLER, item.seller_id, net)]
    else:
        sign = 1 if kind == SALE else -1
        amounts = [
            (PAYMENTS, None, sign * -item.price),
            (HELD if item.held else SELLER, item.seller_id, sign * net),
            (FEES, None, sign * item.fee),
        ]
    return [side for side in amounts if side[2]]


async def write(tx: Tx, items: Iterable[Item], currency: str, kind: str) -> None:
    """Write down that these lines were sold, refunded or released."""
    now = clock.now()
    rows = [
        Entry(new_id(), item.order_id, item.position, kind, account, owner, amount, currency, now)
        for item in items
        for account, owner, amount in sides(item, kind)
    ]
    await store.add(tx, rows)


async def book(
    tx: Tx,
    order_id: UUID,
    kind: str,
    move: tuple[str, str, int, str],
    owner: UUID | None = None,
    once: UUID | None = None,
) -> None:
    """Write down that of an order, which is locked, an amount moved: from, to, how much, in what currency.

    ``owner`` is the seller whose account one of the two is. A negative amount moves the other way. ``once``
    is the id of what is written first, for :func:`has` to find.
    """
    giver, taker, amount, currency = move
    if not amount:
        return
    now, position = clock.now(), await store.next_position(tx, order_id, _BEHIND)
    moved = ((giver, -amount), (taker, amount))
    rows = [
        Entry(entry_id, order_id, position, kind, account, owner if account == SELLER else None, change,
              currency, now)
        for entry_id, (account, change) in zip((once or new_id(), new_id()), moved, strict=True)
    ]  # fmt: skip
    await store.add(tx, rows)


async def has(tx: Tx, entry_id: UUID) -> bool:
    """Whether this is written down."""
    return await store.has(tx, entry_id)


async def move(tx: Tx, payout: Payout, kind: str) -> None:
    """Write down that a payout was asked for, paid, or has failed."""
    seller, amount = payout.seller_id, payout.amount
    moves: dict[str, list[tuple[str, UUID | None, int]]] = {
        PAYOUT: [(SELLER, seller, -amount), (PAYOUTS, seller, amount)],
        PAID: [(PAYOUTS, seller, -amount), (PAYMENTS, None, amount)],
        FAILED: [(PAYOUTS, seller, -amount), (SELLER, seller, amount)],
    }
    now = clock.now()
    rows = [
        Entry(new_id(), payout.id, 0, kind, account, owner, moved, payout.currency, now)
        for account, owner, moved in moves[kind]
    ]
    await store.add(tx, rows)


async def standings(tx: Tx, seller_id: UUID) -> dict[str, Standing]:
    """By currency what a seller has."""
    found: dict[str, dict[str, int]] = {}
    for row in await store.balances(tx, seller_id):
        found.setdefault(row.currency, {})[row.account] = row.amount
    return {
        currency: Standing(currency, sums.get(SELLER, 0), sums.get(HELD, 0), sums.get(PAYOUTS, 0))
        for currency, sums in found.items()
    }


async def balance(tx: Tx, seller_id: UUID) -> dict[str, int]:
    """By currency what a seller has earned and was not handed yet, nor asked for, in minor units."""
    return {name: standing.available for name, standing in (await standings(tx, seller_id)).items()}


async def prove(tx: Tx) -> Proof:
    """Look at the whole ledger.

    Each order sums to zero, as it was ordered, its licences are there, and what is held is of services that
    are not accepted; each payout stands where its status says, and what was handed over is what shares say.
    """
    return Proof(
        unbalanced=await proof_store.unbalanced(tx),
        not_as_ordered=await proof_store.not_as_ordered(tx),
        without_licence=await proof_store.without_licence(tx),
        not_as_held=await proof_store.not_as_held(tx),
        not_as_paid_out=await proof_store.not_as_paid_out(tx),
        not_as_handed=await proof_store.not_as_handed(tx),
    )
