"""Keeping the answer to a request that creates, so that a retry with the same key gets it again.

The answer is kept in the transaction of what it tells of: after a crash between the commit and the answer
the retry is given the committed result. Keys belong to a user and a route and are kept for a day. An answer
that holds a secret is kept sealed, together with what it answers. See the IETF draft "The Idempotency-Key
HTTP Header Field".
"""

import hashlib
import re
from datetime import timedelta
from typing import Any, Protocol
from uuid import UUID

import msgspec
import sqlalchemy as sa

from veza.core import clock
from veza.core.db import Database, Id, Statement, Time, Tx, UniqueViolation, metadata
from veza.core.errors import Conflict, InvalidRequest
from veza.core.exchange import Exchange
from veza.core.ids import new_id

KEPT_FOR = timedelta(hours=24)
_SANE_KEY = re.compile(r"[\x21-\x7e]{1,255}")


class KeyReused(Conflict):
    """This Idempotency-Key was used for another request."""

    code = "IDEMPOTENCY_KEY_REUSED"


class InProgress(Conflict):
    """The first request with this Idempotency-Key is still being worked on."""

    code = "IDEMPOTENCY_IN_PROGRESS"


class KeptAnswer(msgspec.Struct, frozen=True):
    """An answer given before."""

    fingerprint: bytes
    status: int
    body: bytes


class Replayed(Exception):  # an answer, not an error
    """The request was answered before; this is the answer."""

    def __init__(self, answer: KeptAnswer) -> None:
        super().__init__()
        self.answer = answer


kept_answers = sa.Table(
    "kept_answers",
    metadata,
    sa.Column("id", Id, primary_key=True),
    sa.Column("user_id", Id, nullable=False),
    sa.Column("route", sa.Text, nullable=False),
    sa.Column("key", sa.Text, nullable=False),
    sa.Column("fingerprint", sa.LargeBinary, nullable=False),
    sa.Column("status", sa.Integer, nullable=False),
    sa.Column("body", sa.LargeBinary, nullable=False),
    sa.Column("created_at", Time, nullable=False),
    sa.UniqueConstraint("user_id", "route", "key"),
    sa.Index("ix_kept_answers_created_at", "created_at"),
)

_INSERT: Statement[None] = Statement(sa.insert(kept_answers))
_FIND = Statement(
    sa.select(kept_answers.c.fingerprint, kept_answers.c.status, kept_answers.c.body).where(
        kept_answers.c.user_id == sa.bindparam("user_id"),
        kept_answers.c.route == sa.bindparam("route"),
        kept_answers.c.key == sa.bindparam("key"),
    ),
    KeptAnswer,
)
_PURGE: Statement[None] = Statement(
    sa.delete(kept_answers).where(kept_answers.c.created_at < sa.bindparam("before"))
)

# A sealed answer begins with its request's fingerprint: in the open it would tell of a secret in that.
_FINGERPRINT_BYTES = hashlib.sha256().digest_size


class Cover(Protocol):
    """What seals, and opens what it sealed for the same purpose."""

    def seal(self, plain: bytes, purpose: str) -> bytes:
        """Make it unreadable to whoever has the database."""
        ...

    def open_sealed(self, sealed: bytes, purpose: str) -> bytes:
        """What was sealed. Raises what tells that it cannot be opened."""
        ...


_under_way: set[tuple[UUID, str, str]] = set()


class Claim:
    """A key, for as long as its request is worked on; the edge releases it.

    Raises :class:`InProgress` when this process is already working on the same one, and
    :class:`InvalidRequest` for a key that is no short visible ASCII text.
    """

    def __init__(self, user_id: UUID, route: str, key: str) -> None:
        if not _SANE_KEY.fullmatch(key):
            raise InvalidRequest("An Idempotency-Key is 1 to 255 visible ASCII characters.")
        self._name = (user_id, route, key)
        self._fingerprint: bytes | None = None
        self._cover: Cover | None = None
        if self._name in _under_way:
            raise InProgress(headers={"Retry-After": "1"})
        _under_way.add(self._name)

    def release(self) -> None:
        """Let others claim the key."""
        _under_way.discard(self._name)

    async def check(self, tx: Tx, fingerprint: bytes, cover: Cover | None = None) -> None:
        """Return if the request is new; its answer will be kept for ``fingerprint``, sealed by ``cover``.

        Raises :class:`Replayed` when it was answered before, and :class:`KeyReused` when the key was used for
        another request.
        """
        kept = await self._find(tx, cover)
        if kept is None:
            self._fingerprint, self._cover = fingerprint, cover
            return
        if kept.fingerprint != fingerprint:
            raise KeyReused
        raise Replayed(kept)

    async def is_answered(self, tx: Tx) -> bool:
        """Whether this key was used before, so that nothing more comes of its request, whatever that is."""
        user_id, route, key = self._name
        return await tx.first(_FIND, user_id=user_id, route=route, key=key) is not None

    async def confirm(self, tx: Tx) -> None:
        """Check once more, in a ``tx`` that holds what every other one for this key has to wait for.

        After that no other process can be quicker: what was stored for this request alone can still be taken
        back. Raises as :meth:`check` does.
        """
        if tx.database.shared and self._fingerprint is not None:
            await self.check(tx, self._fingerprint, self._cover)

    async def find_other(self, view: Tx) -> KeptAnswer | None:
        """The answer that another process has kept since the check, which found this very request new."""
        kept = None if self._fingerprint is None else await self._find(view, self._cover)
        return kept if kept is not None and kept.fingerprint == self._fingerprint else None

    async def _find(self, tx: Tx, cover: Cover | None) -> KeptAnswer | None:
        user_id, route, key = self._name
        kept = await tx.first(_FIND, user_id=user_id, route=route, key=key)
        return kept if kept is None or cover is None else self._uncovered(kept, cover)

    def _uncovered(self, kept: KeptAnswer, cover: Cover) -> KeptAnswer:
        try:
            plain = cover.open_sealed(kept.body, self._purpose)
        except Exception as lost:
            # The server's secret was lost: what was done must not be done again.
            raise KeyReused from lost
        return KeptAnswer(plain[:_FINGERPRINT_BYTES], kept.status, plain[_FINGERPRINT_BYTES:])

    @property
    def _purpose(self) -> str:
        user_id, route, key = self._name
        return f"answer:{user_id}:{route}:{key}"

    async def keep(self, tx: Tx, status: int, body: bytes) -> None:
        """Keep the answer to a new request. Raises :class:`InProgress` when another node was quicker."""
        if self._fingerprint is None:
            return
        user_id, route, key = self._name
        fingerprint = self._fingerprint
        if self._cover is not None:
            fingerprint, body = b"", self._cover.seal(fingerprint + body, self._purpose)
        try:
            await tx.run(
                _INSERT,
                id=new_id(),
                user_id=user_id,
                route=route,
                key=key,
                fingerprint=fingerprint,
                status=status,
                body=body,
                created_at=clock.now(),
            )
        except UniqueViolation:
            raise InProgress(headers={"Retry-After": "1"}) from None


def claim(exchange: Exchange, user_id: UUID, route: str) -> Claim | None:
    """Claim the key that a request's Idempotency-Key header names, if it has one."""
    key = exchange.headers.get(b"idempotency-key")
    if key is not None:
        exchange.claim = Claim(user_id, route, key.decode("latin-1"))
    return exchange.claim


def fingerprint_of(asked: Any) -> bytes:
    """What tells one request's words from another's; anything that can be written as JSON."""
    return hashlib.sha256(msgspec.json.encode(asked)).digest()


async def claim_body(
    tx: Tx, exchange: Exchange, user_id: UUID, route: str, body: msgspec.Struct, cover: Cover | None = None
) -> None:
    """Claim the key of a request with a JSON body, if it has one, and return if the request is new.

    An answer that holds a secret is kept sealed by ``cover``. Raises :class:`Replayed`, :class:`KeyReused`
    and :class:`InProgress`.
    """
    key = claim(exchange, user_id, route)
    if key is not None:
        await key.check(tx, fingerprint_of(body), cover)


async def purge(database: Database) -> None:
    """Forget what is older than a day."""
    async with database.write() as tx:
        await tx.run(_PURGE, before=clock.now() - KEPT_FOR)
