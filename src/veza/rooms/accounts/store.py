"""All SQL about users, the names they gave up, the links they were sent, and what they store."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from uuid import UUID

import msgspec
import sqlalchemy as sa

from veza.core import clock
from veza.core.db import Statement, Tx, any_of
from veza.core.ids import new_id
from veza.core.text import email_key, username_key
from veza.rooms.accounts.tables import former_usernames, mail_tokens, user_counts, users


class User(msgspec.Struct, frozen=True):
    """Somebody with an account; ``storage_used`` in bytes, ``avatar`` the folder of its files."""

    id: UUID
    username: str
    email: str
    email_verified: bool
    role: str
    bio: str | None
    first_name: str | None
    last_name: str | None
    location: str | None
    gender: str | None
    avatar: str | None
    two_factor_since: datetime | None
    suspended_at: datetime | None
    suspended_reason: str | None
    storage_used: int
    follower_count: int
    following_count: int
    created_at: datetime
    updated_at: datetime

    @property
    def user_id(self) -> UUID:
        """An account belongs to its user."""
        return self.id


class FormerUsername(msgspec.Struct, frozen=True):
    """A name that somebody gave up, and until when nobody else may have it."""

    username_key: str
    held_until: datetime


class Redeemed(msgspec.Struct, frozen=True):
    """Whom a token was for, and the address it was sent to."""

    user_id: UUID
    email: str


class Usage(msgspec.Struct, frozen=True):
    """The bytes a user holds, and the role that says how many they may."""

    storage_used: int
    role: str


U = users.c
M = mail_tokens.c
F = former_usernames.c
_columns = [
    U.totp_enabled_at.label(name) if name == "two_factor_since" else U[name]
    for name in User.__struct_fields__
]
_select = sa.select(*_columns)
_one = U.id == sa.bindparam("user_id")
_name = F.username_key == sa.bindparam("key")
_held = F.held_until > sa.bindparam("now")
# Written out, for only so does SQLite see that it may use the index on admins.
_is_admin = U.role == sa.literal_column("'admin'")

_INSERT: Statement[None] = Statement(sa.insert(users))
_FIND = Statement(_select.where(_one), User)
_SOME = Statement(_select.where(any_of(U.id, "ids")), User)
_LOCK = Statement(_select.where(_one).with_for_update(), User)
_BY_USERNAME = Statement(_select.where(U.username_key == sa.bindparam("key")), User)
_BY_EMAIL = Statement(_select.where(U.email_key == sa.bindparam("key")), User)
_PROFILE = ("username", "username_key", "bio", "first_name", "last_name", "location", "gender", "updated_at")
_SAVE: Statement[None] = Statement(
    sa.update(users)
    .where(_one)
    .values({U[name]: sa.bindparam(f"new_{name}", type_=U[name].type) for name in _PROFILE})
)
_VERIFY: Statement[None] = Statement(
    sa.update(users).where(_one, U.email_key == sa.bindparam("key")).values(email_verified=True)
)
_SET_AVATAR: Statement[None] = Statement(
    sa.update(users).where(_one).values(avatar=sa.bindparam("folder"), updated_at=sa.bindparam("at"))
)
_SET_ROLE: Statement[None] = Statement(sa.update(users).where(_one).values(role=sa.bindparam("new_role")))
_SET_SUSPENDED: Statement[None] = Statement(
    sa.update(users)
    .where(_one)
    .values(suspended_at=sa.bindparam("since"), suspended_reason=sa.bindparam("reason"))
)
_DELETE: Statement[None] = Statement(sa.delete(users).where(_one))
_ADD_COUNT: Statement[None] = Statement(
    sa.text(
        "INSERT INTO user_counts (scope, total) VALUES ('', :change) "
        "ON CONFLICT (scope) DO UPDATE SET total = user_counts.total + excluded.total"
    ).bindparams(sa.bindparam("change", type_=sa.BigInteger))
)
_ANYBODY = Statement(sa.select(sa.literal(1)).select_from(users).limit(1), int)
_COUNT = Statement(sa.select(user_counts.c.total).where(user_counts.c.scope == ""), int)
# Shared with whatever else they do; only the end of an account has to wait, and is waited for.
_STAY = Statement(
    sa.select(U.id).where(any_of(U.id, "ids")).order_by(U.id).with_for_update(read=True, key_share=True),
    UUID,
)
_STAY_OPEN = Statement(
    sa.select(U.id).where(_one, U.suspended_at.is_(None)).with_for_update(read=True, key_share=True), UUID
)
_SUSPENDED = Statement(sa.select(U.id).where(any_of(U.id, "ids"), U.suspended_at.is_not(None)), UUID)
_ALL_SUSPENDED = Statement(sa.select(U.id).where(U.suspended_at.is_not(None)), UUID, heavy=True)
_LOCK_ADMINS = Statement(
    sa.select(U.id).where(_is_admin, U.suspended_at.is_(None)).order_by(U.id).with_for_update(), UUID
)

_HOLDER = Statement(sa.select(F.user_id).where(_name, _held), UUID)
_HELD_FOR = Statement(
    sa.select(F.username_key, F.held_until).where(F.user_id == sa.bindparam("user_id"), _held), FormerUsername
)
_HOLD: Statement[None] = Statement(sa.insert(former_usernames))
_FREE: Statement[None] = Statement(sa.delete(former_usernames).where(_name))
_PURGE: Statement[None] = Statement(sa.delete(former_usernames).where(F.held_until <= sa.bindparam("now")))

_ADD_TOKEN: Statement[None] = Statement(sa.insert(mail_tokens))
_TAKE_TOKEN = Statement(
    sa.delete(mail_tokens)
    .where(
        M.digest == sa.bindparam("token_digest"),
        M.purpose == sa.bindparam("purpose"),
        M.expires_at > sa.bindparam("now"),
    )
    .returning(M.user_id, M.email),
    Redeemed,
)
_DROP_TOKENS: Statement[None] = Statement(
    sa.delete(mail_tokens).where(M.user_id == sa.bindparam("user_id"), M.purpose == sa.bindparam("purpose"))
)
_PURGE_TOKENS: Statement[None] = Statement(sa.delete(mail_tokens).where(M.expires_at <= sa.bindparam("now")))

_size = sa.bindparam("size", type_=sa.BigInteger)
_RESERVE: Statement[None] = Statement(
    sa.update(users)
    .where(_one, U.storage_used + _size <= sa.bindparam("most", type_=sa.BigInteger))
    .values(storage_used=U.storage_used + _size)
)
# Never below nothing: what was counted twice on the way out must not become room for more.
_RELEASE: Statement[None] = Statement(
    sa.update(users)
    .where(_one)
    .values(storage_used=sa.case((U.storage_used > _size, U.storage_used - _size), else_=0))
)
_USAGE = Statement(sa.select(U.storage_used, U.role).where(_one), Usage)


async def add(
    tx: Tx, *, username: str, email: str, email_verified: bool, password_hash: str, role: str
) -> User:
    """A new user. Raises :class:`veza.core.db.UniqueViolation`."""
    now = clock.now()
    user = User(
        id=new_id(),
        username=username,
        email=email,
        email_verified=email_verified,
        role=role,
        bio=None,
        first_name=None,
        last_name=None,
        location=None,
        gender=None,
        avatar=None,
        two_factor_since=None,
        suspended_at=None,
        suspended_reason=None,
        storage_used=0,
        follower_count=0,
        following_count=0,
        created_at=now,
        updated_at=now,
    )
    row = msgspec.structs.asdict(user)
    row["totp_enabled_at"] = row.pop("two_factor_since")
    await tx.run(
        _INSERT,
        **row,
        username_key=username_key(username),
        email_key=email_key(email),
        password_hash=password_hash,
        totp_secret=None,
        totp_last_step=None,
        has_blocks=False,
    )
    await tx.run(_ADD_COUNT, change=1)
    return user


async def is_anybody(tx: Tx) -> bool:
    """Whether there is any account; the rows themselves say it, and not what is counted of them."""
    return await tx.first(_ANYBODY) is not None


async def count_all(tx: Tx) -> int:
    """How many users there are."""
    return await tx.first(_COUNT) or 0


async def find(tx: Tx, user_id: UUID) -> User | None:
    """The user with this id."""
    return await tx.first(_FIND, user_id=user_id)


async def list_some(tx: Tx, ids: Sequence[UUID]) -> list[User]:
    """The users with these ids, in any order."""
    return await tx.all(_SOME, ids=ids) if ids else []


async def lock(tx: Tx, user_id: UUID) -> User | None:
    """The user with this id, whom nobody else changes until ``tx`` ends."""
    return await tx.first(_LOCK, user_id=user_id)


async def stay(tx: Tx, ids: Iterable[UUID]) -> set[UUID]:
    """Those of these users whom there is; none is deleted until ``tx`` is over."""
    return set(await tx.all(_STAY, ids=ids))


async def stay_open(tx: Tx, user_id: UUID) -> bool:
    """Whether this user has an account and is not suspended, which stays so until ``tx`` is over."""
    return await tx.first(_STAY_OPEN, user_id=user_id) is not None


async def suspended(tx: Tx, ids: Iterable[UUID]) -> set[UUID]:
    """Those of these users who are suspended."""
    return set(await tx.all(_SUSPENDED, ids=ids))


async def all_suspended(tx: Tx) -> list[UUID]:
    """Every user who is suspended."""
    return await tx.all(_ALL_SUSPENDED)


async def find_by_username(tx: Tx, username: str) -> User | None:
    """The user with this name, however it is capitalised."""
    return await tx.first(_BY_USERNAME, key=username_key(username))


async def find_by_email(tx: Tx, email: str) -> User | None:
    """The user with this normalised address, however it is capitalised."""
    return await tx.first(_BY_EMAIL, key=email_key(email))


async def save(tx: Tx, user: User) -> None:
    """Write the profile of ``user``. Raises :class:`veza.core.db.UniqueViolation`."""
    await tx.run(
        _SAVE,
        user_id=user.id,
        new_username=user.username,
        new_username_key=username_key(user.username),
        new_bio=user.bio,
        new_first_name=user.first_name,
        new_last_name=user.last_name,
        new_location=user.location,
        new_gender=user.gender,
        new_updated_at=user.updated_at,
    )


async def verify(tx: Tx, user_id: UUID, email: str) -> bool:
    """Mark the address as verified, if it is still the user's."""
    return await tx.run(_VERIFY, user_id=user_id, key=email_key(email)) == 1


async def set_avatar(tx: Tx, user_id: UUID, folder: str | None) -> None:
    """Where the files of the user's avatar lie."""
    await tx.run(_SET_AVATAR, user_id=user_id, folder=folder, at=clock.now())


async def set_suspended(tx: Tx, user_id: UUID, since: datetime | None, reason: str | None) -> None:
    """Suspend somebody, or with None end that."""
    await tx.run(_SET_SUSPENDED, user_id=user_id, since=since, reason=reason)


async def set_role(tx: Tx, user_id: UUID, role: str) -> None:
    """Give the user a role."""
    await tx.run(_SET_ROLE, user_id=user_id, new_role=role)


async def delete(tx: Tx, user_id: UUID) -> None:
    """Remove the user."""
    await tx.run(_ADD_COUNT, change=-await tx.run(_DELETE, user_id=user_id))


async def lock_admins(tx: Tx) -> list[UUID]:
    """The admins who can act; none ceases to be one until ``tx`` ends, except by it."""
    return await tx.all(_LOCK_ADMINS)


async def find_holder(tx: Tx, username: str) -> UUID | None:
    """For whom this name is held, if it is."""
    return await tx.first(_HOLDER, key=username_key(username), now=clock.now())


async def list_held(tx: Tx, user_id: UUID) -> list[FormerUsername]:
    """The names that are held for somebody."""
    return await tx.all(_HELD_FOR, user_id=user_id, now=clock.now())


async def hold(tx: Tx, username: str, user_id: UUID, until: datetime) -> None:
    """Keep a name that ``user_id`` has just given up from everybody else."""
    await free(tx, username)
    await tx.run(_HOLD, username_key=username_key(username), user_id=user_id, held_until=until)


async def free(tx: Tx, username: str) -> None:
    """Hold this name no longer."""
    await tx.run(_FREE, key=username_key(username))


async def add_token(
    tx: Tx, *, digest: bytes, purpose: str, user_id: UUID, email: str, expires_at: datetime
) -> None:
    """Keep the digest of a token."""
    await tx.run(
        _ADD_TOKEN, digest=digest, purpose=purpose, user_id=user_id, email=email, expires_at=expires_at
    )


async def take_token(tx: Tx, digest: bytes, purpose: str) -> Redeemed | None:
    """Remove a token that is still good for this purpose; of several who try, one gets it."""
    return await tx.first(_TAKE_TOKEN, token_digest=digest, purpose=purpose, now=clock.now())


async def drop_tokens(tx: Tx, user_id: UUID, purpose: str) -> None:
    """Remove all of somebody's tokens for this purpose."""
    await tx.run(_DROP_TOKENS, user_id=user_id, purpose=purpose)


async def reserve(tx: Tx, user_id: UUID, size: int, limit: int) -> bool:
    """Count ``size`` bytes more as the user's, unless that passes ``limit``; whether it was done."""
    return await tx.run(_RESERVE, user_id=user_id, size=size, most=limit) == 1


async def release(tx: Tx, user_id: UUID, size: int) -> None:
    """Count ``size`` bytes less as the user's."""
    await tx.run(_RELEASE, user_id=user_id, size=size)


async def find_usage(tx: Tx, user_id: UUID) -> Usage | None:
    """What the user holds."""
    return await tx.first(_USAGE, user_id=user_id)


async def purge(tx: Tx) -> None:
    """Forget the names that are free again, and the tokens that have expired."""
    now = clock.now()
    await tx.run(_PURGE, now=now)
    await tx.run(_PURGE_TOKENS, now=now)
