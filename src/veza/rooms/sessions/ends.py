"""What becomes of sessions when something happens to an account, in the very transaction."""

from veza.core.db import Tx
from veza.rooms.accounts.events import UserSuspended
from veza.rooms.sessions import store


async def end_all(tx: Tx, event: UserSuspended) -> None:
    """Whoever is suspended is signed out for good, and signs in anew when that is over."""
    await store.revoke_all(tx, event.user_id)
