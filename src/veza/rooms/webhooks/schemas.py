"""Webhooks as callers send and see them."""

from collections.abc import Sequence
from datetime import datetime
from functools import partial
from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec

from veza.core.body import checked
from veza.core.pages import Pagination
from veza.core.targets import TargetUrl
from veza.core.text import BadValue, clean_text
from veza.rooms.webhooks.catalogue import ALL, TYPES
from veza.rooms.webhooks.keys import Secret

MAX_DESCRIPTION = 500
HookState = Literal["active", "failing", "disabled"]
DeliveryStatus = Literal["pending", "delivered", "failed", "skipped"]

Description = Annotated[
    str, checked(partial(clean_text, max_chars=MAX_DESCRIPTION), maxLength=MAX_DESCRIPTION)
]


def _event(name: str) -> str:
    if name != ALL and name not in TYPES:
        raise BadValue("UNKNOWN_EVENT", f"There is no such event; there are {', '.join(TYPES)} and {ALL}.")
    return name


Events = Annotated[
    list[Annotated[str, checked(_event, enum=[*TYPES, ALL])]], msgspec.Meta(min_length=1, max_length=50)
]


class WebhookDraft(msgspec.Struct, frozen=True):
    """A webhook to be made; a ``secret`` is made where none is given. ``*`` stands for all events."""

    url: TargetUrl
    events: Events
    secret: Secret | None = None
    description: Description = ""
    enabled: bool = True
    ordered: bool = False


class WebhookChanges(msgspec.Struct, frozen=True):
    """What may be changed about a webhook; what is left out stays."""

    url: TargetUrl | msgspec.UnsetType = msgspec.UNSET
    events: Events | msgspec.UnsetType = msgspec.UNSET
    description: Description | msgspec.UnsetType = msgspec.UNSET
    enabled: bool | msgspec.UnsetType = msgspec.UNSET
    ordered: bool | msgspec.UnsetType = msgspec.UNSET


class Webhook(msgspec.Struct, frozen=True):
    """A webhook as its owner sees it.

    ``ordered``: one delivery at a time, in the order of the events. ``disabled_reason``: `owner`, `failing`
    or `gone`, where it is off. ``failing_since``: of the attempts that failed in a row, the first.
    """

    id: UUID
    url: str
    description: str
    events: Sequence[str]
    enabled: bool
    ordered: bool
    disabled_reason: str | None
    failing_since: datetime | None
    created_at: datetime
    updated_at: datetime


class NewWebhook(Webhook, frozen=True):
    """A webhook that was just made; its keys are shown this once."""

    api_key: str
    secret: str


class KeyDraft(msgspec.Struct, frozen=True):
    """The secret that is to sign from now on; one is made where none is given."""

    secret: Secret | None = None


class NewKeys(msgspec.Struct, frozen=True):
    """Keys that are shown this once; what signed before signs along until ``old_secret_until``."""

    api_key: str
    secret: str
    old_secret_until: datetime


class Tested(msgspec.Struct, frozen=True):
    """What became of a test event: `delivered` or `failed`; the status that came back, or what went wrong."""

    message: str
    status: Literal["delivered", "failed"]
    delivery_id: UUID
    response_status: int | None
    error: str | None
    latency_ms: int


class Stats(msgspec.Struct, frozen=True):
    """All webhooks of somebody together; an event counts once it is delivered or given up."""

    total_webhooks: int
    total_events: int
    successful_deliveries: int
    failed_deliveries: int


class Attempt(msgspec.Struct, frozen=True):
    """One attempt: the status that came back, or what went wrong; nothing else of the answer is kept."""

    at: datetime
    status: int | None
    error: str | None
    latency_ms: int


class Sent(msgspec.Struct, frozen=True):
    """The request of the last attempt, without the API key; ``body`` is the very text that was signed."""

    headers: dict[str, str]
    body: str


class Delivery(msgspec.Struct, frozen=True):
    """One event on its way to one webhook; ``id`` is the `webhook-id` that the receiver sees.

    ``status``: `pending` until it is `delivered`, `failed` (given up), or `skipped` (it was not to be sent).
    """

    id: UUID
    event: str
    event_at: datetime
    status: DeliveryStatus
    attempts: Sequence[Attempt]
    response_status: int | None
    error: str | None
    latency_ms: int | None
    next_attempt_at: datetime | None
    request: Sent | None
    concluded_at: datetime | None


class DeliveryBody(msgspec.Struct, frozen=True):
    """One delivery."""

    delivery: Delivery


class Deliveries(msgspec.Struct, frozen=True):
    """A part of a log, the newest first; ``next`` is what to ask for ``before``, and null at the end."""

    deliveries: Sequence[Delivery]
    next: UUID | None


class ReplayDraft(msgspec.Struct, frozen=True):
    """From when on events are to be delivered once more; with ``undelivered_only`` not those that arrived."""

    since: datetime
    undelivered_only: bool = False


class HookOwner(msgspec.Struct, frozen=True):
    """Whose webhook it is."""

    id: UUID
    username: str


class WatchedHook(msgspec.Struct, frozen=True):
    """A webhook as admins see it: of its address the host alone, for the rest may be a secret.

    ``pending``: deliveries to be made, counted up to 1,000. ``oldest_pending_at``: when the oldest event of
    these happened. ``last_attempt``: of what waits longest, or of what ended last, whichever was later.
    """

    id: UUID
    owner: HookOwner
    host: str
    state: HookState
    disabled_reason: str | None
    pending: int
    oldest_pending_at: datetime | None
    failing_since: datetime | None
    last_attempt: Attempt | None


class HookTotals(msgspec.Struct, frozen=True):
    """How many webhooks do well, fail, are off since they failed, and are off since their owner wants it.

    ``pending``: deliveries to be made, counted up to 10,000; the oldest event of these happened at
    ``oldest_pending_at``.
    """

    active: int
    failing: int
    disabled_by_failures: int
    disabled_by_owner: int
    pending: int
    oldest_pending_at: datetime | None


class HooksOverview(msgspec.Struct, frozen=True):
    """All webhooks in numbers, and a page of them, first those that are furthest behind."""

    totals: HookTotals
    webhooks: Sequence[WatchedHook]
    pagination: Pagination


class Envelope(msgspec.Struct, frozen=True):
    """What a receiver is sent: the event's type, when it happened, and what it is about."""

    type: str
    timestamp: datetime
    data: Any
