"""The keys of a hook: what it is asked by, and what signs its deliveries.

They are kept together in one sealed piece, shown when they are made, and never again.
Source: Standard Webhooks 1.0 (https://www.standardwebhooks.com).
"""

import base64
import binascii
import hmac
import secrets
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Annotated
from uuid import UUID

import msgspec

from veza.access.secrets import Keyring, new_secret
from veza.core.body import checked
from veza.core.text import BadValue, clean_text

OLD_SIGNS_FOR = timedelta(hours=24)
PREFIX = "whsec_"
# As many old secrets as a day of changing one's mind may leave behind.
_MOST_OLD = 4
_LEAST, _MOST = 8, 256
_LEAST_BYTES, _MOST_BYTES = 16, 128


class OldSecret(msgspec.Struct, frozen=True):
    """A secret that signs along until then."""

    secret: str
    until: datetime


class Keys(msgspec.Struct, frozen=True):
    """The API key and the secret of a hook, and the secrets that it had before."""

    api_key: str
    secret: str
    old: Sequence[OldSecret] = ()

    def sign(self, message_id: str, at: datetime, body: bytes) -> str:
        """The header ``webhook-signature``: one for each secret that counts now, the new one first."""
        signed = b".".join((message_id.encode(), str(int(at.timestamp())).encode(), body))
        good = [self.secret, *(old.secret for old in self.old if old.until > at)]
        return " ".join(f"v1,{_mac(secret, signed)}" for secret in good)

    def renewed(self, secret: str | None, now: datetime) -> "Keys":
        """Other keys; what signed up to now signs along for a day."""
        old = [OldSecret(self.secret, now + OLD_SIGNS_FOR), *(one for one in self.old if one.until > now)]
        return Keys(new_secret("wh_"), secret or new_signing_secret(), old[:_MOST_OLD])


def _mac(secret: str, signed: bytes) -> str:
    return base64.b64encode(hmac.digest(_bytes_of(secret), signed, "sha256")).decode()


def _bytes_of(secret: str) -> bytes:
    if secret.startswith(PREFIX):
        return base64.b64decode(secret.removeprefix(PREFIX), validate=True)
    return secret.encode()


def make_keys(secret: str | None) -> Keys:
    """Keys for a new hook, with the secret that its owner chose, if they did."""
    return Keys(new_secret("wh_"), secret or new_signing_secret())


def new_signing_secret() -> str:
    """A secret of 256 bits, as receivers' libraries take it."""
    return PREFIX + base64.b64encode(secrets.token_bytes(32)).decode()


def seal(keyring: Keyring, webhook_id: UUID, keys: Keys) -> bytes:
    """The keys as they are kept."""
    return keyring.seal(msgspec.json.encode(keys), f"webhook:{webhook_id}")


def open_keys(keyring: Keyring, webhook_id: UUID, sealed: bytes) -> Keys:
    """What was sealed. Raises :class:`veza.access.secrets.SecretRefused`."""
    return msgspec.json.decode(keyring.open_sealed(sealed, f"webhook:{webhook_id}"), type=Keys)


def _check(secret: str) -> str:
    text = clean_text(secret, max_chars=_MOST, min_chars=_LEAST)
    if text != secret:
        raise BadValue("INVALID_CHARACTER", "Must be in Unicode's normal form C.")
    if not text.startswith(PREFIX):
        return text
    try:
        size = len(_bytes_of(text))
    except binascii.Error:
        raise BadValue("INVALID", f"What follows {PREFIX} must be base64.") from None
    if not _LEAST_BYTES <= size <= _MOST_BYTES:
        raise BadValue("INVALID", f"Must hold {_LEAST_BYTES} to {_MOST_BYTES} bytes.")
    return text


Secret = Annotated[str, checked(_check, minLength=_LEAST, maxLength=_MOST)]
