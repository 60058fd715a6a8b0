"""All SQL about products, their files and their words."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from functools import cache
from typing import Any
from uuid import UUID

import msgspec
import sqlalchemy as sa

from veza.core import clock
from veza.core.db import Statement, Tx, any_of
from veza.core.pages import Page
from veza.rooms.marketplace.tables import order_items, product_files, products

P = products.c
F = product_files.c
# Lists are counted, and paged through, no further than this.
MOST_COUNTED = 10_000
# Beyond this offset a page takes milliseconds to walk to.
DEEP = 1_000
# On sale; and what is again as soon as its seller is suspended no more, which callers see as archived.
ACTIVE, CLOSED = "active", "closed"


class Product(msgspec.Struct, frozen=True):
    """A product; its price in minor units."""

    id: UUID
    seller_id: UUID | None
    title: str
    description: str
    price: int
    currency: str
    product_type: str
    license_type: str
    status: str
    track_id: UUID | None
    created_at: datetime
    updated_at: datetime
    taken_down_at: datetime | None = None

    @property
    def user_id(self) -> UUID | None:
        """The owner, for the policy."""
        return self.seller_id

    @property
    def exclusive(self) -> bool:
        """Whether it sells once."""
        return self.license_type == "exclusive"


class ProductFile(msgspec.Struct, frozen=True):
    """One of the files that a product is of; ``size`` in bytes."""

    product_id: UUID
    position: int
    track_id: UUID | None
    upload_id: UUID | None
    key: str
    filename: str
    mime: str
    size: int


class Rival(msgspec.Struct, frozen=True):
    """Another product with the same track or upload."""

    id: UUID
    license_type: str
    product_type: str
    taken_down_at: datetime | None


class ProductFilter(msgspec.Struct, frozen=True):
    """Which products, in which order; ``own`` lists those of ``seller_id`` whatever their status.

    Those of the ``hidden`` sellers are left out.
    """

    seller_id: UUID | None = None
    product_type: str | None = None
    status: str | None = None
    least: int | None = None
    most: int | None = None
    sort: str = "created_at"
    descending: bool = True
    own: bool = False
    hidden: frozenset[UUID] = frozenset()

    @property
    def by(self) -> tuple[str, ...]:
        """What it filters by, beside the status that everybody sees."""
        names = ("seller_id", "product_type", "status", "least", "most")
        found = tuple(name for name in names if getattr(self, name) is not None)
        return (*found, "hidden") if self.hidden else found

    @property
    def visible_to_all(self) -> "ProductFilter":
        """The same with nobody hidden."""
        return msgspec.structs.replace(self, hidden=frozenset()) if self.hidden else self

    @property
    def values(self) -> dict[str, Any]:
        """The parameters of its statements."""
        return {name: getattr(self, name) for name in self.by}


def _status(*names: str) -> sa.ColumnElement[bool]:
    """Any of these; a list of literals would be compiled anew each time."""
    return sa.or_(*(P.status == name for name in names))


_ALL = sa.select(*(products.c[name] for name in Product.__struct_fields__))
_one = P.id == sa.bindparam("id")
_FIND = Statement(_ALL.where(_one), Product)
_LOCK = Statement(_ALL.where(_one).with_for_update(), Product)
_SOME = Statement(_ALL.where(any_of(P.id, "ids")), Product)
# The smallest first, as everywhere.
_HOLD = Statement(_ALL.where(any_of(P.id, "ids")).order_by(P.id).with_for_update(), Product)
_OF_SELLER = Statement(_ALL.where(P.seller_id == sa.bindparam("seller")).order_by(P.id), Product)
_STANDING = Statement(
    sa.select(P.id)
    .where(P.seller_id == sa.bindparam("seller"), P.status == sa.bindparam("status"))
    .order_by(P.id)
    .limit(sa.bindparam("limit", type_=sa.BigInteger)),
    UUID,
)
_INSERT: Statement[None] = Statement(sa.insert(products))
_ADD_FILE: Statement[None] = Statement(sa.insert(product_files))
_files = sa.select(*(product_files.c[name] for name in ProductFile.__struct_fields__))
_FILES = Statement(_files.where(any_of(F.product_id, "ids")).order_by(F.product_id, F.position), ProductFile)
_active_with = (
    sa.select(P.id)
    .select_from(products.join(product_files, F.product_id == P.id))
    .where(_status("draft", ACTIVE, CLOSED))
)
_WITH_TRACK = Statement(_active_with.where(F.track_id == sa.bindparam("track")), UUID)
_WITH_UPLOAD = Statement(_active_with.where(F.upload_id == sa.bindparam("upload")), UUID)
_OFFERED = Statement(
    sa.select(F.track_id)
    .select_from(products.join(product_files, F.product_id == P.id))
    .where(any_of(F.track_id, "tracks"), _status(ACTIVE, CLOSED, "sold"))
    .distinct(),
    UUID,
)
_RIVALS = Statement(
    sa.select(P.id, P.license_type, P.product_type, P.taken_down_at)
    .select_from(products.join(product_files, F.product_id == P.id))
    .where(
        sa.or_(any_of(F.track_id, "tracks"), any_of(F.upload_id, "uploads")),
        P.id != sa.bindparam("besides"),
        sa.or_(_status("draft", ACTIVE, CLOSED, "sold"), P.taken_down_at.is_not(None)),
    )
    .distinct(),
    Rival,
)
_HOLD_WITH_KEY = Statement(
    sa.select(P.id)
    .where(P.id.in_(sa.select(F.product_id).where(F.key == sa.bindparam("key"))))
    .order_by(P.id)
    .with_for_update(),
    UUID,
)
_ORDERED = sa.exists(sa.select(1).where(order_items.c.product_id == P.id))
_mine = P.seller_id == sa.bindparam("seller")
_DROP_UNSOLD: Statement[None] = Statement(sa.delete(products).where(_mine, ~_ORDERED))
_RETIRE: Statement[None] = Statement(
    sa.update(products)
    .where(_mine)
    .values(
        seller_id=None,
        status=sa.case((P.status == "sold", "sold"), else_="archived"),
        updated_at=sa.bindparam("now"),
    )
)


async def find(tx: Tx, product_id: UUID) -> Product | None:
    """The product, whoever asks."""
    return await tx.first(_FIND, id=product_id)


async def lock(tx: Tx, product_id: UUID) -> Product | None:
    """The same; nobody else changes it until ``tx`` is over."""
    return await tx.first(_LOCK, id=product_id)


async def list_some(tx: Tx, ids: Sequence[UUID]) -> dict[UUID, Product]:
    """Those of these products that there are."""
    return {product.id: product for product in await tx.all(_SOME, ids=ids)}


async def hold(tx: Tx, ids: Sequence[UUID]) -> dict[UUID, Product]:
    """The same; nobody else changes or sells them until ``tx`` is over."""
    return {product.id: product for product in await tx.all(_HOLD, ids=ids)}


async def list_of(tx: Tx, seller_id: UUID) -> list[Product]:
    """Everything that somebody sells or sold."""
    return await tx.all(_OF_SELLER, seller=seller_id)


async def list_standing(tx: Tx, seller_id: UUID, status: str, most: int) -> list[UUID]:
    """So many of somebody's products that have this status."""
    return await tx.all(_STANDING, seller=seller_id, status=status, limit=most)


async def add(tx: Tx, product: Product, files: Sequence[ProductFile]) -> None:
    """Write a new product with its files."""
    await tx.run(_INSERT, **msgspec.structs.asdict(product))
    await tx.run_many(_ADD_FILE, [msgspec.structs.asdict(file) for file in files])


async def change(tx: Tx, product: Product, **changes: Any) -> Product:
    """Change columns of a product that is locked; what it is afterwards."""
    after = msgspec.structs.replace(product, **changes, updated_at=clock.now())
    names = (*sorted(changes), "updated_at")
    await tx.run(
        _update_statement(names), product_id=product.id, **{f"new_{n}": getattr(after, n) for n in names}
    )
    return after


@cache
def _update_statement(names: tuple[str, ...]) -> Statement[None]:
    values = {name: sa.bindparam(f"new_{name}", type_=products.c[name].type) for name in names}
    return Statement(sa.update(products).where(P.id == sa.bindparam("product_id")).values(**values))


async def files_of(tx: Tx, product_ids: Iterable[UUID]) -> list[ProductFile]:
    """The files of these products, in their order."""
    return await tx.all(_FILES, ids=list(product_ids))


async def list_with_track(tx: Tx, track_id: UUID) -> list[UUID]:
    """Which products that are or may come on sale have this track in them."""
    return await tx.all(_WITH_TRACK, track=track_id)


async def list_with_upload(tx: Tx, upload_id: UUID) -> list[UUID]:
    """The same of an upload."""
    return await tx.all(_WITH_UPLOAD, upload=upload_id)


async def offered(tx: Tx, track_ids: Sequence[UUID]) -> set[UUID]:
    """Which of these tracks are on sale, by themselves or in a pack, or were sold for good."""
    return set(await tx.all(_OFFERED, tracks=track_ids)) if track_ids else set()


async def list_rivals(tx: Tx, files: Sequence[ProductFile], besides: UUID) -> list[Rival]:
    """Other products with any of these tracks or uploads, but for what its seller has archived."""
    tracks = [file.track_id for file in files if file.track_id]
    uploads = [file.upload_id for file in files if file.upload_id]
    return await tx.all(_RIVALS, tracks=tracks, uploads=uploads, besides=besides) if files else []


async def hold_with_key(tx: Tx, key: str) -> list[UUID]:
    """Which products have this file in them; none of them is sold until ``tx`` is over."""
    return await tx.all(_HOLD_WITH_KEY, key=key)


async def retire_of(tx: Tx, seller_id: UUID) -> None:
    """What a seller never sold goes with their account; the rest stays for its buyers, and is nobody's."""
    await tx.run(_DROP_UNSOLD, seller=seller_id)
    await tx.run(_RETIRE, seller=seller_id, now=clock.now())


async def page(tx: Tx, wanted: ProductFilter, page: Page, total: int) -> list[Product]:
    """One page of a list that finds so many in ``total``."""
    plan = "plain"
    if wanted.sort != "price" and {"least", "most"} & set(wanted.by):
        plan = "few" if total <= MOST_COUNTED else "many"
    statement = _page_statement(
        wanted.by, wanted.sort, descending=wanted.descending, own=wanted.own, plan=plan,
        heavy=plan != "plain" or page.offset >= DEEP or bool(wanted.hidden),
    )  # fmt: skip
    return await tx.all(statement, **wanted.values, limit=page.limit, offset=page.offset)


async def count(tx: Tx, wanted: ProductFilter) -> int:
    """How many products a filter finds; one more than :data:`MOST_COUNTED` where they are more.

    What hidden users sell is taken away where all is counted; beyond that nobody looks how much it is.
    """
    everything = wanted.visible_to_all
    total = await tx.first(_count_statement(everything.by, own=wanted.own), **everything.values) or 0
    if not wanted.hidden or total > MOST_COUNTED:
        return total
    by = (*everything.by, "hidden_alone")
    values = everything.values | {"hidden": wanted.hidden}
    return total - (await tx.first(_count_statement(by, own=False), **values) or 0)


@cache
def _page_statement(
    by: tuple[str, ...], sort: str, *, descending: bool, own: bool, plan: str, heavy: bool
) -> Statement[Product]:
    """A page as an index has it, or within a range of prices in another order.

    Then ``few`` are read by price and put in order; ``many`` are met soon by whoever goes along the order.
    """
    source: sa.FromClause = products
    conditions = fitting(by, own=own, price=P.price + 0 if plan == "many" else P.price)
    if plan == "few":
        few = sa.select(P.id, products.c[sort]).where(*conditions).order_by(P.price).limit(MOST_COUNTED)
        source, conditions = few.subquery(), []
    there = _ordering(source.c[sort], source.c.id, descending=descending)
    ids = sa.select(source.c.id).where(*conditions).order_by(*there)
    ids = ids.limit(sa.bindparam("limit", type_=sa.BigInteger))
    found = ids.offset(sa.bindparam("offset", type_=sa.BigInteger)).subquery("found")
    joined = _ALL.select_from(found.join(products, P.id == found.c.id))
    return Statement(
        joined.order_by(*_ordering(products.c[sort], P.id, descending=descending)), Product, heavy=heavy
    )


def _ordering(*columns: sa.ColumnElement[Any], descending: bool) -> list[sa.ColumnElement[Any]]:
    return [column.desc() if descending else column.asc() for column in columns]


@cache
def _count_statement(by: tuple[str, ...], *, own: bool) -> Statement[int]:
    some = sa.select(P.id).where(*fitting(by, own=own)).limit(MOST_COUNTED + 1).subquery()
    return Statement(sa.select(sa.func.count()).select_from(some), int, heavy=True)


def fitting(
    by: tuple[str, ...], *, own: bool, price: sa.ColumnElement[int] = P.price
) -> list[sa.ColumnElement[bool]]:
    """What a product has to fulfil; the status stands as it is in the indexes.

    Of a ``price`` that is calculated the databases know that its index is of no use.
    """
    found = [products.c[name] == sa.bindparam(name) for name in by if name in products.c]
    if "least" in by:
        found.append(price >= sa.bindparam("least", type_=sa.BigInteger))
    if "most" in by:
        found.append(price <= sa.bindparam("most", type_=sa.BigInteger))
    if "hidden" in by:
        found.append(sa.not_(any_of(P.seller_id, "hidden")))
    if "hidden_alone" in by:
        found.append(any_of(P.seller_id, "hidden"))
    return found if own else [*found, P.status == sa.literal_column("'active'")]
