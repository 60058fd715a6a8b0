"""The SQL of what people prove themselves by: password hashes, TOTP secrets, recovery codes."""

from collections.abc import Iterable
from datetime import datetime
from uuid import UUID

import msgspec
import sqlalchemy as sa

from veza.access.secrets import digest
from veza.core import clock
from veza.core.db import Statement, Tx
from veza.core.errors import InvalidToken
from veza.rooms.accounts.tables import mail_tokens, users
from veza.rooms.sessions.tables import recovery_codes


class Account(msgspec.Struct, frozen=True):
    """A user, and what they prove themselves by."""

    id: UUID
    username: str
    email: str
    email_verified: bool
    role: str
    password_hash: str
    suspended_at: datetime | None
    totp_secret: bytes | None
    totp_enabled_at: datetime | None
    totp_last_step: int | None
    created_at: datetime

    def __repr__(self) -> str:
        """Nothing that a log should not hold."""
        return f"Account({self.id})"

    @property
    def two_factor(self) -> bool:
        """Whether a login takes a second factor."""
        return self.totp_enabled_at is not None


_columns = [users.c[field.name] for field in msgspec.structs.fields(Account)]
_by_id = users.c.id == sa.bindparam("user_id")

_FIND = Statement(sa.select(*_columns).where(_by_id), Account)
_LOCK = Statement(sa.select(*_columns).where(_by_id).with_for_update(), Account)
_FIND_BY_EMAIL = Statement(sa.select(*_columns).where(users.c.email_key == sa.bindparam("key")), Account)
# Without using the link up: a password is only hashed for one that may be good.
_FIND_BY_LINK = Statement(
    sa.select(*_columns)
    .join(mail_tokens, mail_tokens.c.user_id == users.c.id)
    .where(
        mail_tokens.c.digest == sa.bindparam("token_digest"),
        mail_tokens.c.purpose == sa.bindparam("purpose"),
        mail_tokens.c.expires_at > sa.bindparam("now"),
    ),
    Account,
)
_DROP_LINKS: Statement[None] = Statement(
    sa.delete(mail_tokens).where(
        mail_tokens.c.user_id == sa.bindparam("user_id"), mail_tokens.c.purpose == sa.bindparam("purpose")
    )
)
_SET_PASSWORD: Statement[None] = Statement(
    sa.update(users)
    .where(_by_id, users.c.password_hash == sa.bindparam("old"))
    .values(password_hash=sa.bindparam("new"))
)
_SET_TOTP: Statement[None] = Statement(
    sa.update(users)
    .where(_by_id)
    .values(
        totp_secret=sa.bindparam("secret"),
        totp_enabled_at=sa.bindparam("enabled_at"),
        totp_last_step=sa.bindparam("step"),
    )
)
_SET_STEP: Statement[None] = Statement(
    sa.update(users).where(_by_id).values(totp_last_step=sa.bindparam("step"))
)
_own_codes = recovery_codes.c.user_id == sa.bindparam("user_id")
_ADD_CODE: Statement[None] = Statement(sa.insert(recovery_codes))
_USE_CODE: Statement[None] = Statement(
    sa.delete(recovery_codes).where(_own_codes, recovery_codes.c.digest == sa.bindparam("code_digest"))
)
_DROP_CODES: Statement[None] = Statement(sa.delete(recovery_codes).where(_own_codes))
_COUNT_CODES = Statement(sa.select(sa.func.count()).select_from(recovery_codes).where(_own_codes), int)


async def find(tx: Tx, user_id: UUID) -> Account | None:
    """The account with this id."""
    return await tx.first(_FIND, user_id=user_id)


async def require(tx: Tx, user_id: UUID) -> Account:
    """The account of somebody signed in. Raises InvalidToken when it is gone by now."""
    account = await find(tx, user_id)
    if account is None:
        raise InvalidToken
    return account


async def lock(tx: Tx, user_id: UUID) -> Account | None:
    """The account with this id, held until the transaction ends."""
    return await tx.first(_LOCK, user_id=user_id)


async def require_lock(tx: Tx, user_id: UUID) -> Account:
    """The same for somebody signed in. Raises InvalidToken when it is gone by now."""
    account = await lock(tx, user_id)
    if account is None:
        raise InvalidToken
    return account


async def find_by_email(tx: Tx, email_key: str) -> Account | None:
    """The account with this address."""
    return await tx.first(_FIND_BY_EMAIL, key=email_key)


async def find_by_link(tx: Tx, purpose: str, token: str) -> Account | None:
    """The account that a mailed link is for; the link stays good."""
    return await tx.first(_FIND_BY_LINK, token_digest=digest(token), purpose=purpose, now=clock.now())


async def drop_links(tx: Tx, purpose: str, user_id: UUID) -> None:
    """No link for this purpose, sent before, is good any longer."""
    await tx.run(_DROP_LINKS, user_id=user_id, purpose=purpose)


async def set_password(tx: Tx, user_id: UUID, *, old: str, new: str) -> bool:
    """Replace a password's hash; whether the old one still stood."""
    return await tx.run(_SET_PASSWORD, user_id=user_id, old=old, new=new) == 1


async def set_totp(
    tx: Tx, user_id: UUID, secret: bytes | None, enabled_at: datetime | None, step: int | None
) -> None:
    """Set all of the second factor: the sealed secret, since when it is asked for, the last step used."""
    await tx.run(_SET_TOTP, user_id=user_id, secret=secret, enabled_at=enabled_at, step=step)


async def set_step(tx: Tx, user_id: UUID, step: int) -> None:
    """Remember the step of the last code that was used."""
    await tx.run(_SET_STEP, user_id=user_id, step=step)


async def replace_codes(tx: Tx, user_id: UUID, digests: Iterable[bytes]) -> None:
    """Put these recovery codes in the place of those there were."""
    await tx.run(_DROP_CODES, user_id=user_id)
    await tx.run_many(_ADD_CODE, [{"user_id": user_id, "digest": code} for code in digests])


async def use_code(tx: Tx, user_id: UUID, code_digest: bytes) -> bool:
    """Strike a recovery code off; whether it was there."""
    return await tx.run(_USE_CODE, user_id=user_id, code_digest=code_digest) == 1


async def count_codes(tx: Tx, user_id: UUID) -> int:
    """How many recovery codes are left."""
    return await tx.first(_COUNT_CODES, user_id=user_id) or 0
