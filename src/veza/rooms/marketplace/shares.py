"""Handing sellers their shares of what a provider was paid, and taking them back.

What is handed over is booked first, and asked for after: so nobody is paid twice, whatever is lost on the
way. Where the provider refuses, it is booked back, and tried again once the seller's account is ready. Where
an answer was lost, the provider is asked what it has made before it is asked to make anything.

One may be asked twice at once, and first refuse, then do it: so what was booked back is looked for once more
when nobody can be asking any longer, and whatever turns out to be handed over is taken back as far as it is
not the seller's any more. Where it was tried anew meanwhile, see :mod:`superseded`.

A share is handed over in one piece: as long as a service in it is not accepted, or its seller is suspended,
all of it waits.
"""

from collections.abc import Sequence
from uuid import UUID

import msgspec
import structlog

from veza.core import clock
from veza.core.db import Tx
from veza.core.ids import new_id
from veza.core.jobs import enqueue
from veza.rooms.accounts import service as accounts
from veza.rooms.marketplace import charges_store, ledger, orders_store
from veza.rooms.marketplace import sellers_store as store
from veza.rooms.marketplace.charges_store import Charge
from veza.rooms.marketplace.orders_store import Item, Order
from veza.rooms.marketplace.payment_kinds import (
    LOOK_AGAIN,
    PATIENCE,
    PAY_SELLERS,
    TAKE_BACK,
    TAKE_BACK_TWICE,
    LookAgain,
    PaySellers,
    TakeBack,
    TakeBackTwice,
)
from veza.rooms.marketplace.payments import Handover
from veza.rooms.marketplace.sellers_store import Share

log = structlog.get_logger()


async def resume(tx: Tx, order_id: UUID) -> None:
    """What a share has waited for may be over; of what no provider was paid for there are none."""
    if await charges_store.find(tx, order_id) is not None:
        await enqueue(tx, PAY_SELLERS, PaySellers(order_id))


async def begin(tx: Tx, order_id: UUID) -> list[tuple[Share, Handover]]:
    """Book what sellers are to get of an order now; what is to be asked for, once that is certain."""
    items = await orders_store.items_of(tx, [order_id])
    sellers = sorted({item.seller_id for item in items})
    await accounts.stay(tx, sellers)
    order = await orders_store.lock(tx, order_id)
    charge = await charges_store.find(tx, order_id)
    if order is None or charge is None:
        return []
    items = await orders_store.items_of(tx, [order_id])
    closed = await accounts.list_suspended(tx, sellers)
    open_accounts = await store.hold(tx, [one for one in sellers if one not in closed], order.provider)
    shares = await store.lock_shares(tx, order_id)
    before = {share.key for share in shares.values() if share.state == "begun"}
    if not await charges_store.is_disputed(tx, order_id):
        for seller_id, account in open_accounts.items():
            share = shares.get(seller_id)
            if account.ready and (share is None or share.state == "failed"):
                amount = await _owed(tx, order, [item for item in items if item.seller_id == seller_id])
                if amount > 0:
                    shares[seller_id] = await _book(tx, order, share, seller_id, account.account, amount)
    return [
        (one, handover_of(one, charge, again=one.key in before))
        for one in shares.values()
        if one.state == "begun"
    ]


def handover_of(share: Share, charge: Charge, *, again: bool) -> Handover:
    """What is asked for of a provider."""
    return Handover(
        share.account, share.amount, share.currency, charge.charge, share.order_id, share.key, again
    )


async def may_hand(tx: Tx, share: Share, handover: Handover) -> bool:
    """Whether a share that was booked, and that the provider has not made, is to be asked for now.

    Not if the payment has come to be disputed since, or the seller to be suspended: what was never asked for
    is booked back, and the rest waits for the end of that. Nor if all of it was given back meanwhile.
    """
    now = await _lock(tx, share)
    if now is None or now.state != "begun":
        return False
    disputed = await charges_store.is_disputed(tx, share.order_id)
    waits = disputed or bool(await accounts.list_suspended(tx, [share.seller_id]))
    if (waits and not handover.again) or now.taken_back >= now.amount:
        await failed(tx, share)
        return False
    return not waits


async def _owed(tx: Tx, order: Order, items: Sequence[Item]) -> int:
    """What a seller has earned by these lines, less what they were given or owe otherwise.

    Nothing yet as long as some of it is held. What they may have to give back by a dispute pays no debts.
    """
    net = _net([item for item in items if item.refundable])
    if not net or any(item.held and item.refundable for item in items):
        return 0
    seller_id = items[0].seller_id
    balance = (await ledger.balance(tx, seller_id)).get(order.currency, 0)
    return min(net, balance - (await store.disputed(tx, seller_id, order.id)).get(order.currency, 0))


def _net(items: Sequence[Item]) -> int:
    """What of these lines is their seller's."""
    return sum(item.price - item.fee for item in items)


async def _book(
    tx: Tx, order: Order, before: Share | None, seller_id: UUID, account: str, amount: int
) -> Share:
    share = Share(
        id=before.id if before else new_id(),
        order_id=order.id,
        seller_id=seller_id,
        account=account,
        amount=amount,
        taken_back=0,
        currency=order.currency,
        state="begun",
        attempt=before.attempt + 1 if before else 1,
        reference=None,
        created_at=before.created_at if before else clock.now(),
    )
    await (store.set_share if before else store.add_share)(tx, share)
    await move(tx, share, "handed", share.amount)
    return share


async def move(tx: Tx, share: Share, kind: str, amount: int, once: UUID | None = None) -> None:
    """Write down that so much of a seller's was handed to them, or, negative, taken back."""
    moved = (ledger.SELLER, ledger.HANDED, amount, share.currency)
    await ledger.book(tx, share.order_id, kind, moved, share.seller_id, once)


async def hold(tx: Tx, order_id: UUID, seller_id: UUID, share_id: UUID) -> tuple[Order | None, Share | None]:
    """An order and a share of it; of what its seller has nothing goes elsewhere until ``tx`` is over.

    Neither by hand nor with another order: two that reckoned at once would both hand over the same.
    """
    await accounts.stay(tx, [seller_id])
    order = await orders_store.lock(tx, order_id)
    await store.lock(tx, seller_id)
    return order, await store.lock_share(tx, share_id)


async def done(tx: Tx, share: Share, reference: str) -> bool:
    """A provider has handed a share over, as it was asked to by this attempt; whether that is news.

    What it has made beside the share, of another attempt or of the same, is not; see :mod:`superseded`.
    """
    order, now = await hold(tx, share.order_id, share.seller_id, share.id)
    if order is None or now is None or (now.state == "done" and now.reference == reference):
        return False
    if now.attempt != share.attempt or now.state == "done":
        told = TakeBackTwice(
            order.provider, order.id, share.id, share.seller_id, share.attempt, share.account, share.amount,
            reference,
        )  # fmt: skip
        await enqueue(tx, TAKE_BACK_TWICE, told, unique_key=told.key)
    else:
        await keep(tx, order, now, reference)
    return True


async def keep(tx: Tx, order: Order, share: Share, reference: str) -> None:
    """By this a share is handed over, of an order that is locked.

    What was refunded while nobody thought so is taken back; and where it was booked back, as another said
    who asked at the same time, what the seller was paid otherwise since.
    """
    items = await orders_store.items_of(tx, [order.id])
    theirs = [item for item in items if item.seller_id == share.seller_id]
    owed = _net([item for item in theirs if item.refundable])
    if share.state == "failed":
        owed = max(await _owed(tx, order, theirs), 0)
        await move(tx, share, "handed", share.amount - share.taken_back)
    share = msgspec.structs.replace(share, state="done", reference=reference)
    await store.set_share(tx, share)
    await _take_back(tx, order, share, share.amount - share.taken_back - owed)


async def failed(tx: Tx, share: Share) -> None:
    """A provider will not hand a share over: what was booked, and not taken back since, is booked back.

    Another who asked at the same time may be told otherwise, and not live to say so: it is looked for again.
    """
    now = await _lock(tx, share)
    if now is not None and now.state == "begun":
        await store.set_share(tx, msgspec.structs.replace(now, state="failed"))
        await move(tx, now, "handed_back", now.taken_back - now.amount)
        told = LookAgain(now.order_id, now.id, now.attempt, now.account, now.amount)
        await enqueue(tx, LOOK_AGAIN, told, delay=PATIENCE)


async def _lock(tx: Tx, share: Share) -> Share | None:
    """A share as it stands now, if this is still the same attempt; its order is locked before it."""
    await orders_store.lock(tx, share.order_id)
    now = await store.lock_share(tx, share.id)
    return now if now is not None and now.attempt == share.attempt else None


async def take_back(tx: Tx, order: Order, items: Sequence[Item]) -> None:
    """These lines of an order, which is locked, are given back: their sellers' shares are taken back."""
    shares = await store.lock_shares(tx, order.id)
    for seller_id, share in shares.items():
        if share.state != "failed":
            net = _net([item for item in items if item.seller_id == seller_id])
            await _take_back(tx, order, share, min(net, share.amount - share.taken_back))


async def _take_back(tx: Tx, order: Order, share: Share, amount: int) -> None:
    if amount > 0:
        await store.set_share(tx, msgspec.structs.replace(share, taken_back=share.taken_back + amount))
        await move(tx, share, "handed_back", -amount)
        # A key of its own: one that a provider has refused it refuses again, whatever it would say now.
        key = f"{share.key}:{new_id()}"
        await enqueue(tx, TAKE_BACK, TakeBack(order.provider, order.id, share.id, amount, key))


async def find_handed(tx: Tx, told: TakeBack) -> Share | None:
    """The share of which this is to be taken back; None where it was not handed over.

    Then this counts as taken back no longer, and :func:`done` sees to it should it have been after all.
    """
    share = await _told_of(tx, told)
    if share is not None and share.state == "failed":
        await _forgo(tx, share, told)
        return None
    return share


async def not_taken_back(tx: Tx, told: TakeBack) -> None:
    """A provider could not take a share back, and that the last time: then the seller owes it.

    Before, it may have been done, and only the answer been lost: it is asked once more. And one that is still
    under way was not asked for: that waits on, else all of it would be handed over.
    """
    share = await _told_of(tx, told)
    if share is None:
        return
    if share.state == "begun" or not told.last:
        last = msgspec.structs.replace(told, last=share.state != "begun")
        await enqueue(tx, TAKE_BACK, last, delay=PATIENCE)
        return
    await _forgo(tx, share, told)
    if share.state != "failed":
        log.error("payments.not_taken_back", order_id=str(told.order_id), transfer=share.reference,
                  amount=told.amount)  # fmt: skip
        await move(tx, share, "handed", told.amount)


async def _told_of(tx: Tx, told: TakeBack) -> Share | None:
    """The share, unless it is tried anew since; the next attempt is without what was refunded."""
    await orders_store.lock(tx, told.order_id)
    share = await store.lock_share(tx, told.share_id)
    return share if share is not None and told.key.startswith(f"{share.key}:") else None


async def _forgo(tx: Tx, share: Share, told: TakeBack) -> None:
    await store.set_share(tx, msgspec.structs.replace(share, taken_back=share.taken_back - told.amount))
