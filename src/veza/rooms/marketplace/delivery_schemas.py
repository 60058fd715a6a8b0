"""Services that are delivered, as callers send and see them."""

from collections.abc import Sequence
from datetime import datetime
from functools import partial
from typing import Annotated, Literal
from uuid import UUID

import msgspec

from veza.core.body import checked
from veza.core.text import clean_text
from veza.rooms.marketplace.schemas import Standing

MAX_NOTE = 5_000
Delivery = Literal["ordered", "delivered", "revision", "accepted", "refunded"]
Note = Annotated[str, checked(partial(clean_text, max_chars=MAX_NOTE, multiline=True), maxLength=MAX_NOTE)]
Reason = Annotated[
    str,
    checked(
        partial(clean_text, max_chars=MAX_NOTE, min_chars=1, multiline=True), minLength=1, maxLength=MAX_NOTE
    ),
]


class DeliveryDraft(msgspec.Struct, frozen=True):
    """What a seller hands over for a service: a note, an uploaded file of theirs, or both."""

    note: Note = ""
    upload_id: UUID | None = None


class RevisionDraft(msgspec.Struct, frozen=True):
    """What a buyer wants changed."""

    reason: Reason


class HandedView(msgspec.Struct, frozen=True):
    """What was handed over once; ``size`` in bytes, ``reason`` what the buyer then wanted changed."""

    note: str
    filename: str | None
    mime: str | None
    size: int | None
    delivered_at: datetime
    reason: str | None
    returned_at: datetime | None


class ServiceView(msgspec.Struct, frozen=True):
    """A service that was ordered; what is delivered counts as accepted at ``due_at``."""

    order_id: UUID
    product_id: UUID
    title: str
    delivery: str
    ordered_at: datetime
    due_at: datetime | None


class ServiceDetail(ServiceView, frozen=True):
    """The same with all that was handed over, the latest last.

    While it waits for its seller, the buyer may give it back from ``late_at`` on.
    """

    handed_over: Sequence[HandedView] = ()
    late_at: datetime | None = None


class ServiceList(msgspec.Struct, frozen=True, kw_only=True):
    """A page of services, those that wait longest first; the list itself is ``data``, as of products."""

    success: Literal[True] = True
    data: Sequence[ServiceView]
    pagination: Standing
