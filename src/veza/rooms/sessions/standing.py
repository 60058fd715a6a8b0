"""Who somebody would be if they asked now, for what is done in their name while they are away."""

from uuid import UUID

from veza.access.actor import Actor
from veza.core.db import Tx
from veza.rooms.accounts import profiles
from veza.rooms.sessions import store


async def find_owner(tx: Tx, user_id: UUID) -> Actor | None:
    """Somebody as the owner of their things, and without what their role would let them see besides.

    None for whoever is suspended or has no account any more.
    """
    found = await profiles.list_by_ids(tx, [user_id])
    if not found or found[0].suspended_at is not None:
        return None
    hidden = frozenset(await store.list_hidden(tx, user_id))
    return Actor(id=user_id, username=found[0].username, hidden=hidden)
