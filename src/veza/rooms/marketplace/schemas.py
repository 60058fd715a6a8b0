"""Products as callers send and see them."""

from collections.abc import Sequence
from datetime import datetime
from functools import partial
from typing import Annotated, Literal
from uuid import UUID

import msgspec

from veza.core.body import checked
from veza.core.text import clean_text
from veza.rooms.marketplace.money import Currency, Price

ProductType = Literal["track", "pack", "service"]
LicenseType = Literal["standard", "extended", "exclusive"]
Status = Literal["draft", "active", "archived", "sold"]
SortBy = Literal["created_at", "price"]
SortOrder = Literal["asc", "desc"]

MAX_TITLE = 200
MAX_DESCRIPTION = 5_000
MOST_FILES = 500

Title = Annotated[
    str, checked(partial(clean_text, max_chars=MAX_TITLE, min_chars=1), minLength=1, maxLength=MAX_TITLE)
]
Description = Annotated[
    str,
    checked(partial(clean_text, max_chars=MAX_DESCRIPTION, multiline=True), maxLength=MAX_DESCRIPTION),
]
Ids = Annotated[list[UUID], msgspec.Meta(max_length=MOST_FILES)]


class ProductDraft(msgspec.Struct, frozen=True):
    """What somebody wants to sell: a track, a pack of tracks and uploads, or a service."""

    title: Title
    price: Price
    product_type: ProductType
    description: Description = ""
    license_type: LicenseType = "standard"
    currency: Currency = "EUR"
    status: Literal["draft", "active"] = "active"
    track_id: UUID | None = None
    track_ids: Ids = []
    upload_ids: Ids = []


class ProductChanges(msgspec.Struct, frozen=True):
    """What may be changed about a product; what is left out stays."""

    title: Title | msgspec.UnsetType = msgspec.UNSET
    description: Description | msgspec.UnsetType = msgspec.UNSET
    price: Price | msgspec.UnsetType = msgspec.UNSET
    status: Literal["draft", "active", "archived"] | msgspec.UnsetType = msgspec.UNSET


class ProductView(msgspec.Struct, frozen=True):
    """A product as callers see it; ``seller_id`` is None where the account is gone.

    Since ``taken_down_at`` somebody who moderates keeps it off sale.
    """

    id: UUID
    title: str
    description: str
    price: float
    currency: str
    status: str
    product_type: str
    license_type: str
    seller_id: UUID | None
    track_id: UUID | None
    created_at: datetime
    updated_at: datetime
    taken_down_at: datetime | None


class Content(msgspec.Struct, frozen=True):
    """A file that belongs to a product; ``size`` in bytes."""

    track_id: UUID | None
    filename: str
    mime: str
    size: int


class ProductDetail(ProductView, frozen=True):
    """A product with all that belongs to it."""

    contents: Sequence[Content] = ()


class Standing(msgspec.Struct, frozen=True):
    """Where a list stands: ``total`` things in ``total_pages`` pages of ``limit``.

    Beyond 10,000 things nothing is counted or paged through: then the total is not exact.
    """

    page: int
    limit: int
    total: int
    total_pages: int
    total_is_exact: bool


class ProductList(msgspec.Struct, frozen=True, kw_only=True):
    """A page of products; the list itself is ``data``, and beside it stands where it is."""

    success: Literal[True] = True
    data: Sequence[ProductView]
    pagination: Standing
