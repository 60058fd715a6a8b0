"""How far deliveries are behind, and how many receivers fail: for whoever watches the server."""

from veza.core import clock
from veza.core.db import Tx
from veza.core.gauges import Figure, Look
from veza.rooms.webhooks import queues_store


def look_at_queues() -> Look:
    """How late the next delivery is by our fault, and how many hooks have receivers that fail.

    A delivery that waits for another try is not late before then: a receiver that fails delays nothing.
    """
    return Look(
        "webhooks",
        [
            Figure("veza_webhooks_late_seconds", "How long the next delivery has been due."),
            Figure("veza_webhooks_failing", "Hooks whose receivers fail."),
        ],
        how_late,
    )


async def how_late(view: Tx) -> tuple[float, int]:
    """For how many seconds the next delivery has been due, and how many hooks have receivers that fail."""
    now = clock.now()
    due = await queues_store.oldest_due(view, now)
    late = 0.0 if due is None else max((now - due).total_seconds(), 0.0)
    return late, await queues_store.count_failing(view)
