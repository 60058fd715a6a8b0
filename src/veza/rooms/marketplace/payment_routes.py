"""What payment providers and sellers have to do with payments, over HTTP."""

from typing import Annotated
from uuid import UUID

from litestar.params import Dependency, Parameter

from veza.access.actor import Me
from veza.core.db import Database
from veza.core.http import AnyRequest, InTx, Reply, Route, Said, read_optional, reply, said
from veza.rooms.marketplace import giving_up, notices, sellers
from veza.rooms.marketplace.order_schemas import OrderView
from veza.rooms.marketplace.payments import TheProviders
from veza.rooms.marketplace.sellers import AccountDraft, PayoutAccount

TheDatabase = Annotated[Database, Dependency(skip_validation=True)]


@Route("/payments/stripe/webhook", http_method="POST", status_code=200)
async def stripe_webhook(
    request: AnyRequest,
    tx: InTx,
    providers: TheProviders,
    signature: Annotated[str, Parameter(header="Stripe-Signature", max_length=2_000)] = "",
) -> Reply[Said]:
    """Take a notice of Stripe's."""
    await notices.take(tx, providers, "stripe", await request.body(), signature)
    return said("Taken.")


@Route("/marketplace/payouts/account", http_method="POST", status_code=200)
async def connect_payouts(
    request: AnyRequest, tx: InTx, database: TheDatabase, actor: Me, providers: TheProviders
) -> Reply[PayoutAccount]:
    """Get an address where you tell the payment provider where your money goes."""
    draft = await read_optional(request, AccountDraft)
    return reply(await sellers.connect(tx, database, actor, providers, draft))


@Route("/marketplace/payouts/account", http_method="GET", opt={"also": (409,)})
async def get_payout_account(tx: InTx, actor: Me, providers: TheProviders) -> Reply[PayoutAccount]:
    """Get whether you are paid by the payment provider."""
    return reply(await sellers.get_account(tx, actor, providers))


@Route("/marketplace/orders/{order_id:str}/cancel", http_method="POST", status_code=200)
async def cancel_order(
    tx: InTx, database: TheDatabase, actor: Me, providers: TheProviders, order_id: UUID
) -> Reply[OrderView]:
    """Cancel an order of yours that is not paid for."""
    return reply(await giving_up.give_up(tx, database, actor, providers, order_id))


ROUTES = [stripe_webhook, connect_payouts, get_payout_account, cancel_order]
