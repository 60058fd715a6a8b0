"""The ledger: every amount twice, so that it always sums to zero.

Of each line that is paid for, what the buyer paid stands against what the seller and the platform have of
it. A refund is the same with the signs turned. Rows are written in the transaction of what they tell of.

Accounts: what buyers paid (``payments``) is what sellers (``seller``) and the platform (``fees``) have, and
what was handed to sellers since (``handed``). Money that went back and no line was refunded for is the
platform's loss (``concessions``, ``disputes``), and so is what a provider takes for a dispute (``provider``).
What should have gone back, and could not be sent, is ``owed``.
"""

from collections.abc import Iterable, Sequence
from uuid import UUID

import msgspec

from veza.core import clock
from veza.core.db import Tx
from veza.core.ids import new_id
from veza.rooms.marketplace import ledger_store as store
from veza.rooms.marketplace.ledger_store import Entry
from veza.rooms.marketplace.orders_store import Item

PAYMENTS, SELLER, FEES = "payments", "seller", "fees"
HANDED, CONCESSIONS, DISPUTES, PROVIDER = "handed", "concessions", "disputes", "provider"
OWED = "owed"
SALE, REFUND = "sale", "refund"
# What is not of a line stands behind all of them: an order has a hundred at most.
_BEHIND = 1_000


class Proof(msgspec.Struct, frozen=True):
    """What is wrong with the ledger; nothing, unless somebody has changed rows behind our back."""

    unbalanced: Sequence[UUID]
    not_as_ordered: Sequence[UUID]
    without_licence: Sequence[UUID]

    @property
    def holds(self) -> bool:
        """Whether all is right."""
        return not (self.unbalanced or self.not_as_ordered or self.without_licence)


def sides(item: Item, kind: str) -> list[tuple[str, UUID | None, int]]:
    """What a line, sold or refunded, is in each account, in minor units; it sums to zero."""
    sign = 1 if kind == SALE else -1
    amounts = (
        (PAYMENTS, None, -item.price),
        (SELLER, item.seller_id, item.price - item.fee),
        (FEES, None, item.fee),
    )
    return [(account, owner, sign * amount) for account, owner, amount in amounts if amount]


async def write(tx: Tx, items: Iterable[Item], currency: str, kind: str) -> None:
    """Write down that these lines were sold or refunded."""
    now = clock.now()
    rows = [
        Entry(new_id(), item.order_id, item.position, kind, account, owner, amount, currency, now)
        for item in items
        for account, owner, amount in sides(item, kind)
    ]
    await store.add(tx, rows)


async def book(
    tx: Tx, order_id: UUID, kind: str, move: tuple[str, str, int, str], owner: UUID | None = None
) -> None:
    """Write down that of an order, which is locked, an amount moved: from, to, how much, in what currency.

    ``owner`` is the seller whose account one of the two is. A negative amount moves the other way.
    """
    giver, taker, amount, currency = move
    if not amount:
        return
    now, position = clock.now(), await store.next_position(tx, order_id, _BEHIND)
    sides = ((giver, -amount), (taker, amount))
    rows = [
        Entry(new_id(), order_id, position, kind, account, owner if account == SELLER else None, change,
              currency, now)
        for account, change in sides
    ]  # fmt: skip
    await store.add(tx, rows)


async def balance(tx: Tx, seller_id: UUID) -> dict[str, int]:
    """By currency what a seller has earned and was not handed yet, in minor units."""
    return {row.currency: row.amount for row in await store.balances(tx, seller_id)}


async def prove(tx: Tx) -> Proof:
    """Look at the whole ledger: each order sums to zero, as it was ordered, and its licences are there."""
    return Proof(
        unbalanced=await store.unbalanced(tx),
        not_as_ordered=await store.not_as_ordered(tx),
        without_licence=await store.without_licence(tx),
    )
