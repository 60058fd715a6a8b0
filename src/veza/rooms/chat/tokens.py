"""Tokens that open one WebSocket: for a minute, once, and for nothing else."""

from datetime import timedelta
from uuid import UUID

from veza.access.actor import Member
from veza.access.tokens import Claims, Tokens
from veza.core import clock
from veza.core.db import Database
from veza.core.db.types import from_micros
from veza.core.errors import InvalidToken
from veza.rooms.chat import members_store
from veza.rooms.chat import tickets_store as store
from veza.rooms.chat.schemas import ChatToken
from veza.rooms.sessions.authenticator import Authenticator

PURPOSE = "chat"
LASTS = timedelta(seconds=60)


class _ChatClaims(Claims, frozen=True, kw_only=True):
    sid: UUID


class Doorkeeper:
    """Issues tokens, and lets in who brings one."""

    def __init__(self, database: Database, tokens: Tokens, authenticator: Authenticator) -> None:
        self._database = database
        self._tokens = tokens
        self._authenticator = authenticator

    def issue(self, actor: Member) -> ChatToken:
        """A token for somebody, good while they are signed in."""
        token = self._tokens.issue(PURPOSE, LASTS, {"sid": actor.session_id})
        return ChatToken(token, int(LASTS.total_seconds()))

    async def admit(self, token: str) -> Member:
        """Whose token this is, which opens nothing any more. Raises :class:`InvalidToken`."""
        claims = self._tokens.read(token, PURPOSE, _ChatClaims)
        expires_at = from_micros(claims.exp * 1_000_000)
        # To the second: whoever issued it has the same clock, or nearly.
        if expires_at <= clock.now():
            raise InvalidToken
        member = await self._authenticator.member_of(claims.sid)
        async with self._database.write() as tx:
            if not await store.use(tx, UUID(claims.jti), expires_at + LASTS):
                raise InvalidToken
            await members_store.seen(tx, member.id)
        return member
