"""Sessions and their tokens: opening one, renewing its tokens, ending it.

An access token is a JWT for a day. A refresh token is an opaque secret that is good once: using it makes its
one successor, which is derived from it and not drawn, so that a client which asks twice (two tabs, a lost
answer) gets the same one. A used token that comes back later gives away that two parties hold it, and its
session ends.
"""

from collections.abc import Iterable
from datetime import timedelta
from uuid import UUID

import msgspec

from veza.access.actor import Member
from veza.access.secrets import SecretRefused, digest, new_secret
from veza.access.tokens import ACCESS_TTL
from veza.core import clock
from veza.core.db import Tx
from veza.core.errors import InvalidToken, NotFound
from veza.core.events import Context
from veza.core.turns import give_way
from veza.rooms.sessions import store
from veza.rooms.sessions.authenticator import Authenticator
from veza.rooms.sessions.errors import RefreshTokenReused
from veza.rooms.sessions.events import (
    AllSessionsRevoked,
    LoggedOut,
    RefreshReused,
    SessionRevoked,
    TokensRenewed,
)
from veza.rooms.sessions.means import Means

LIFETIME = timedelta(days=30)
REMEMBERED = timedelta(days=90)
# For so long a refresh token that was just used gives the same answer again.
GRACE = timedelta(seconds=10)


class TokenPair(msgspec.Struct, frozen=True):
    """What a client needs to stay signed in; ``expires_in`` counts seconds for the access token."""

    access_token: str
    refresh_token: str
    expires_in: int


async def open_session(
    tx: Tx, means: Means, user_id: UUID, role: str, origin: Context, *, remember_me: bool = False
) -> tuple[UUID, TokenPair]:
    """A new session with a new id, whatever the client had before; its end is fixed from the start.

    The oldest sessions beyond ``store.MAX_SESSIONS`` end.
    """
    lifetime = REMEMBERED if remember_me else LIFETIME
    session_id, dropped = await store.add(
        tx, user_id, ip=origin.ip, user_agent=origin.user_agent, lifetime=lifetime
    )
    await give_way()
    refresh_token = new_secret()
    await store.add_token(tx, digest(refresh_token), session_id, means.keyring.new_nonce())
    _forget(tx, means.authenticator, dropped)
    await give_way()
    return session_id, _pair(means, user_id, session_id, role, refresh_token)


async def refresh(means: Means, refresh_token: str, origin: Context) -> TokenPair:
    """The next pair of tokens. Raises RefreshTokenReused, its session then being over, and InvalidToken."""
    async with means.database.write() as tx:
        tx.context = lambda: origin
        pair = await renew(tx, means, refresh_token)
    if pair is None:
        raise RefreshTokenReused
    return pair


async def renew(tx: Tx, means: Means, refresh_token: str) -> TokenPair | None:
    """The next pair of tokens; None when the token was used before, and then the session has been ended.

    None is no exception, because its transaction must be committed. Raises InvalidToken.
    """
    now = clock.now()
    link = await store.lock_token(tx, digest(refresh_token))
    if link is None or link.revoked_at or link.suspended_at or link.expires_at <= now:
        raise InvalidToken
    try:
        successor = means.keyring.successor_of(refresh_token, link.nonce)
    except SecretRefused:
        raise InvalidToken from None
    if link.used_at is None:
        await store.use_token(tx, digest(refresh_token))
        await store.add_token(tx, digest(successor), link.session_id, means.keyring.new_nonce())
        tx.emit(TokensRenewed(link.user_id, link.session_id))
    # Only the last but one is forgiven: once its successor was used too, nobody still waits for that answer.
    # Either way from now: by a clock that was set back it was used in time to come.
    elif abs(now - link.used_at) > GRACE or not await store.is_fresh(tx, digest(successor)):
        await store.revoke(tx, link.user_id, link.session_id)
        tx.emit(RefreshReused(link.user_id, link.session_id))
        _forget(tx, means.authenticator, [link.session_id])
        return None
    return _pair(means, link.user_id, link.session_id, link.role, successor)


async def log_out(tx: Tx, means: Means, actor: Member, refresh_token: str | None = None) -> None:
    """End the session that the actor is in, and the one of the refresh token, which must be theirs.

    Raises NotFound for a refresh token that is not; then nothing is ended.
    """
    ending = {actor.session_id}
    if refresh_token is not None:
        session_id = await store.find_own_token(tx, actor.id, digest(refresh_token))
        if session_id is None:
            raise NotFound
        ending.add(session_id)
    for session_id in sorted(ending):
        if await store.revoke(tx, actor.id, session_id):
            tx.emit(LoggedOut(actor.id, session_id))
    _forget(tx, means.authenticator, ending)


async def revoke(tx: Tx, means: Means, actor: Member, session_id: UUID) -> None:
    """End one of the actor's sessions. Raises NotFound for what is not theirs or has ended."""
    if not await store.revoke(tx, actor.id, session_id):
        raise NotFound
    tx.emit(SessionRevoked(actor.id, session_id))
    _forget(tx, means.authenticator, [session_id])


async def revoke_all(tx: Tx, means: Means, actor: Member) -> None:
    """End all the actor's sessions, this one too."""
    await store.revoke_all(tx, actor.id)
    tx.emit(AllSessionsRevoked(actor.id))
    tx.on_commit(lambda: means.authenticator.forget_user(actor.id))


def _pair(means: Means, user_id: UUID, session_id: UUID, role: str, refresh_token: str) -> TokenPair:
    access_token = means.tokens.issue_access(user_id, session_id, role)
    return TokenPair(access_token, refresh_token, int(ACCESS_TTL.total_seconds()))


def _forget(tx: Tx, authenticator: Authenticator, session_ids: Iterable[UUID]) -> None:
    for session_id in session_ids:
        tx.on_commit(lambda gone=session_id: authenticator.forget_session(gone))  # type: ignore[misc]  # bound now
