"""The marketplace over HTTP."""

from decimal import Decimal
from typing import Annotated
from uuid import UUID

from litestar import Response
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import Dependency, Parameter

from veza.access.actor import Me, Viewer
from veza.core.http import Bytes, InTx, Reply, Route, TheExchange, check_unchanged, reply
from veza.core.idempotency import claim_body
from veza.core.pages import MAX_LIMIT, MAX_PAGE, Page
from veza.rooms.marketplace import orders, products, settling, takings
from veza.rooms.marketplace.copies import Format
from veza.rooms.marketplace.downloads import TheDownloads, Wanted
from veza.rooms.marketplace.money import asked_range
from veza.rooms.marketplace.order_schemas import (
    MOST_DAYS,
    Link,
    OrderDraft,
    OrderList,
    OrderView,
    Preparing,
    Sales,
)
from veza.rooms.marketplace.products_store import ProductFilter
from veza.rooms.marketplace.schemas import (
    MAX_TITLE,
    ProductChanges,
    ProductDetail,
    ProductDraft,
    ProductList,
    ProductType,
    ProductView,
    SortBy,
    SortOrder,
    Status,
)
from veza.rooms.marketplace.terms import TheTerms
from veza.rooms.tracks.downloads import TheNotes

InFormat = Annotated[Format, Parameter(query="format")]
TheShop = Annotated[orders.Shop, Dependency(skip_validation=True)]


@Route("/marketplace/products", http_method="GET", opt={"public": True})
async def list_products(
    tx: InTx,
    viewer: Viewer,
    page: Annotated[int, Parameter(ge=1, le=MAX_PAGE)] = 1,
    limit: Annotated[int, Parameter(ge=1, le=MAX_LIMIT)] = 20,
    status: Status | None = None,
    seller_id: UUID | None = None,
    product_type: ProductType | None = None,
    min_price: Decimal | None = None,
    max_price: Decimal | None = None,
    q: Annotated[str, Parameter(max_length=MAX_TITLE)] = "",
    sort_by: SortBy = "created_at",
    sort_order: SortOrder = "desc",
) -> ProductList:
    """List products."""
    least, most = asked_range(min_price, max_price)
    wanted = ProductFilter(
        seller_id=seller_id, product_type=product_type, status=status, least=least, most=most, sort=sort_by,
        descending=sort_order == "desc",
    )  # fmt: skip
    return await products.list_products(tx, viewer, Page(page, limit), wanted, q)


@Route("/marketplace/products", http_method="POST", status_code=201)
async def create_product(
    tx: InTx, actor: Me, exchange: TheExchange, shop: TheShop, data: ProductDraft
) -> Reply[ProductView]:
    """Offer a product."""
    await claim_body(tx, exchange, actor.id, "POST /marketplace/products", data)
    return reply(products.view(await products.create(tx, actor, data, verified_only=shop.verified_only)))


@Route("/marketplace/products/{product_id:str}", http_method="GET", opt={"public": True})
async def get_product(tx: InTx, viewer: Viewer, product_id: UUID) -> Reply[ProductDetail]:
    """Get a product."""
    return reply(await products.detail(tx, await products.get_visible(tx, viewer, product_id)))


@Route("/marketplace/products/{product_id:str}", http_method="PUT", opt={"also": (412,)})
async def update_product(
    tx: InTx, actor: Me, exchange: TheExchange, product_id: UUID, data: ProductChanges
) -> Reply[ProductDetail]:
    """Change a product, put it on sale or take it off."""
    product = await products.hold(tx, actor, product_id)
    check_unchanged(exchange, reply(await products.detail(tx, product)))
    return reply(await products.detail(tx, await products.update(tx, product, data)))


@Route("/marketplace/orders", http_method="POST", status_code=201)
async def create_order(
    tx: InTx, actor: Me, exchange: TheExchange, shop: TheShop, data: OrderDraft
) -> Reply[OrderView]:
    """Buy products."""
    return reply(await shop.order(tx, actor, exchange, data))


@Route("/marketplace/orders", http_method="GET")
async def list_orders(
    tx: InTx,
    actor: Me,
    page: Annotated[int, Parameter(ge=1, le=MAX_PAGE)] = 1,
    limit: Annotated[int, Parameter(ge=1, le=MAX_LIMIT)] = 20,
) -> OrderList:
    """List your orders."""
    return await orders.list_own(tx, actor, Page(page, limit))


@Route("/marketplace/orders/{order_id:str}", http_method="GET")
async def get_order(tx: InTx, actor: Me, order_id: UUID) -> Reply[OrderView]:
    """Get an order."""
    return reply(await orders.get_visible(tx, actor, order_id))


@Route("/marketplace/orders/{order_id:str}/refund", http_method="POST", status_code=200)
async def refund_order(tx: InTx, actor: Me, terms: TheTerms, order_id: UUID) -> Reply[OrderView]:
    """Give back what you sold in an order, or get your money back for services that are late."""
    return reply(await settling.refund(tx, actor, order_id, terms))


@Route("/marketplace/download/{product_id:str}", http_method="GET",
       responses={200: ResponseSpec(Reply[Link], generate_examples=False),
                  202: ResponseSpec(Reply[Preparing], generate_examples=False)},
       opt={"also": (409,)})  # fmt: skip
async def get_download(
    actor: Me,
    notes: TheNotes,
    downloads: TheDownloads,
    product_id: UUID,
    wanted: InFormat = "original",
    order_id: UUID | None = None,
) -> Reply[Link] | Bytes:
    """Get an address from which to download what you bought."""
    return await downloads.link(notes, actor, Wanted(product_id, wanted, order_id))


@Route("/marketplace/download/{product_id:str}/file", http_method="GET",
       media_type="application/octet-stream", opt={"also": (206, 304, 403, 409, 416)})  # fmt: skip
async def download_file(
    tx: InTx,
    notes: TheNotes,
    downloads: TheDownloads,
    product_id: UUID,
    wanted: InFormat = "original",
    order_id: UUID | None = None,
    sig: Annotated[str, Parameter(max_length=200)] = "",
) -> Response[bytes]:
    """Download what the address was signed for."""
    return await downloads.answer(tx, notes, Wanted(product_id, wanted, order_id), sig)


@Route("/marketplace/sales/orders", http_method="GET")
async def list_sold_orders(
    tx: InTx,
    actor: Me,
    page: Annotated[int, Parameter(ge=1, le=MAX_PAGE)] = 1,
    limit: Annotated[int, Parameter(ge=1, le=MAX_LIMIT)] = 20,
) -> OrderList:
    """List the orders in which you sold something."""
    return await orders.list_sold(tx, actor, Page(page, limit))


@Route("/marketplace/sales", http_method="GET")
async def get_sales(
    tx: InTx, actor: Me, days: Annotated[int, Parameter(ge=1, le=MOST_DAYS)] = 30
) -> Reply[Sales]:
    """Get what you sold."""
    return reply(await takings.of_seller(tx, actor, days))


ROUTES = [
    list_products, create_product, get_product, update_product, create_order, list_orders, get_order,
    refund_order, get_download, download_file, list_sold_orders, get_sales,
]  # fmt: skip
