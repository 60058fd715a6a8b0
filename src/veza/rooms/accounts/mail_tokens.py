"""Links in mails: secrets that work once, for one purpose, and only for the address they were sent to.

The database keeps their digests alone. A token is issued inside the job that sends it, so it never rests in
the queue. A repeated job issues another, and each of them works, until one is used: then all are dead.
"""

from datetime import timedelta
from uuid import UUID

import msgspec
import sqlalchemy as sa

from veza.access.secrets import digest, new_secret
from veza.core import clock
from veza.core.db import Statement, Tx
from veza.rooms.accounts.errors import TokenInvalid
from veza.rooms.accounts.tables import mail_tokens

VERIFY = "verify"
RESET = "reset"


class Redeemed(msgspec.Struct, frozen=True):
    """Whom a token was for, and the address it was sent to."""

    user_id: UUID
    email: str


_INSERT: Statement[None] = Statement(sa.insert(mail_tokens))
_TAKE = Statement(
    sa.delete(mail_tokens)
    .where(
        mail_tokens.c.digest == sa.bindparam("token_digest"),
        mail_tokens.c.purpose == sa.bindparam("purpose"),
        mail_tokens.c.expires_at > sa.bindparam("now"),
    )
    .returning(mail_tokens.c.user_id, mail_tokens.c.email),
    Redeemed,
)
_DROP_REST: Statement[None] = Statement(
    sa.delete(mail_tokens).where(
        mail_tokens.c.user_id == sa.bindparam("user_id"), mail_tokens.c.purpose == sa.bindparam("purpose")
    )
)
_PURGE: Statement[None] = Statement(
    sa.delete(mail_tokens).where(mail_tokens.c.expires_at <= sa.bindparam("now"))
)


async def issue(tx: Tx, purpose: str, user_id: UUID, email: str, ttl: timedelta) -> str:
    """A new token; whoever is given it can do ``purpose`` once within ``ttl``."""
    token = new_secret()
    await tx.run(
        _INSERT,
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
    found = await tx.first(_TAKE, token_digest=digest(token), purpose=purpose, now=clock.now())
    if found is None:
        raise TokenInvalid
    await tx.run(_DROP_REST, user_id=found.user_id, purpose=purpose)
    return found


async def purge(tx: Tx) -> None:
    """Forget what has expired."""
    await tx.run(_PURGE, now=clock.now())
