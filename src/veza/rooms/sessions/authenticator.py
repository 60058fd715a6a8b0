"""Who asks: from an access token to a member, quickly, and never a moment after the session has ended."""

import asyncio
from collections.abc import Collection
from datetime import datetime, timedelta
from itertools import islice
from uuid import UUID

import msgspec
import structlog

from veza.access.actor import Member
from veza.access.policy import Action, may
from veza.access.tokens import Tokens
from veza.core import clock
from veza.core.db import Database
from veza.core.errors import InvalidToken
from veza.rooms.accounts.events import CHANGED
from veza.rooms.sessions import store

log = structlog.get_logger()

MAX_REMEMBERED = 10_000
ACTIVITY_EVERY = timedelta(seconds=60)
_FLUSH_SECONDS = 30.0
# One transaction's worth: a millisecond or two.
_BATCH = 200


class _Entry:
    __slots__ = ("active", "member", "until", "written")

    def __init__(self, member: Member, until: datetime, written: datetime) -> None:
        self.member = member
        self.until = until
        self.active = clock.now()
        self.written = written


class Authenticator:
    """Finds the member behind an access token.

    Where this process alone writes the database, members are remembered by their tokens and forgotten when
    what they rest on changes: the commit that ends a session calls ``forget_session`` or ``forget_user``
    before anybody is told of it. Where others write too, each request asks for the session's row.
    """

    def __init__(self, database: Database, tokens: Tokens) -> None:
        self._database = database
        self._tokens = tokens
        self._entries: dict[str, _Entry] = {}
        self._active: dict[UUID, datetime] = {}
        self._generation = 0
        database.listen(CHANGED, self.forget_all)

    def cached(self, token: str) -> Member | None:
        """The member behind a token seen before; no waiting, a microsecond."""
        entry = self._entries.get(token)
        if entry is None:
            return None
        now = clock.now()
        if now >= entry.until:
            return None
        entry.active = now
        return entry.member

    async def authenticate(self, token: str) -> Member:
        """The member behind an access token; role and name are the database's, not the token's.

        Raises InvalidToken, also for whoever was signed out, suspended or deleted.
        """
        member = self.cached(token)
        if member is not None:
            return member
        claims = self._tokens.read_access(token)
        generation = self._generation
        asker, hidden = await self._find(claims.sid)
        if asker.user_id != claims.sub:
            raise InvalidToken
        member = _member(claims.sid, asker, hidden)
        # What was read before somebody was forgotten may be out of date: used once, but not kept.
        if not self._database.shared and generation == self._generation:
            until = min(datetime.fromtimestamp(claims.exp, asker.expires_at.tzinfo), asker.expires_at)
            self._remember(token, _Entry(member, until, asker.last_activity))
        else:
            self._note(claims.sid, clock.now(), asker.last_activity)
        return member

    async def member_of(self, session_id: UUID) -> Member:
        """Whoever is signed in in this session, now. Raises InvalidToken like ``authenticate``."""
        return _member(session_id, *await self._find(session_id))

    async def list_good(self, session_ids: Collection[UUID]) -> dict[UUID, store.Good]:
        """Those of these sessions in which somebody is signed in now."""
        async with self._database.read() as view:
            return {one.id: one for one in await store.list_good(view, session_ids)}

    async def _find(self, session_id: UUID) -> tuple[store.Asker, frozenset[UUID]]:
        """Whose session this is, and who is hidden from them."""
        hidden: frozenset[UUID] = frozenset()
        async with self._database.read() as view:
            asker = await store.find_asker(view, session_id)
            if asker is not None and asker.has_blocks:
                hidden = frozenset(await store.list_hidden(view, asker.user_id))
        if asker is None or asker.revoked_at or asker.suspended_at or asker.expires_at <= clock.now():
            raise InvalidToken
        return asker, hidden

    def forget_session(self, session_id: UUID) -> None:
        """The next request of this session asks the database."""
        self._forget([t for t, entry in self._entries.items() if entry.member.session_id == session_id])

    def forget_user(self, user_id: UUID) -> None:
        """The next request of this user asks the database."""
        self._forget([t for t, entry in self._entries.items() if entry.member.id == user_id])

    def forget_all(self) -> None:
        """Every next request asks the database."""
        self._forget(list(self._entries))

    async def run(self) -> None:
        """Write down every half minute who was active, until cancelled, and then once more."""
        try:
            while True:
                await asyncio.sleep(_FLUSH_SECONDS)
                try:
                    await self.flush()
                except Exception:
                    log.exception("sessions.activity_lost")
        finally:
            await self.flush()

    async def flush(self) -> None:
        """Write down who was active, at most once a minute for each session."""
        for entry in self._entries.values():
            self._note_entry(entry)
        noted, self._active = iter(self._active.items()), {}
        while batch := list(islice(noted, _BATCH)):
            async with self._database.write() as tx:
                await store.touch(tx, batch, ACTIVITY_EVERY)

    def _remember(self, token: str, entry: _Entry) -> None:
        if len(self._entries) >= MAX_REMEMBERED:
            self._forget_oldest()
        self._entries[token] = entry

    def _forget_oldest(self) -> None:
        self._note_entry(self._entries.pop(next(iter(self._entries))))

    def _forget(self, tokens: list[str]) -> None:
        self._generation += 1
        for token in tokens:
            self._note_entry(self._entries.pop(token))

    def _note_entry(self, entry: _Entry) -> None:
        if self._note(entry.member.session_id, entry.active, entry.written):
            entry.written = entry.active

    def _note(self, session_id: UUID, active: datetime, written: datetime) -> bool:
        due = active - written >= ACTIVITY_EVERY
        if due and (len(self._active) < MAX_REMEMBERED or session_id in self._active):
            self._active[session_id] = active
        return due


def _member(session_id: UUID, asker: store.Asker, hidden: frozenset[UUID]) -> Member:
    member = Member(
        id=asker.user_id,
        session_id=session_id,
        username=asker.username,
        role=asker.role,
        email_verified=asker.email_verified,
        hidden=hidden,
    )
    if hidden and may(member, Action.SEE_HIDDEN):
        return msgspec.structs.replace(member, hidden=frozenset())
    return member
