"""Signatures in addresses, for players and browsers that cannot send a header with each request.

A signature opens one thing, for one holder, for reading, until it expires. It names the holder, so that
whoever honours it can ask again whether the holder still may: what it says was true when it was signed.
"""

import base64
import hmac
import re
from datetime import UTC, datetime, timedelta
from uuid import UUID

from veza.access.secrets import Keyring
from veza.core import clock
from veza.core.errors import Forbidden

# Bytes of a signature's parts; with 4 of key id they are 42, so that in base64 none has a second spelling.
_EXPIRES, _HOLDER, _MAC = 6, 16, 16
_METHOD = b"GET"
_SPELLING = re.compile(r"[A-Za-z0-9_-]{56}", re.ASCII)


class SignatureInvalid(Forbidden):
    """This address was not signed by this server for this, or was changed since."""

    code = "SIGNATURE_INVALID"


class UrlExpired(Forbidden):
    """This address was good for a time that is over; ask for a new one."""

    code = "URL_EXPIRED"


class Signer:
    """Signs for reading, with keys of the server's secrets: the first signs, all of them check."""

    def __init__(self, keyring: Keyring) -> None:
        self._keys = {bytes.fromhex(key_id): key for key_id, key in keyring.derive("signed-url")}
        self._first = next(iter(self._keys))

    def sign(self, thing: str, holder: UUID, lasts: timedelta) -> str:
        """A signature that lets ``holder`` read ``thing`` from now on for so long; 56 characters of a URL."""
        expires = int((clock.now() + lasts).timestamp()).to_bytes(_EXPIRES)
        claim = expires + holder.bytes
        mac = _mac(self._keys[self._first], thing, claim)
        return base64.urlsafe_b64encode(claim + self._first + mac).decode()

    def check(self, thing: str, signature: str) -> UUID:
        """Whom this signature lets read ``thing``. Raises :class:`SignatureInvalid`, :class:`UrlExpired`."""
        if not _SPELLING.fullmatch(signature):
            raise SignatureInvalid
        raw = base64.urlsafe_b64decode(signature)
        claim, key_id = raw[: _EXPIRES + _HOLDER], raw[_EXPIRES + _HOLDER : -_MAC]
        key = self._keys.get(key_id)
        if key is None or not hmac.compare_digest(_mac(key, thing, claim), raw[-_MAC:]):
            raise SignatureInvalid
        if expires_at(signature) <= clock.now():
            raise UrlExpired
        return UUID(bytes=claim[_EXPIRES:])


def expires_at(signature: str) -> datetime:
    """Until when a signature is good; of one that is known to be genuine."""
    raw = base64.urlsafe_b64decode(signature)
    return datetime.fromtimestamp(int.from_bytes(raw[:_EXPIRES]), UTC)


def _mac(key: bytes, thing: str, claim: bytes) -> bytes:
    message = b"\0".join((_METHOD, thing.encode(), claim))
    return hmac.digest(key, message, "sha256")[:_MAC]
