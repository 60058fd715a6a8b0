"""Webhooks over HTTP."""

from typing import Annotated
from uuid import UUID

from litestar.params import Parameter

from veza.access.actor import Me
from veza.core.http import AnyRequest, InTx, Reply, Route, Said, TheExchange, read_optional, reply, said
from veza.core.idempotency import claim_body
from veza.core.pages import MAX_LIMIT, MAX_PAGE, Page
from veza.rooms.webhooks import deliveries, overview, service, testing
from veza.rooms.webhooks.catalogue import CATALOGUE, TEST
from veza.rooms.webhooks.schemas import (
    Deliveries,
    DeliveryBody,
    DeliveryStatus,
    HooksOverview,
    HookState,
    KeyDraft,
    NewKeys,
    NewWebhook,
    ReplayDraft,
    Stats,
    Tested,
    Webhook,
    WebhookChanges,
    WebhookDraft,
)
from veza.rooms.webhooks.service import Begin, TheHookMeans

PageNumber = Annotated[int, Parameter(ge=1, le=MAX_PAGE)]
Limit = Annotated[int, Parameter(ge=1, le=MAX_LIMIT)]
# What a parameter of this name is to Litestar is something else.
WantedState = Annotated[HookState | None, Parameter(query="state")]


@Route("/webhooks", http_method="POST", status_code=201)
async def register_webhook(
    tx: InTx, actor: Me, exchange: TheExchange, hook_means: TheHookMeans, begin: Begin, data: WebhookDraft
) -> Reply[NewWebhook]:
    """Register a webhook."""
    await claim_body(tx, exchange, actor.id, "POST /webhooks", data, hook_means.keyring)
    return reply(await service.register(tx, actor, hook_means, begin, data))


@Route("/webhooks", http_method="GET")
async def list_webhooks(tx: InTx, actor: Me) -> Reply[list[Webhook]]:
    """List your webhooks."""
    return reply(await service.list_own(tx, actor))


@Route("/webhooks/stats", http_method="GET")
async def get_webhook_stats(tx: InTx, actor: Me) -> Reply[Stats]:
    """Get what became of your webhooks' events."""
    return reply(await service.stats(tx, actor))


@Route("/webhooks/{webhook_id:str}", http_method="GET")
async def get_webhook(tx: InTx, actor: Me, webhook_id: UUID) -> Reply[Webhook]:
    """Get a webhook."""
    return reply(service.view(await service.get_own(tx, actor, webhook_id)))


@Route("/webhooks/{webhook_id:str}", http_method="PUT")
async def update_webhook(
    tx: InTx, actor: Me, hook_means: TheHookMeans, begin: Begin, webhook_id: UUID, data: WebhookChanges
) -> Reply[Webhook]:
    """Change a webhook, or turn it off or on."""
    return reply(await service.update(tx, actor, hook_means, begin, webhook_id, data))


@Route("/webhooks/{webhook_id:str}", http_method="DELETE", status_code=200)
async def delete_webhook(tx: InTx, actor: Me, webhook_id: UUID) -> Reply[Said]:
    """Delete a webhook."""
    await service.delete(tx, actor, webhook_id)
    return said("Webhook deleted successfully")


@Route("/webhooks/{webhook_id:str}/test", http_method="POST", status_code=200)
async def test_webhook(
    actor: Me, hook_means: TheHookMeans, begin: Begin, exchange: TheExchange, webhook_id: UUID
) -> Reply[Tested]:
    """Send a test event."""
    return reply(await testing.send(hook_means, begin, actor, exchange, webhook_id))


@Route("/webhooks/{webhook_id:str}/regenerate-key", http_method="POST", status_code=200)
async def regenerate_webhook_key(
    request: AnyRequest,
    tx: InTx,
    actor: Me,
    exchange: TheExchange,
    hook_means: TheHookMeans,
    webhook_id: UUID,
) -> Reply[NewKeys]:
    """Make other keys for a webhook."""
    draft = await read_optional(request, KeyDraft)
    route = f"POST /webhooks/{webhook_id}/regenerate-key"
    await claim_body(tx, exchange, actor.id, route, draft, hook_means.keyring)
    return reply(await service.regenerate(tx, actor, hook_means, webhook_id, draft))


@Route("/webhooks/{webhook_id:str}/deliveries", http_method="GET")
async def list_deliveries(
    tx: InTx,
    actor: Me,
    webhook_id: UUID,
    before: UUID | None = None,
    limit: Limit = 20,
    status: DeliveryStatus | None = None,
    event: Annotated[str | None, Parameter(schema_extra={"enum": [*CATALOGUE, TEST]})] = None,
) -> Reply[Deliveries]:
    """List the deliveries of a webhook."""
    return reply(await deliveries.list_own(tx, actor, webhook_id, before, limit, status, event))


@Route("/webhooks/{webhook_id:str}/deliveries/{delivery_id:str}", http_method="GET")
async def get_delivery(tx: InTx, actor: Me, webhook_id: UUID, delivery_id: UUID) -> Reply[DeliveryBody]:
    """Get a delivery."""
    return reply(DeliveryBody(await deliveries.get_own(tx, actor, webhook_id, delivery_id)))


@Route(
    "/webhooks/{webhook_id:str}/deliveries/{delivery_id:str}/redeliver", http_method="POST", status_code=202
)
async def redeliver(tx: InTx, actor: Me, webhook_id: UUID, delivery_id: UUID) -> Reply[DeliveryBody]:
    """Deliver once more."""
    return reply(DeliveryBody(await deliveries.redeliver(tx, actor, webhook_id, delivery_id)))


@Route("/webhooks/{webhook_id:str}/replay", http_method="POST", status_code=202)
async def replay_webhook(tx: InTx, actor: Me, webhook_id: UUID, data: ReplayDraft) -> Reply[Said]:
    """Deliver all events since some time once more."""
    await deliveries.replay(tx, actor, webhook_id, data)
    return said("Events are being delivered once more")


@Route("/admin/webhooks", http_method="GET")
async def look_at_webhooks(
    tx: InTx, actor: Me, wanted: WantedState = None, page: PageNumber = 1, limit: Limit = 20
) -> Reply[HooksOverview]:
    """See how far webhooks are behind, and which of them fail."""
    return reply(await overview.look(tx, actor, Page(page, limit), wanted))


@Route("/admin/webhooks/{webhook_id:str}/retry", http_method="POST", status_code=200)
async def retry_webhook(tx: InTx, actor: Me, webhook_id: UUID) -> Reply[Said]:
    """Try a webhook again that fails, or was turned off for that."""
    await overview.retry(tx, actor, webhook_id)
    return said("The webhook is tried again")


ROUTES = [
    register_webhook,
    list_webhooks,
    get_webhook_stats,
    get_webhook,
    update_webhook,
    delete_webhook,
    test_webhook,
    regenerate_webhook_key,
    list_deliveries,
    get_delivery,
    redeliver,
    replay_webhook,
    look_at_webhooks,
    retry_webhook,
]
