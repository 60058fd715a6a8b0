"""What sellers are paid: asked for by them, never more than they have, and settled by an admin.

Whoever asks is held meanwhile, and so is where a provider pays them: of many requests at once, and of what a
provider is about to hand over, each finds what the ones before it have left.
"""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

import msgspec

from veza.access.actor import Member
from veza.access.policy import Action, require
from veza.core import clock
from veza.core.db import Tx
from veza.core.ids import new_id
from veza.core.pages import Page
from veza.rooms.accounts import quota
from veza.rooms.marketplace import ledger, sellers_store
from veza.rooms.marketplace import payouts_store as store
from veza.rooms.marketplace.errors import (
    InsufficientBalance,
    PayoutAlreadySettled,
    PayoutNotFound,
    PayoutTooSmall,
)
from veza.rooms.marketplace.events import PayoutRequested, PayoutSettled
from veza.rooms.marketplace.ledger import Standing
from veza.rooms.marketplace.money import shown, written
from veza.rooms.marketplace.money_schemas import (
    Balance,
    PayoutDraft,
    PayoutList,
    PayoutSettlement,
    PayoutView,
)
from veza.rooms.marketplace.payouts_store import Payout
from veza.rooms.marketplace.products import stand
from veza.rooms.marketplace.products_store import MOST_COUNTED
from veza.rooms.marketplace.terms import Terms


async def balance(tx: Tx, actor: Member, currency: str) -> Balance:
    """What the actor has in a currency."""
    found = (await standings(tx, actor.id)).get(currency, Standing(currency))
    return Balance(currency, shown(found.available), shown(found.pending), shown(found.requested))


async def standings(tx: Tx, seller_id: UUID) -> dict[str, Standing]:
    """By currency what somebody has; what may have to be given back by a dispute is pending."""
    disputed = await sellers_store.disputed(tx, seller_id)
    return {
        currency: _without(found, disputed.get(currency, 0))
        for currency, found in (await ledger.standings(tx, seller_id)).items()
    }


def _without(found: Standing, disputed: int) -> Standing:
    waits = max(min(disputed, found.available), 0)
    return msgspec.structs.replace(found, available=found.available - waits, pending=found.pending + waits)


async def ask(tx: Tx, actor: Member, draft: PayoutDraft, terms: Terms) -> PayoutView:
    """The actor wants to be paid so much, or all there is.

    Raises :class:`InsufficientBalance`, :class:`PayoutTooSmall`.
    """
    # Not shared first: who has it shared and wants it alone would wait for another who wants the same.
    await quota.hold(tx, actor.id)
    await sellers_store.lock(tx, actor.id)
    found = (await standings(tx, actor.id)).get(draft.currency, Standing(draft.currency))
    available = found.available
    amount = available if draft.amount is None else int(draft.amount)
    if amount < terms.least_payout:
        raise PayoutTooSmall(f"The least that is paid out is {written(terms.least_payout, draft.currency)}.")
    if amount > available:
        raise InsufficientBalance
    payout = Payout(new_id(), actor.id, draft.currency, amount, "requested", "", clock.now(), None)
    await store.add(tx, payout)
    await ledger.move(tx, payout, ledger.PAYOUT)
    tx.emit(PayoutRequested(payout.id, actor.id, amount, payout.currency))
    return view(payout)


async def settle(tx: Tx, actor: Member, payout_id: UUID, settlement: PayoutSettlement) -> PayoutView:
    """An admin says that a payout was paid, or that it has failed and the money is the seller's again.

    To say the same twice changes nothing. Raises :class:`veza.core.errors.Forbidden`,
    :class:`PayoutNotFound`, :class:`PayoutAlreadySettled`.
    """
    require(actor, Action.MANAGE_PAYOUTS)
    payout = await store.lock(tx, payout_id)
    if payout is None:
        raise PayoutNotFound
    if payout.status == settlement.status:
        return view(payout)
    if payout.status != "requested":
        raise PayoutAlreadySettled
    await ledger.move(tx, payout, settlement.status)
    tx.emit(PayoutSettled(payout.id, payout.seller_id, settlement.status))
    return view(await store.settle(tx, payout, settlement.status, settlement.note))


async def list_own(tx: Tx, actor: Member, page: Page) -> PayoutList:
    """A page of what the actor asked for, the latest first."""
    return await _list(tx, {"seller_id": actor.id}, page)


async def list_all(tx: Tx, actor: Member, status: str, page: Page) -> PayoutList:
    """A page of everybody's payouts that stand so. Raises :class:`veza.core.errors.Forbidden`."""
    require(actor, Action.MANAGE_PAYOUTS)
    return await _list(tx, {"status": status}, page)


async def _list(tx: Tx, wanted: Mapping[str, Any], page: Page) -> PayoutList:
    total = await store.count(tx, wanted)
    found = await store.page(tx, wanted, page) if page.offset < min(total, MOST_COUNTED) else []
    return PayoutList(
        data=[view(payout) for payout in found],
        pagination=stand(page, min(total, MOST_COUNTED), exact=total <= MOST_COUNTED),
    )


def view(payout: Payout) -> PayoutView:
    """A payout as callers see it."""
    return PayoutView(
        payout.id, payout.seller_id, shown(payout.amount), payout.currency, payout.status, payout.note,
        payout.created_at, payout.settled_at,
    )  # fmt: skip
