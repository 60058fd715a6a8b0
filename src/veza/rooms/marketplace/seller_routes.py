"""What follows a sale, over HTTP: services, and sellers' money."""

from dataclasses import dataclass
from datetime import date
from typing import Annotated
from uuid import UUID

from litestar import Response
from litestar.openapi.spec import OpenAPIMediaType, OpenAPIResponse, OpenAPIType, Operation, Schema
from litestar.params import Dependency, Parameter

from veza.access.actor import Me
from veza.core.http import InTx, Reply, Route, TheExchange, reply
from veza.core.idempotency import claim_body
from veza.core.pages import MAX_LIMIT, MAX_PAGE, Page
from veza.rooms.marketplace import delivering, payouts
from veza.rooms.marketplace.delivery_schemas import (
    Delivery,
    DeliveryDraft,
    RevisionDraft,
    ServiceDetail,
    ServiceList,
)
from veza.rooms.marketplace.money import Currency
from veza.rooms.marketplace.money_schemas import (
    Balance,
    Format,
    PayoutDraft,
    PayoutList,
    PayoutSettlement,
    PayoutStatus,
    PayoutView,
    Statement,
)
from veza.rooms.marketplace.statements import Statements, span_of
from veza.rooms.marketplace.terms import TheTerms

TheStatements = Annotated[Statements, Dependency(skip_validation=True)]


@dataclass
class _Stating(Operation):
    """The API document's words for an answer that may be a CSV, too."""

    def __post_init__(self) -> None:
        answer = (self.responses or {})["200"]
        if isinstance(answer, OpenAPIResponse) and answer.content:
            found = answer.content["application/json"].schema
            if isinstance(found, Schema) and found.one_of:
                answer.content["application/json"].schema = found.one_of[0]
            answer.content["text/csv"] = OpenAPIMediaType(Schema(type=OpenAPIType.STRING))


_SERVICE = "/marketplace/orders/{order_id:str}/services/{product_id:str}"


@Route("/marketplace/sales/deliveries", http_method="GET")
async def list_services(
    tx: InTx,
    actor: Me,
    page: Annotated[int, Parameter(ge=1, le=MAX_PAGE)] = 1,
    limit: Annotated[int, Parameter(ge=1, le=MAX_LIMIT)] = 20,
    delivery: Delivery | None = None,
) -> ServiceList:
    """List the services that you sold."""
    return await delivering.list_sold(tx, actor, delivery, Page(page, limit))


@Route(_SERVICE, http_method="GET")
async def get_service(
    tx: InTx, actor: Me, terms: TheTerms, order_id: UUID, product_id: UUID
) -> Reply[ServiceDetail]:
    """Get a service that was ordered, and all that was delivered for it."""
    _, item = await delivering.get_visible(tx, actor, order_id, product_id)
    return reply(await delivering.detail(tx, item, terms))


@Route(f"{_SERVICE}/deliver", http_method="POST", status_code=200)
async def deliver_service(
    tx: InTx,
    actor: Me,
    exchange: TheExchange,
    terms: TheTerms,
    order_id: UUID,
    product_id: UUID,
    data: DeliveryDraft,
) -> Reply[ServiceDetail]:
    """Deliver a service that you sold."""
    await claim_body(
        tx, exchange, actor.id, f"POST /marketplace/orders/{order_id}/services/{product_id}/deliver", data
    )
    return reply(await delivering.deliver(tx, actor, order_id, product_id, data, terms))


@Route(f"{_SERVICE}/accept", http_method="POST", status_code=200)
async def accept_service(
    tx: InTx, actor: Me, terms: TheTerms, order_id: UUID, product_id: UUID
) -> Reply[ServiceDetail]:
    """Accept a service that was delivered to you."""
    return reply(await delivering.accept(tx, actor, order_id, product_id, terms))


@Route(f"{_SERVICE}/revision", http_method="POST", status_code=200)
async def ask_for_revision(
    tx: InTx,
    actor: Me,
    exchange: TheExchange,
    terms: TheTerms,
    order_id: UUID,
    product_id: UUID,
    data: RevisionDraft,
) -> Reply[ServiceDetail]:
    """Ask for a revision of a service that was delivered to you."""
    await claim_body(
        tx, exchange, actor.id, f"POST /marketplace/orders/{order_id}/services/{product_id}/revision", data
    )
    return reply(await delivering.send_back(tx, actor, order_id, product_id, data.reason, terms))


@Route("/marketplace/balance", http_method="GET")
async def get_balance(tx: InTx, actor: Me, currency: Currency = "EUR") -> Reply[Balance]:
    """Get what you have."""
    return reply(await payouts.balance(tx, actor, currency))


@Route("/marketplace/statement", http_method="GET", operation_class=_Stating)
async def get_statement(
    tx: InTx,
    actor: Me,
    statements: TheStatements,
    start_date: date | None = None,
    end_date: date | None = None,
    format: Format = "json",  # noqa: A002 - the parameter's name on the wire
    page: Annotated[int, Parameter(ge=1, le=MAX_PAGE)] = 1,
    limit: Annotated[int, Parameter(ge=1, le=MAX_LIMIT)] = 20,
) -> Statement | Response[bytes]:
    """Get what changed your balance."""
    return await statements.answer(tx, span_of(actor, start_date, end_date), Page(page, limit), format)


@Route("/marketplace/payouts", http_method="POST", status_code=201)
async def ask_for_payout(
    tx: InTx, actor: Me, exchange: TheExchange, terms: TheTerms, data: PayoutDraft
) -> Reply[PayoutView]:
    """Ask to be paid what you have."""
    await claim_body(tx, exchange, actor.id, "POST /marketplace/payouts", data)
    return reply(await payouts.ask(tx, actor, data, terms))


@Route("/marketplace/payouts", http_method="GET")
async def list_payouts(
    tx: InTx,
    actor: Me,
    page: Annotated[int, Parameter(ge=1, le=MAX_PAGE)] = 1,
    limit: Annotated[int, Parameter(ge=1, le=MAX_LIMIT)] = 20,
) -> PayoutList:
    """List your payouts."""
    return await payouts.list_own(tx, actor, Page(page, limit))


@Route("/admin/payouts", http_method="GET")
async def list_all_payouts(
    tx: InTx,
    actor: Me,
    page: Annotated[int, Parameter(ge=1, le=MAX_PAGE)] = 1,
    limit: Annotated[int, Parameter(ge=1, le=MAX_LIMIT)] = 20,
    status: PayoutStatus = "requested",
) -> PayoutList:
    """List everybody's payouts."""
    return await payouts.list_all(tx, actor, status, Page(page, limit))


@Route("/admin/payouts/{payout_id:str}", http_method="PUT")
async def settle_payout(tx: InTx, actor: Me, payout_id: UUID, data: PayoutSettlement) -> Reply[PayoutView]:
    """Say that a payout was paid, or has failed."""
    return reply(await payouts.settle(tx, actor, payout_id, data))


ROUTES = [
    list_services, get_service, deliver_service, accept_service, ask_for_revision, get_balance,
    get_statement, ask_for_payout, list_payouts, list_all_payouts, settle_payout,
]  # fmt: skip
