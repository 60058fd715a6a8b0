"""Secrets: the ones handed out, and the server's own, from which every other key is derived."""

import base64
import hashlib
import hmac
import os
import secrets
import stat
from collections.abc import Sequence
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

_FILE = "secret.key"
_MIN_BYTES = 32
# Anything with fewer different characters is a placeholder, not a key: 32 random ones have about 25.
_MIN_DIFFERENT = 8
_KEY_ID_BYTES = 4
_NONCE_BYTES = 12


class SecretRefused(ValueError):
    """The server's secret is missing, unsafe, or not the one that made this; says so in one line."""


def new_secret(prefix: str = "") -> str:
    """A secret for a client to keep: 256 random bits in URL-safe base64, after a prefix naming its kind."""
    return prefix + secrets.token_urlsafe(32)


def digest(secret: str) -> bytes:
    """What the database keeps in place of a secret of 80 random bits or more: its SHA-256, 32 bytes.

    A plain hash is enough, because nobody can try out that many; looking it up needs no constant time.
    """
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).digest()


def secret_file(data_dir: Path) -> Path:
    """Where the server's secrets lie, unless the environment has them."""
    return data_dir / _FILE


class Keyring:
    """The server's secrets: the first is used for everything new, the others still open what they made.

    To change the secret without signing anybody out, put the new one first and leave the old one behind it
    for as long as anything that it sealed is needed. Where several nodes share it, first give all of them
    the new one in second place.
    """

    def __init__(self, masters: Sequence[bytes]) -> None:
        for master in masters:
            if len(master) < _MIN_BYTES or len(set(master)) < _MIN_DIFFERENT:
                raise SecretRefused(f"The secret key must have at least {_MIN_BYTES} random bytes.")
        if not masters:
            raise SecretRefused("There is no secret key.")
        self._masters = {_expand(master, "id")[:_KEY_ID_BYTES]: master for master in masters}
        self._first = next(iter(self._masters))

    @classmethod
    def load_or_create(
        cls, data_dir: Path, env_secret: str | None = None, *, may_create: bool = True
    ) -> "Keyring":
        """The secrets of the environment, else those of the file ``secret.key``, made when there is none.

        Several are separated by commas in the environment, by lines in the file. ``may_create`` is false when
        there is data already: a new secret could not open it. Raises SecretRefused.
        """
        if env_secret is not None:
            return cls(_parse(env_secret.replace(",", "\n")))
        path = secret_file(data_dir)
        if not path.exists():
            if not may_create:
                raise SecretRefused(
                    f"{path.absolute()} is missing, and VEZA_SECRET_KEY is not set, but the data was made"
                    " with a secret: restore it, from where you keep it beside the backups, or from the other"
                    " processes (VEZA_SECRET_KEY of their veza.env or veza.toml, or secret.key in their data"
                    " folder)."
                )
            _create(path)
        return cls.of_file(_read(path))

    @classmethod
    def of_file(cls, content: bytes) -> "Keyring":
        """The secrets in what such a file holds. Raises SecretRefused."""
        try:
            return cls(_parse(content.decode()))
        except UnicodeDecodeError:
            raise SecretRefused("The secret key must be text.") from None

    def derive(self, purpose: str) -> list[tuple[str, bytes]]:
        """For each secret, first the one in use, the key id and the 32-byte key of this purpose."""
        return [(key_id.hex(), _expand(master, purpose)) for key_id, master in self._masters.items()]

    def seal(self, plain: bytes, purpose: str) -> bytes:
        """Encrypt for storage; only ``open_sealed`` with the same purpose opens it (AES-256-GCM).

        Name the owner in the purpose (``totp:<user id>``), and no row can be passed off as another's.
        """
        nonce = os.urandom(_NONCE_BYTES)
        cipher = AESGCM(_expand(self._masters[self._first], "seal"))
        return self._first + nonce + cipher.encrypt(nonce, plain, purpose.encode())

    def open_sealed(self, sealed: bytes, purpose: str) -> bytes:
        """What was sealed. Raises SecretRefused when it was changed, is another's, or its key is gone."""
        master = self._masters.get(sealed[:_KEY_ID_BYTES])
        nonce, body = sealed[_KEY_ID_BYTES:][:_NONCE_BYTES], sealed[_KEY_ID_BYTES + _NONCE_BYTES :]
        if master is None or len(nonce) < _NONCE_BYTES:
            raise SecretRefused("This was not sealed with any secret key that is here.")
        try:
            return AESGCM(_expand(master, "seal")).decrypt(nonce, body, purpose.encode())
        except InvalidTag:
            raise SecretRefused("This was sealed for something else, or changed since.") from None

    def new_nonce(self) -> bytes:
        """For the row of a refresh token: what ``successor_of`` needs beside the token, 20 bytes."""
        return self._first + os.urandom(16)

    def successor_of(self, refresh_token: str, nonce: bytes) -> str:
        """The one refresh token that follows this one, so that a repeated refresh gets the same answer.

        It is never stored: whoever has the database lacks the token and the server's secret; whoever has the
        token lacks the nonce and the secret. Raises SecretRefused when the nonce's key is gone.
        """
        master = self._masters.get(nonce[:_KEY_ID_BYTES])
        if master is None:
            raise SecretRefused("This nonce was not made with any secret key that is here.")
        message = nonce + digest(refresh_token)
        return _text(hmac.digest(_expand(master, "refresh"), message, "sha256"))


def _expand(master: bytes, purpose: str) -> bytes:
    """A key of its own for each purpose (HKDF's extract and one expand, RFC 5869)."""
    pseudorandom = hmac.digest(b"veza", master, "sha256")
    return hmac.digest(pseudorandom, purpose.encode() + b"\x01", "sha256")


def _text(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _parse(text: str) -> list[bytes]:
    return [line.strip().encode() for line in text.splitlines() if line.strip()]


def _read(path: Path) -> bytes:
    mode = stat.S_IMODE(path.stat().st_mode)
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise SecretRefused(f"{path} may be read by others (mode {mode:04o}): run `chmod 600 {path}`.")
    try:
        return path.read_bytes()
    except OSError as error:
        raise SecretRefused(f"{path} cannot be read: {error}.") from None


def _create(path: Path) -> None:
    """Write a new secret so that a crash leaves a whole file or none, and of two starters one wins."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_name(f".{_FILE}.{secrets.token_hex(8)}")
    file = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        os.write(file, f"{new_secret()}\n".encode())
        os.fsync(file)
        # Unlike a rename, a link never replaces the secret that another starter has already made.
        os.link(draft, path)
    except FileExistsError:
        pass
    finally:
        os.close(file)
        draft.unlink()
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
