"""What providers tell without being asked: each notice counts once, and only makes somebody ask."""

from veza.core.db import Tx
from veza.core.jobs import enqueue
from veza.rooms.marketplace import charges_store as store
from veza.rooms.marketplace.errors import ProviderNotFound
from veza.rooms.marketplace.payment_kinds import (
    ASK_ACCOUNT,
    ASK_INTENT,
    ASK_PAYMENT,
    AskAccount,
    AskIntent,
    AskPayment,
)
from veza.rooms.marketplace.payments import Notice, Providers


async def take(tx: Tx, providers: Providers, provider: str, body: bytes, signature: str) -> None:
    """Somebody brings a notice of a provider's. Raises :class:`ProviderNotFound`, ``SignatureRefused``."""
    found = providers.find_money(provider)
    if found is None:
        raise ProviderNotFound
    await note(tx, provider, found.read(body, signature))


async def note(tx: Tx, provider: str, notice: Notice) -> None:
    """Write a notice down with what follows from it; one that came before is passed over."""
    if not await store.note(tx, notice.id, notice.kind):
        return
    if notice.account is not None:
        await enqueue(tx, ASK_ACCOUNT, AskAccount(notice.account))
    elif notice.order_id is not None:
        await enqueue(tx, ASK_PAYMENT, AskPayment(notice.order_id))
    elif notice.intent is not None:
        order_id = await store.find_order(tx, notice.intent)
        if order_id is not None:
            await enqueue(tx, ASK_PAYMENT, AskPayment(order_id))
        else:  # a dispute does not say what it is about, and may be told before the payment is
            await enqueue(tx, ASK_INTENT, AskIntent(provider, notice.intent))
