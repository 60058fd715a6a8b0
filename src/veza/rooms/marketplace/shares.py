"""Handing sellers their shares of what a provider was paid, and taking them back.

What is handed over is booked first, and asked for after: so nobody is paid twice, whatever is lost on the
way. Where the provider refuses, it is booked back, and tried again once the seller's account is ready. Where
an answer was lost, the provider is asked what it has made before it is asked to make anything.

A share is handed over in one piece: as long as a service in it is not accepted, all of it waits.
"""

from collections.abc import Sequence
from uuid import UUID

import msgspec

from veza.core import clock
from veza.core.db import Tx
from veza.core.ids import new_id
from veza.core.jobs import enqueue
from veza.rooms.accounts import service as accounts
from veza.rooms.marketplace import charges_store, ledger, orders_store
from veza.rooms.marketplace import sellers_store as store
from veza.rooms.marketplace.orders_store import Item, Order
from veza.rooms.marketplace.payment_kinds import PAY_SELLERS, TAKE_BACK, PaySellers, TakeBack
from veza.rooms.marketplace.payments import Handover
from veza.rooms.marketplace.sellers_store import Share


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
    open_accounts = await store.hold(tx, sellers, order.provider)
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
        (
            one,
            Handover(
                one.account, one.amount, one.currency, charge.charge, order.id, one.key,
                again=one.key in before,
            ),
        )
        for one in shares.values()
        if one.state == "begun"
    ]  # fmt: skip


async def may_hand(tx: Tx, share: Share, handover: Handover) -> bool:
    """Whether a share that was booked, and that the provider has not made, is to be asked for now.

    Not if the payment has come to be disputed since: what was never asked for is booked back, and the rest
    waits for the end of that. Nor if all of it was given back meanwhile.
    """
    now = await _lock(tx, share)
    if now is None or now.state != "begun":
        return False
    disputed = await charges_store.is_disputed(tx, share.order_id)
    if (disputed and not handover.again) or now.taken_back >= now.amount:
        await failed(tx, share)
        return False
    return not disputed


async def _owed(tx: Tx, order: Order, items: Sequence[Item]) -> int:
    """What a seller has earned by these lines, less what they were given or owe otherwise.

    Nothing yet as long as some of it is held.
    """
    net = sum(item.price - item.fee for item in items if item.refundable)
    if not net or any(item.held and item.refundable for item in items):
        return 0
    return min(net, (await ledger.balance(tx, items[0].seller_id)).get(order.currency, 0))


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
    await _move(tx, share, "handed", share.amount)
    return share


async def _move(tx: Tx, share: Share, kind: str, amount: int) -> None:
    move = (ledger.SELLER, ledger.HANDED, amount, share.currency)
    await ledger.book(tx, share.order_id, kind, move, share.seller_id)


async def done(tx: Tx, share: Share, reference: str) -> None:
    """A provider has handed a share over; told twice, it is once."""
    now = await _lock(tx, share)
    if now is None or now.state == "done":
        return
    if now.state == "failed":  # so said another who asked at the same time
        await _move(tx, now, "handed", now.amount - now.taken_back)
    await store.set_share(tx, msgspec.structs.replace(now, state="done", reference=reference))


async def failed(tx: Tx, share: Share) -> None:
    """A provider will not hand a share over: what was booked, and not taken back since, is booked back."""
    now = await _lock(tx, share)
    if now is not None and now.state == "begun":
        await store.set_share(tx, msgspec.structs.replace(now, state="failed"))
        await _move(tx, now, "handed_back", now.taken_back - now.amount)


async def _lock(tx: Tx, share: Share) -> Share | None:
    """A share as it stands now, if this is still the same attempt; its order is locked before it."""
    await orders_store.lock(tx, share.order_id)
    now = await store.lock_share(tx, share.id)
    return now if now is not None and now.attempt == share.attempt else None


async def take_back(tx: Tx, order: Order, items: Sequence[Item]) -> None:
    """These lines of an order, which is locked, are given back: their sellers' shares are taken back."""
    shares = await store.lock_shares(tx, order.id)
    for seller_id, share in shares.items():
        net = sum(item.price - item.fee for item in items if item.seller_id == seller_id)
        amount = min(net, share.amount - share.taken_back)
        if share.state == "failed" or amount <= 0:
            continue
        await store.set_share(tx, msgspec.structs.replace(share, taken_back=share.taken_back + amount))
        await _move(tx, share, "handed_back", -amount)
        key = f"{share.key}:{share.taken_back + amount}"
        await enqueue(tx, TAKE_BACK, TakeBack(order.provider, order.id, share.id, amount, key))


def is_handed(share: Share, told: TakeBack) -> bool:
    """Whether what is to be taken back is of an attempt that has not failed; the next is without it."""
    return share.state != "failed" and told.key.startswith(f"{share.key}:")


async def not_taken_back(tx: Tx, told: TakeBack) -> None:
    """A provider could not take a share back: then the seller owes it."""
    await orders_store.lock(tx, told.order_id)
    share = await store.lock_share(tx, told.share_id)
    if share is not None and is_handed(share, told):
        taken = share.taken_back - told.amount
        await store.set_share(tx, msgspec.structs.replace(share, taken_back=taken))
        await _move(tx, share, "handed", told.amount)
