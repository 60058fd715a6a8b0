"""Signed tokens (JWT, HS256): short-lived, each for one purpose, with its own key and audience.

Only what this server wrote itself is accepted. A token's header is therefore not interpreted but compared,
byte for byte, with the few headers that we write: whatever asks for another algorithm, key or extension
is simply not ours. Sources: RFC 7519, RFC 8725.
"""

import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Any, TypeVar
from uuid import UUID

import msgspec
from jwt.api_jws import PyJWS
from jwt.exceptions import PyJWTError

from veza.access.secrets import Keyring
from veza.core import clock
from veza.core.errors import InvalidToken
from veza.core.ids import new_id

ISSUER = "veza"
ACCESS = "access"
TWO_FACTOR = "2fa"
ACCESS_TTL = timedelta(hours=24)
CHALLENGE_TTL = timedelta(minutes=5)

_LEEWAY = 30
_MAX_CHARS = 4096
_SHAPE = re.compile(r"([A-Za-z0-9_-]+)\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")
_ALGORITHM = "HS256"
_jws = PyJWS(algorithms=[_ALGORITHM], options={"verify_signature": True, "enforce_minimum_key_length": True})


class Claims(msgspec.Struct, frozen=True, kw_only=True):
    """What every token says of itself (RFC 7519, 4.1); times are whole seconds since 1970."""

    iss: str
    aud: str
    typ: str
    jti: str
    iat: int
    exp: int
    nbf: int | None = None


class AccessClaims(Claims, frozen=True, kw_only=True):
    """Who asks, in which session. The role is for clients to read; the server asks the database."""

    sub: UUID
    sid: UUID
    role: str


C = TypeVar("C", bound=Claims)


class Tokens:
    """Issues and reads tokens with the keys of one keyring."""

    def __init__(self, keyring: Keyring) -> None:
        self._keyring = keyring
        self._keys: dict[str, dict[str, bytes]] = {}
        self._decoders: dict[type[Claims], msgspec.json.Decoder[Any]] = {}

    def issue(self, purpose: str, ttl: timedelta, claims: Mapping[str, Any]) -> str:
        """A token for this purpose alone, valid from now for ``ttl``."""
        key_id, key = self._keyring.derive(f"token:{purpose}")[0]
        now = int(clock.now().timestamp())
        payload = {
            **claims,
            "iss": ISSUER,
            "aud": f"{ISSUER}:{purpose}",
            "typ": purpose,
            "jti": str(new_id()),
            "iat": now,
            "exp": now + int(ttl.total_seconds()),
        }
        return _sign(msgspec.json.encode(payload), key_id, key)

    def read(self, token: str, purpose: str, kind: type[C]) -> C:
        """The claims of a token that we issued for this purpose and that is valid now, ± 30 seconds.

        Raises InvalidToken, always with the same message: a forger learns nothing from it.
        """
        match = _SHAPE.fullmatch(token) if len(token) <= _MAX_CHARS else None
        key = self._keys_for(purpose).get(match[1]) if match else None
        if key is None:
            raise InvalidToken
        try:
            payload = _jws.decode(token, key, [_ALGORITHM])
            claims: C = self._decoder(kind).decode(payload)
        except (PyJWTError, msgspec.MsgspecError, UnicodeDecodeError):
            raise InvalidToken from None
        if not _holds(claims, purpose):
            raise InvalidToken
        return claims

    def issue_access(self, user_id: UUID, session_id: UUID, role: str) -> str:
        """The token that a client sends with each request; its session can end it sooner."""
        return self.issue(ACCESS, ACCESS_TTL, {"sub": user_id, "sid": session_id, "role": role})

    def read_access(self, token: str) -> AccessClaims:
        """Who sends this access token. Raises InvalidToken."""
        return self.read(token, ACCESS, AccessClaims)

    def _keys_for(self, purpose: str) -> dict[str, bytes]:
        """The headers that we write for this purpose, as they stand in a token, and their keys."""
        if purpose not in self._keys:
            self._keys[purpose] = {
                _sign(b"", key_id, key).partition(".")[0]: key
                for key_id, key in self._keyring.derive(f"token:{purpose}")
            }
        return self._keys[purpose]

    def _decoder(self, kind: type[C]) -> "msgspec.json.Decoder[C]":
        if kind not in self._decoders:
            self._decoders[kind] = msgspec.json.Decoder(kind)
        return self._decoders[kind]


def _sign(payload: bytes, key_id: str, key: bytes) -> str:
    return _jws.encode(payload, key, _ALGORITHM, {"kid": key_id})


def _holds(claims: Claims, purpose: str) -> bool:
    now = clock.now().timestamp()
    return (
        claims.iss == ISSUER
        and claims.aud == f"{ISSUER}:{purpose}"
        and claims.typ == purpose
        and claims.iat <= now + _LEEWAY
        and now - _LEEWAY < claims.exp
        and (claims.nbf is None or claims.nbf <= now + _LEEWAY)
    )
