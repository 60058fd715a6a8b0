"""Looking once more for what a provider has made of a share, when nobody asks for it any more."""

from collections.abc import Sequence

import msgspec

from veza.core.db import Tx
from veza.core.jobs import enqueue
from veza.rooms.marketplace import charges_store, shares
from veza.rooms.marketplace import sellers_store as store
from veza.rooms.marketplace.payment_kinds import LOOK_AGAIN, LOOK_LATER, MOST_LOOKS, LookAgain
from veza.rooms.marketplace.payments import Handover, Made
from veza.rooms.marketplace.sellers_store import Share


async def find_asked(tx: Tx, told: LookAgain) -> tuple[Share, Handover] | None:
    """An attempt, and what was asked for."""
    share = await store.lock_share(tx, told.share_id)
    charge = await charges_store.find(tx, told.order_id)
    if share is None or charge is None:
        return None
    share = msgspec.structs.replace(
        share,
        attempt=told.attempt,
        account=told.account or share.account,
        amount=told.amount or share.amount,
    )
    return share, shares.handover_of(share, charge, again=True)


async def found(tx: Tx, share: Share, made: Sequence[Made]) -> bool:
    """These are what a provider has made of an attempt at a share; whether any is news."""
    asked = [msgspec.structs.replace(share, account=one.account, amount=one.amount) for one in made]
    return any([await shares.done(tx, so, one.reference) for so, one in zip(asked, made, strict=True)])


async def doubt(tx: Tx, share: Share) -> None:
    """Of an attempt that is made more than one has asked, and the first may stand still yet: look later."""
    await look_later(tx, LookAgain(share.order_id, share.id, share.attempt, share.account, share.amount))


async def look_later(tx: Tx, told: LookAgain) -> None:
    """It was not made so far, or nobody knows: it is asked once more, but not for ever."""
    later = msgspec.structs.replace(told, looks=told.looks + 1)
    if later.looks < MOST_LOOKS:
        await enqueue(tx, LOOK_AGAIN, later, delay=LOOK_LATER)
