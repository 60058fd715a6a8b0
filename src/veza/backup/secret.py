"""The server's secret, without which nothing opens that was sealed: kept in a backup only if wanted."""

import os
from pathlib import Path

from veza.access.secrets import Keyring, SecretRefused, secret_file
from veza.backup.manifest import Manifest
from veza.backup.restoring import NotRestored
from veza.backup.vault import Vault
from veza.settings import BadSetting, Settings


def secret_to_keep(settings: Settings) -> bytes:
    """The content of the secret's file. Raises BadSetting where it is in the environment."""
    if settings.secret_key:
        raise BadSetting("--with-secret is for the secret in the data folder; yours is in VEZA_SECRET_KEY.")
    return secret_file(settings.data_dir).read_bytes()


async def restore_secret(settings: Settings, vault: Vault, manifest: Manifest) -> None:
    """See that the secrets are here by which the rows were sealed. Raises :class:`NotRestored`."""
    path = secret_file(settings.data_dir)
    if not settings.secret_key and not path.exists():
        if not manifest.secret.included:
            raise NotRestored(
                f"{path} is missing, and not in this backup: put it there first, or set VEZA_SECRET_KEY."
            )
        _write(path, await vault.get_secret(manifest.id))
    try:
        keyring = Keyring.load_or_create(settings.data_dir, settings.secret_key or None, may_create=False)
    except SecretRefused as problem:
        raise NotRestored(str(problem)) from None
    here = {key_id for key_id, _ in keyring.derive("backup")}
    if lacking := [key_id for key_id in manifest.secret.ids if key_id not in here]:
        raise NotRestored(
            f"this backup was made with another secret ({lacking[0]}): put it into {path} or VEZA_SECRET_KEY."
        )


def _write(path: Path, content: bytes) -> None:
    """A file of this user's alone, whole or not there."""
    draft = path.with_name(f".{path.name}.restored")
    draft.unlink(missing_ok=True)
    file = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        os.write(file, content)
        os.fsync(file)
    finally:
        os.close(file)
    draft.rename(path)
