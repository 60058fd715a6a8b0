"""All SQL of sessions and refresh tokens."""

from collections.abc import Collection, Iterable
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec
import sqlalchemy as sa

from veza.core import clock
from veza.core.db import Statement, Tx, any_of
from veza.core.ids import new_id
from veza.rooms.accounts.tables import users
from veza.rooms.following.tables import blocks
from veza.rooms.sessions.tables import refresh_tokens, sessions

# Of one account, ended ones included; beyond that the oldest go.
MAX_SESSIONS = 50
# Of one session; a client that refreshes once a day uses ninety.
MAX_USED_TOKENS = 500
REVOKED_KEPT = timedelta(days=30)
_BATCH = 500


class Asker(msgspec.Struct, frozen=True):
    """A session and what its user may do, as the database has it now."""

    user_id: UUID
    username: str
    role: str
    email_verified: bool
    suspended_at: datetime | None
    expires_at: datetime
    revoked_at: datetime | None
    last_activity: datetime
    has_blocks: bool


class Good(msgspec.Struct, frozen=True):
    """A session in which somebody is signed in, and what they are now."""

    id: UUID
    username: str
    role: str
    has_blocks: bool


class Session(msgspec.Struct, frozen=True):
    """A session as its owner sees it."""

    id: UUID
    ip_address: str
    user_agent: str
    created_at: datetime
    last_activity: datetime
    expires_at: datetime


class KeptSession(Session, frozen=True):
    """A session as it is kept, also when it has ended."""

    revoked_at: datetime | None


class Stats(msgspec.Struct, frozen=True):
    """How many sessions somebody has: all that are still kept, and those in which they are signed in."""

    total_sessions: int
    active_sessions: int


class Link(msgspec.Struct, frozen=True):
    """A refresh token as it is kept, with what its use depends on."""

    session_id: UUID
    nonce: bytes
    used_at: datetime | None
    user_id: UUID
    revoked_at: datetime | None
    expires_at: datetime
    role: str
    suspended_at: datetime | None


_mine = sessions.c.user_id == sa.bindparam("of_user")
_unrevoked = sessions.c.revoked_at.is_(None)
_alive = sa.and_(_unrevoked, sessions.c.expires_at > sa.bindparam("now"))
_one = sessions.c.id == sa.bindparam("session_id")

_INSERT: Statement[None] = Statement(sa.insert(sessions))
_KEPT = Statement(sa.select(sa.func.count()).select_from(sessions).where(_mine), int)
_KEEP_NEWEST = Statement(
    sa.delete(sessions)
    .where(
        sessions.c.id.in_(
            sa.select(sessions.c.id)
            # The one just opened stays, also where a clock that was set back makes it the oldest.
            .where(_mine, sessions.c.id != sa.bindparam("opened"))
            # What was ended goes first.
            .order_by(sessions.c.revoked_at.is_not(None), sessions.c.created_at.desc(), sessions.c.id.desc())
            .offset(MAX_SESSIONS - 1)
        )
    )
    .returning(sessions.c.id),
    UUID,
)
_HIDDEN = Statement(
    sa.union_all(
        *(
            sa.select(blocks.c[other]).where(blocks.c[end] == sa.bindparam("of_user"))
            for end, other in (("blocker_id", "blocked_id"), ("blocked_id", "blocker_id"))
        )
    ),
    UUID,
)
_ASKER = Statement(
    sa.select(
        sessions.c.user_id,
        users.c.username,
        users.c.role,
        users.c.email_verified,
        users.c.suspended_at,
        sessions.c.expires_at,
        sessions.c.revoked_at,
        sessions.c.last_activity,
        users.c.has_blocks,
    )
    .join(users, users.c.id == sessions.c.user_id)
    .where(_one),
    Asker,
)
_GOOD = Statement(
    sa.select(sessions.c.id, users.c.username, users.c.role, users.c.has_blocks)
    .join(users, users.c.id == sessions.c.user_id)
    .where(any_of(sessions.c.id, "session_ids"), _alive, users.c.suspended_at.is_(None)),
    Good,
    heavy=True,
)
_LIST = Statement(
    sa.select(*(sessions.c[name] for name in Session.__struct_fields__))
    .where(_mine, _alive)
    .order_by(sessions.c.created_at.desc(), sessions.c.id.desc())
    .limit(MAX_SESSIONS),
    Session,
)
_LIST_KEPT = Statement(
    sa.select(*(sessions.c[name] for name in KeptSession.__struct_fields__))
    .where(_mine)
    .order_by(sessions.c.created_at.desc(), sessions.c.id.desc()),
    KeptSession,
)
_STATS = Statement(
    sa.select(
        sa.func.count().label("total_sessions"),
        sa.func.coalesce(sa.func.sum(sa.case((_alive, 1), else_=0)), 0).label("active_sessions"),
    )
    .select_from(sessions)
    .where(_mine),
    Stats,
)
_FROM_DEVICE = Statement(
    sa.select(sessions.c.id)
    .where(
        _mine,
        _alive,
        sessions.c.ip_address == sa.bindparam("ip"),
        sessions.c.user_agent == sa.bindparam("user_agent"),
    )
    .limit(1),
    UUID,
)
_BEGAN = Statement(sa.select(sessions.c.created_at).where(_one), datetime)
_REVOKE = Statement(
    sa.update(sessions)
    .where(_mine, _one, _alive)
    .values(revoked_at=sa.bindparam("now"))
    .returning(sessions.c.id),
    UUID,
)
_REVOKE_ALL = Statement(
    sa.update(sessions)
    .where(_mine, _unrevoked, sa.or_(sa.bindparam("spared", type_=sessions.c.id.type).is_(None),
                                     sessions.c.id != sa.bindparam("spared", type_=sessions.c.id.type)))
    .values(revoked_at=sa.bindparam("now"))
    .returning(sessions.c.id),
    UUID,
)  # fmt: skip
_TOUCH: Statement[None] = Statement(
    sa.update(sessions)
    .where(_one, sessions.c.last_activity < sa.bindparam("before"))
    .values(last_activity=sa.bindparam("at"))
)

_token = refresh_tokens.c.digest == sa.bindparam("token_digest")
_ADD_TOKEN: Statement[None] = Statement(sa.insert(refresh_tokens))
_LOCK_TOKEN = Statement(
    sa.select(
        refresh_tokens.c.session_id,
        refresh_tokens.c.nonce,
        refresh_tokens.c.used_at,
        sessions.c.user_id,
        sessions.c.revoked_at,
        sessions.c.expires_at,
        users.c.role,
        users.c.suspended_at,
    )
    .select_from(refresh_tokens.join(sessions).join(users))
    .where(_token)
    .with_for_update(of=[refresh_tokens, sessions]),
    Link,
)
_IS_FRESH = Statement(
    sa.select(refresh_tokens.c.session_id).where(_token, refresh_tokens.c.used_at.is_(None)), UUID
)
_USE_TOKEN: Statement[None] = Statement(
    sa.update(refresh_tokens).where(_token).values(used_at=sa.bindparam("now"))
)
_OWN_TOKEN = Statement(
    sa.select(refresh_tokens.c.session_id)
    .join(sessions, sessions.c.id == refresh_tokens.c.session_id)
    .where(_token, _mine),
    UUID,
)

_PURGE: Statement[None] = Statement(
    sa.delete(sessions).where(
        sessions.c.id.in_(
            sa.select(sessions.c.id)
            .where(
                sa.or_(
                    sessions.c.expires_at < sa.bindparam("now"),
                    sessions.c.revoked_at < sa.bindparam("revoked_before"),
                )
            )
            .limit(_BATCH)
        )
    )
)
_CROWDED = Statement(
    sa.select(refresh_tokens.c.session_id)
    .group_by(refresh_tokens.c.session_id)
    .having(sa.func.count() > MAX_USED_TOKENS)
    .limit(_BATCH),
    UUID,
    heavy=True,
)
_THIN: Statement[None] = Statement(
    sa.delete(refresh_tokens).where(
        refresh_tokens.c.digest.in_(
            sa.select(refresh_tokens.c.digest)
            .where(refresh_tokens.c.session_id == sa.bindparam("session_id"))
            .order_by(refresh_tokens.c.used_at.is_not(None), refresh_tokens.c.used_at.desc())
            .offset(MAX_USED_TOKENS)
        )
    )
)


async def add(
    tx: Tx, user_id: UUID, *, ip: str, user_agent: str, lifetime: timedelta
) -> tuple[UUID, list[UUID]]:
    """Open a session; its id, and those of the old ones that had to go for it."""
    session_id, now = new_id(), clock.now()
    await tx.run(
        _INSERT,
        id=session_id,
        user_id=user_id,
        ip_address=ip,
        user_agent=user_agent,
        created_at=now,
        last_activity=now,
        expires_at=now + lifetime,
        revoked_at=None,
    )
    # Counted first: to sort them takes several times as long, and nearly nobody has so many.
    kept = await tx.first(_KEPT, of_user=user_id) or 0
    if kept <= MAX_SESSIONS:
        return session_id, []
    return session_id, await tx.all(_KEEP_NEWEST, of_user=user_id, opened=session_id)


async def find_asker(tx: Tx, session_id: UUID) -> Asker | None:
    """Whose session this is, whatever has become of it."""
    return await tx.first(_ASKER, session_id=session_id)


async def list_good(tx: Tx, session_ids: Collection[UUID]) -> list[Good]:
    """Those of these sessions in which somebody is signed in now."""
    return await tx.all(_GOOD, session_ids=session_ids, now=clock.now())


async def list_hidden(tx: Tx, user_id: UUID) -> list[UUID]:
    """Whom a user has blocked, and who has blocked them."""
    return await tx.all(_HIDDEN, of_user=user_id)


async def list_alive(tx: Tx, user_id: UUID) -> list[Session]:
    """The sessions in which somebody is signed in, newest first; at most ``MAX_SESSIONS``."""
    return await tx.all(_LIST, of_user=user_id, now=clock.now())


async def list_kept(tx: Tx, user_id: UUID) -> list[KeptSession]:
    """All that is kept of somebody's sessions, ended ones too, newest first; at most ``MAX_SESSIONS``."""
    return await tx.all(_LIST_KEPT, of_user=user_id)


async def count(tx: Tx, user_id: UUID) -> Stats:
    """How many sessions somebody has."""
    found = await tx.first(_STATS, of_user=user_id, now=clock.now())
    return found or Stats(0, 0)


async def knows_device(tx: Tx, user_id: UUID, ip: str, user_agent: str) -> bool:
    """Whether this user is signed in from the same address with the same program."""
    found = await tx.first(_FROM_DEVICE, of_user=user_id, ip=ip, user_agent=user_agent, now=clock.now())
    return found is not None


async def find_beginning(tx: Tx, session_id: UUID) -> datetime | None:
    """When somebody signed in to this session; None once it is gone."""
    return await tx.first(_BEGAN, session_id=session_id)


async def revoke(tx: Tx, user_id: UUID, session_id: UUID) -> bool:
    """End one of the user's sessions; whether it was alive."""
    return await tx.first(_REVOKE, of_user=user_id, session_id=session_id, now=clock.now()) is not None


async def revoke_all(tx: Tx, user_id: UUID, *, spared: UUID | None = None) -> list[UUID]:
    """End all the user's sessions but the spared one; those that were ended."""
    return await tx.all(_REVOKE_ALL, of_user=user_id, spared=spared, now=clock.now())


async def touch(tx: Tx, active: Iterable[tuple[UUID, datetime]], at_most_every: timedelta) -> None:
    """Write down when sessions were last active, none more often than ``at_most_every``."""
    rows: list[dict[str, Any]] = [
        {"session_id": session_id, "at": at, "before": at - at_most_every} for session_id, at in active
    ]
    await tx.run_many(_TOUCH, rows)


async def add_token(tx: Tx, token_digest: bytes, session_id: UUID, nonce: bytes) -> None:
    """Keep a refresh token's digest."""
    await tx.run(
        _ADD_TOKEN,
        digest=token_digest,
        session_id=session_id,
        nonce=nonce,
        created_at=clock.now(),
        used_at=None,
    )


async def lock_token(tx: Tx, token_digest: bytes) -> Link | None:
    """The refresh token and its session, held until the transaction ends: of two at once, one waits."""
    return await tx.first(_LOCK_TOKEN, token_digest=token_digest)


async def is_fresh(tx: Tx, token_digest: bytes) -> bool:
    """Whether there is such a refresh token that was never used."""
    return await tx.first(_IS_FRESH, token_digest=token_digest) is not None


async def use_token(tx: Tx, token_digest: bytes) -> None:
    """Mark a refresh token as used."""
    await tx.run(_USE_TOKEN, token_digest=token_digest, now=clock.now())


async def find_own_token(tx: Tx, user_id: UUID, token_digest: bytes) -> UUID | None:
    """The session of this user that a refresh token, used or not, belongs to."""
    return await tx.first(_OWN_TOKEN, of_user=user_id, token_digest=token_digest)


async def purge(tx: Tx) -> bool:
    """Drop some sessions that ended long ago; whether there may be more."""
    now = clock.now()
    return await tx.run(_PURGE, now=now, revoked_before=now - REVOKED_KEPT) >= _BATCH


async def list_crowded(view: Tx) -> list[UUID]:
    """Sessions that refreshed so often that their oldest tokens must go."""
    return await view.all(_CROWDED)


async def thin(tx: Tx, session_id: UUID) -> None:
    """Drop a session's oldest used tokens."""
    await tx.run(_THIN, session_id=session_id)
