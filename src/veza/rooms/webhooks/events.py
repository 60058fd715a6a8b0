"""What happens to webhooks; ``user_id`` is the owner, whom it concerns."""

from typing import ClassVar
from uuid import UUID

from veza.core.events import Event


class WebhookCreated(Event, frozen=True):
    """Somebody has the server tell a program of theirs what happens."""

    kind: ClassVar[str] = "webhook.created"
    webhook_id: UUID
    user_id: UUID


class WebhookUpdated(Event, frozen=True):
    """A webhook leads elsewhere, hears of other events, or was turned on or off: ``changed`` says."""

    kind: ClassVar[str] = "webhook.updated"
    webhook_id: UUID
    user_id: UUID
    changed: tuple[str, ...]


class WebhookDeleted(Event, frozen=True):
    """A webhook is gone."""

    kind: ClassVar[str] = "webhook.deleted"
    webhook_id: UUID
    user_id: UUID


class WebhookKeysChanged(Event, frozen=True):
    """A webhook has another API key and another secret; the old secret signs along for a day."""

    kind: ClassVar[str] = "webhook.keys_changed"
    webhook_id: UUID
    user_id: UUID


class WebhookDisabled(Event, frozen=True):
    """A webhook was turned off, for it failed for days (`failing`) or its receiver says that it is `gone`.

    Only the ``host`` is told, for an address is often a secret itself.
    """

    kind: ClassVar[str] = "webhook.disabled"
    webhook_id: UUID
    user_id: UUID
    reason: str
    host: str = ""


class WebhookRetried(Event, frozen=True):
    """An admin had a webhook tried again at once; ``turned_on`` where it had been off since it failed."""

    kind: ClassVar[str] = "webhook.retried"
    webhook_id: UUID
    user_id: UUID
    turned_on: bool


class WebhookTargetForbidden(Event, frozen=True):
    """Somebody wanted requests sent to an address that is no stranger's server; there may be no webhook."""

    kind: ClassVar[str] = "webhook.target_forbidden"
    webhook_id: UUID | None
    user_id: UUID
    host: str
