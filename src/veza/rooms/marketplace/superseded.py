"""What a provider has made of an attempt at a share, beside the share.

Another attempt has taken the place of this one; or it was made before under the same key, which the provider
had forgotten since. As long as the other is under way nothing is said. If it came to nothing, too, this is
the share, as if it had been the last attempt. If it was made, the seller has their share twice: this one is
taken back whole, and of that nothing is booked, for it never was. A share that is handed over stays so; so
whatever was once asked to be taken back never becomes a share.
"""

from hashlib import sha256
from uuid import UUID

import msgspec
import structlog

from veza.core.db import Tx
from veza.core.jobs import Job, enqueue, finish
from veza.rooms.marketplace import ledger, shares
from veza.rooms.marketplace import sellers_store as store
from veza.rooms.marketplace.orders_store import Order
from veza.rooms.marketplace.payment_kinds import PATIENCE, TAKE_BACK_TWICE, TakeBackTwice
from veza.rooms.marketplace.sellers_store import Share

log = structlog.get_logger()


async def decide(tx: Tx, job: Job, told: TakeBackTwice) -> bool:
    """See what becomes of it: True where it is to be taken back now.

    Else the job is over: it is the share from now on, or was all the time, or that is not known yet, and it
    is asked later.
    """
    order, share = await _lock(tx, told)
    if share.state == "done" and share.reference != told.reference and not await _is_owed(tx, told):
        return True
    await finish(tx, job)
    if share.state == "begun":
        await _wait(tx, told)
    elif share.state == "failed":
        # An attempt of its own: what others hear yet of the one before it is not about this.
        attempt = share.attempt + 1
        share = msgspec.structs.replace(
            share, attempt=attempt, account=told.account, amount=told.amount, taken_back=0
        )
        await shares.keep(tx, order, share, told.reference)
    return False


async def taken_back(tx: Tx, job: Job, told: TakeBackTwice) -> None:
    """It is taken back; what exceeded the payment by this, and so was refused, is tried again."""
    await finish(tx, job)
    log.warning("payments.handed_twice", order_id=str(told.order_id), transfer=told.reference)
    await shares.resume(tx, told.order_id)


async def not_taken_back(tx: Tx, told: TakeBackTwice) -> None:
    """A provider could not take it back, and that the last time: the seller owes it, who has it twice.

    Before, it may have been done, and only the answer been lost: it is asked once more. However often it is
    found, it is owed once.
    """
    order, share = await _lock(tx, told)
    if share.state != "done":  # it was not asked for
        await _wait(tx, told)
    elif not told.last:
        await _wait(tx, msgspec.structs.replace(told, last=True))
    elif share.reference != told.reference and not await _is_owed(tx, told):
        log.error(
            "payments.not_taken_back", order_id=str(order.id), transfer=told.reference, amount=told.amount
        )
        await store.set_share(tx, msgspec.structs.replace(share, taken_back=share.taken_back - told.amount))
        await shares.move(tx, share, "handed", told.amount, _mark(told))


async def _lock(tx: Tx, told: TakeBackTwice) -> tuple[Order, Share]:
    order, share = await shares.hold(tx, told.order_id, told.seller_id, told.share_id)
    assert order is not None  # neither is ever forgotten
    assert share is not None
    return order, share


async def _wait(tx: Tx, told: TakeBackTwice) -> None:
    await enqueue(tx, TAKE_BACK_TWICE, told, delay=PATIENCE, unique_key=told.key)


async def _is_owed(tx: Tx, told: TakeBackTwice) -> bool:
    return await ledger.has(tx, _mark(told))


def _mark(told: TakeBackTwice) -> UUID:
    """The id by which it is known in the ledger that this is owed: the same however often it is found."""
    return UUID(bytes=sha256(told.key.encode()).digest()[:16])
