"""What can go wrong with webhooks."""

from veza.core.errors import Conflict, NotFound


class WebhookNotFound(NotFound):
    """There is no such webhook, or it is not yours."""

    code = "WEBHOOK_NOT_FOUND"


class DeliveryNotFound(NotFound):
    """This webhook has no such delivery, or no longer."""

    code = "DELIVERY_NOT_FOUND"


class TooManyWebhooks(Conflict):
    """You have as many webhooks as one may have; delete one first."""

    code = "TOO_MANY_WEBHOOKS"


class WebhookDisabled(Conflict):
    """This webhook is turned off; turn it on first."""

    code = "WEBHOOK_DISABLED"


class DeliveryPending(Conflict):
    """This is about to be delivered already."""

    code = "DELIVERY_PENDING"
