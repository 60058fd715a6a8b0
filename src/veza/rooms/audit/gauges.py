"""How far sealing is behind: for whoever watches the server."""

from veza.core import clock
from veza.core.db import Tx
from veza.core.gauges import Figure, Look
from veza.rooms.audit import sealing_store, verifying_store


def look_at_seals() -> Look:
    """How many events wait to be sealed, and for how long: till then nothing tells of changes to them."""
    return Look(
        "audit",
        [
            Figure("veza_audit_queued", "Events that are to be sealed into the audit log."),
            Figure("veza_audit_late_seconds", "How long the first of them has waited."),
        ],
        how_late,
    )


async def how_late(view: Tx) -> tuple[int, float]:
    """How many events wait to be sealed, and for how many seconds the first of them has."""
    since = await sealing_store.find_waiting_since(view)
    late = 0.0 if since is None else max((clock.now() - since).total_seconds(), 0.0)
    return await verifying_store.count_queued(view), late
