"""Where sellers are paid: an account of their own at the payment provider, who asks them who they are."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

import msgspec

from veza.access.actor import Member
from veza.access.policy import Action, require
from veza.core import clock
from veza.core.db import Database, Tx
from veza.core.errors import Conflict
from veza.core.jobs import enqueue
from veza.rooms.accounts import service as accounts
from veza.rooms.marketplace import sellers_store as store
from veza.rooms.marketplace.errors import PaymentUnavailable, PayoutsNotOffered
from veza.rooms.marketplace.events import PayoutAccountOpened
from veza.rooms.marketplace.payment_kinds import PAY_SELLERS, PaySellers
from veza.rooms.marketplace.payments import MoneyProvider, ProviderRefused, Providers
from veza.rooms.marketplace.sellers_store import SellerAccount

_PIECE = 200
_FIRST = UUID(int=0)


class AccountDraft(msgspec.Struct, frozen=True):
    """Where a seller lives, if elsewhere than the platform (ISO 3166-1, two letters)."""

    country: Annotated[str, msgspec.Meta(pattern="^[A-Z]{2}$")] | None = None


class PayoutAccount(msgspec.Struct, frozen=True):
    """Whether somebody is paid by the provider: ``ready`` once it knows enough of them.

    ``url``, good until ``expires_at``, is where they say it.
    """

    provider: str
    connected: bool
    ready: bool
    url: str | None = None
    expires_at: datetime | None = None


async def get_account(tx: Tx, actor: Member, providers: Providers) -> PayoutAccount:
    """Whether the actor is paid by the provider. Raises :class:`PayoutsNotOffered`."""
    provider = _offered(providers)
    found = await store.find(tx, actor.id)
    connected = found is not None and found.provider == provider.name
    return PayoutAccount(provider.name, connected, connected and found is not None and found.ready)


async def connect(
    tx: Tx, database: Database, actor: Member, providers: Providers, draft: AccountDraft
) -> PayoutAccount:
    """The actor wants to be paid by the provider, or to tell it more; ``tx`` begins when it was asked.

    Raises :class:`PayoutsNotOffered`, :class:`PaymentUnavailable`, :class:`Forbidden`, :class:`Conflict`.
    """
    require(actor, Action.SELL)
    provider = _offered(providers)
    async with database.read() as view:
        found = await store.find(view, actor.id)
    try:
        account = found.account if found else await provider.open_account(actor.id, draft.country)
        url, expires_at = await provider.onboarding(account)
    except ProviderRefused as refused:
        raise PaymentUnavailable(str(refused)) from None
    await accounts.stay_signed_in(tx, actor)
    now = clock.now()
    new = SellerAccount(actor.id, provider.name, account, ready=False, created_at=now, updated_at=now)
    if await store.add(tx, new):
        tx.emit(PayoutAccountOpened(actor.id, provider.name))
    kept = await store.find(tx, actor.id)
    if kept is None:  # the account is another user's
        raise Conflict
    return PayoutAccount(provider.name, connected=True, ready=kept.ready, url=url, expires_at=expires_at)


def _offered(providers: Providers) -> MoneyProvider:
    if not isinstance(providers.current, MoneyProvider):
        raise PayoutsNotOffered
    return providers.current


async def find(tx: Tx, account: str) -> SellerAccount | None:
    """Whose account this is; nobody else changes it until ``tx`` is over."""
    return await store.lock_account(tx, account)


async def set_ready(tx: Tx, account: SellerAccount, *, ready: bool) -> None:
    """A provider says whether a seller can be paid; if so, they are handed what has waited for it."""
    await store.set_ready(tx, account.user_id, ready=ready)
    if ready:
        await _hand_what_waits(tx, account.user_id)


async def resume(tx: Tx, user_id: UUID) -> None:
    """Somebody is suspended no more; they are handed what has waited for that."""
    account = await store.find(tx, user_id)
    if account is not None and account.ready:
        await _hand_what_waits(tx, user_id)


async def _hand_what_waits(tx: Tx, user_id: UUID) -> None:
    after = _FIRST
    while True:
        waiting = await store.unpaid(tx, user_id, after, _PIECE)
        for order_id in waiting:
            # Without a key: a job at work on the order now may have passed over this seller already.
            await enqueue(tx, PAY_SELLERS, PaySellers(order_id))
        if len(waiting) < _PIECE:
            return
        after = waiting[-1]
