"""What has become of a payment is carried over to its order: once, whatever was told before, and how often.

Nothing here goes by the notice that made somebody ask. An outcome is the provider's whole answer, perhaps not
its newest by now: what an order has become by a later one is not turned back by an earlier.
"""

from collections.abc import Sequence
from uuid import UUID

import msgspec
import structlog

from veza.core import clock
from veza.core.db import Tx
from veza.core.jobs import enqueue
from veza.rooms.accounts import service as accounts
from veza.rooms.marketplace import (
    charges_store,
    delivering,
    ledger,
    licences_store,
    products_store,
    settling,
)
from veza.rooms.marketplace import orders_store as store
from veza.rooms.marketplace.charges_store import Charge
from veza.rooms.marketplace.events import DisputeClosed, OrderDisputed, RefundFailed
from veza.rooms.marketplace.orders_store import Item, Order
from veza.rooms.marketplace.payment_kinds import PAY_SELLERS, AskPayment, PaySellers
from veza.rooms.marketplace.payments import Dispute, Outcome
from veza.rooms.tracks import sales

log = structlog.get_logger()


async def follow(tx: Tx, told: AskPayment, outcome: Outcome) -> Order | None:
    """An order becomes what its payment has; what it is then, or None where there is none."""
    order = await store.find(tx, told.order_id)
    if order is None:
        return None
    await accounts.stay(tx, [order.buyer_id])
    order = await store.lock(tx, told.order_id)
    if order is None:
        return None
    if outcome.state == "paid":
        return await _follow_money(tx, order, outcome)
    if outcome.state == "over" and order.status == "pending":
        return await settling.mark_cancelled(tx, order)
    return order


async def _follow_money(tx: Tx, order: Order, outcome: Outcome) -> Order:
    charge = await charges_store.find(tx, order.id)
    if charge is None:
        charge, order = await _receive(tx, order, outcome)
    await _follow_disputes(tx, order, charge, outcome.disputes)
    gone = outcome.returned + sum(one.amount for one in outcome.disputes if one.state == "lost")
    charge = await _follow_failed(tx, order, charge, outcome, gone)
    # An outcome that is older than a failure counts as gone what has come back since.
    said = {one.id for one in outcome.refunds if one.failed}
    failed = await charges_store.failed_refunds_of(tx, order.id)
    gone -= sum(amount for one, amount in failed.items() if one not in said)
    await _follow_returns(tx, order, charge, gone)
    return order


async def _receive(tx: Tx, order: Order, outcome: Outcome) -> tuple[Charge, Order]:
    """Money has come for an order. Goods are given for the right amount alone, and only once."""
    charge = Charge(
        order_id=order.id,
        intent=outcome.intent,
        charge=outcome.charge,
        amount=outcome.amount,
        currency=outcome.currency,
        conceded=0,
        owed=0,
        created_at=clock.now(),
    )
    await charges_store.add(tx, charge)
    left = outcome.amount - outcome.returned
    right = (outcome.amount, outcome.currency) == (order.total, order.currency)
    if not right:
        log.error("payments.wrong_amount", order_id=str(order.id), intent=outcome.intent)
    if order.status == "pending" and right and left > 0:
        order = await settling.settle(tx, order.id)
        if order.status == "completed":
            await enqueue(tx, PAY_SELLERS, PaySellers(order.id))
    else:
        order = await settling.call_off(tx, order, left, outcome.currency)
    return charge, order


async def _follow_disputes(tx: Tx, order: Order, charge: Charge, said: Sequence[Dispute]) -> None:
    known = await charges_store.disputes_of(tx, order.id)
    lines = await store.items_of(tx, [order.id])
    held = sum(one.amount for one in known.values() if one.state == "open")
    # What came for nothing is not in the books; the fee for it is.
    left = order.total - _refunded(lines) - charge.conceded - held if order.completed_at is not None else 0
    frozen = any(one.state == "open" for one in known.values())
    for dispute in said:
        before = known.get(dispute.id)
        amount = min(dispute.amount, left) if before is None else before.amount
        dispute = msgspec.structs.replace(dispute, amount=amount)  # noqa: PLW2901 - what the books know of it
        left -= amount if before is None and dispute.state == "open" else 0
        if before is not None and before.state != "open":
            dispute = msgspec.structs.replace(dispute, state=before.state)  # noqa: PLW2901 - what is over stays so
        await (charges_store.add_dispute(tx, order.id, dispute) if before is None
               else charges_store.set_dispute(tx, dispute))  # fmt: skip
        await _book_dispute(tx, order, before, dispute)
        known[dispute.id] = dispute
    now = any(one.state == "open" for one in known.values())
    if now != frozen and order.completed_at is not None:  # else nobody has anything of it
        await _freeze(tx, order, frozen=now)


async def _book_dispute(tx: Tx, order: Order, before: Dispute | None, now: Dispute) -> None:
    """While a dispute is open its amount is with the buyer's bank; its fee is the platform's loss anyway."""
    held = before.amount if before is not None and before.state == "open" else 0
    change = (now.amount if now.state == "open" else 0) - held
    move = (ledger.DISPUTES, ledger.PAYMENTS, change, order.currency)
    await ledger.book(tx, order.id, "dispute" if change > 0 else "dispute_closed", move)
    fee = now.fee - (before.fee if before is not None else 0)
    await ledger.book(tx, order.id, "dispute_fee", (ledger.DISPUTES, ledger.PROVIDER, fee, now.fee_currency))


async def _freeze(tx: Tx, order: Order, *, frozen: bool) -> None:
    """Nothing of an order is downloaded, and no service accepted, while its payment is disputed."""
    items = [item for item in await store.items_of(tx, [order.id]) if item.refundable]
    for item in [] if frozen else items:
        licence = await licences_store.find_of(tx, order.id, item.product_id)
        if licence is not None and licence.frozen_at is not None:
            await delivering.extend(tx, item, clock.now() - licence.frozen_at)
    await licences_store.freeze(tx, order.id, clock.now() if frozen else None)
    files = await products_store.files_of(tx, [item.product_id for item in items])
    for item in items:
        if frozen:
            await sales.drop_buyer(tx, order.buyer_id, item.product_id)
        elif await accounts.stay(tx, [order.buyer_id]):
            tracks = [file.track_id for file in files if file.product_id == item.product_id and file.track_id]
            await sales.add_buyer(tx, order.buyer_id, item.product_id, tracks)
    sellers = sorted({item.seller_id for item in items})
    tx.emit((OrderDisputed if frozen else DisputeClosed)(order.id, order.buyer_id, sellers))
    if not frozen:
        await enqueue(tx, PAY_SELLERS, PaySellers(order.id))


async def _follow_failed(tx: Tx, order: Order, charge: Charge, outcome: Outcome, gone: int) -> Charge:
    """Refunds that a buyer's bank has sent back: the money is here again, and owed to them.

    Where somebody sent it by the dashboard for nothing that was refunded here, nobody owes it.
    """
    known = await charges_store.failed_refunds_of(tx, order.id)
    for refund in outcome.refunds:
        if not refund.failed or refund.id in known:
            continue
        await charges_store.add_failed_refund(tx, order.id, refund)
        log.error("payments.refund_failed", order_id=str(order.id), refund=refund.id, amount=refund.amount)
        tx.emit(RefundFailed(order.id, order.buyer_id, refund.amount, charge.currency))
        # What the books say has gone, and has not: all of it, unless somebody has sent it otherwise by now.
        missing = min(refund.amount, await _meant(tx, order, charge) - charge.owed - gone)
        if missing <= 0:
            continue
        conceded = 0 if refund.key else min(missing, charge.conceded)
        await charges_store.concede(tx, order.id, -conceded)
        back = (ledger.PAYMENTS, ledger.CONCESSIONS, conceded, charge.currency)
        await ledger.book(tx, order.id, "concession_back", back)
        if missing > conceded:
            await owe(tx, order.id, missing - conceded, charge.currency)
        charge = await charges_store.find(tx, order.id) or charge
    return charge


async def _meant(tx: Tx, order: Order, charge: Charge) -> int:
    """What was to go back of what was paid; all of what came for nothing."""
    if order.completed_at is None:
        return charge.amount
    return _refunded(await store.items_of(tx, [order.id])) + charge.conceded


async def _follow_returns(tx: Tx, order: Order, charge: Charge, gone: int) -> None:
    """Money went back by other hands than ours: by Stripe's dashboard, or by a dispute that is lost.

    Less than all that is left is at the platform's expense, for it is not said what it was given back for.
    """
    more = gone - await _meant(tx, order, charge) + charge.owed
    if more <= 0:
        return
    if paid_off := min(more, charge.owed):
        await owe(tx, order.id, -paid_off, charge.currency)
    more -= paid_off
    if more <= 0 or order.completed_at is None:
        return
    await charges_store.concede(tx, order.id, more)
    move = (ledger.CONCESSIONS, ledger.PAYMENTS, more, order.currency)
    await ledger.book(tx, order.id, "concession", move)
    lines = await store.items_of(tx, [order.id])
    if left := [item for item in lines if item.refundable]:
        await _revoke_if_all(tx, order, lines, left, charge.conceded + more)


def _refunded(lines: Sequence[Item]) -> int:
    return sum(item.price for item in lines if item.refunded_at is not None)


async def owe(tx: Tx, order_id: UUID, amount: int, currency: str) -> None:
    """So much that was to go back to a buyer could not be sent; or, negative, it has gone back after all."""
    await store.lock(tx, order_id)
    await charges_store.owe(tx, order_id, amount)
    kind = "owed" if amount > 0 else "paid_off"
    await ledger.book(tx, order_id, kind, (ledger.PAYMENTS, ledger.OWED, amount, currency))


async def _revoke_if_all(
    tx: Tx, order: Order, lines: Sequence[Item], left: Sequence[Item], conceded: int
) -> None:
    if conceded >= sum(item.price for item in left):
        await settling.give_back(tx, order, lines, left)
