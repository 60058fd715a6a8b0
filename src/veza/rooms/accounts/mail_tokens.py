"""Links in mails: secrets that work once, for one purpose, and only for the address they were sent to.

The database keeps their digests alone. A token is issued inside the job that sends it, so it never rests in
the queue. A repeated job issues another, and each of them works, until one is used: then all are dead.
"""

from datetime import timedelta
from uuid import UUID

from veza.access.secrets import digest, new_secret
from veza.core import clock
from veza.core.db import Tx
from veza.rooms.accounts import store
from veza.rooms.accounts.errors import TokenInvalid
from veza.rooms.accounts.store import Redeemed

VERIFY = "verify"
RESET = "reset"


async def issue(tx: Tx, purpose: str, user_id: UUID, email: str, ttl: timedelta) -> str:
    """A new token; whoever is given it can do ``purpose`` once within ``ttl``."""
    token = new_secret()
    await store.add_token(
        tx,
        digest=digest(token),
        purpose=purpose,
        user_id=user_id,
        email=email,
        expires_at=clock.now() + ttl,
    )
    return token


async def redeem(tx: Tx, purpose: str, token: str) -> Redeemed:
    """Use a token up, and all others for the same purpose with it.

    Of two who try at once, one succeeds. Raises :class:`TokenInvalid`, with one message for every reason.
    """
    found = await store.take_token(tx, digest(token), purpose)
    if found is None:
        raise TokenInvalid
    await store.drop_tokens(tx, found.user_id, purpose)
    return found
