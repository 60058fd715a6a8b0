"""The server's secret, without which nothing opens that was sealed: kept in a backup only if wanted."""

from veza.access.secrets import Keyring, SecretRefused, secret_file
from veza.backup.manifest import Manifest
from veza.backup.pieces import PieceDamaged
from veza.backup.restoring import NotRestored
from veza.backup.vault import Vault, secret_key
from veza.core.errors import NotFound
from veza.core.storage_files import write_durably
from veza.settings import BadSetting, Settings


def secret_to_keep(settings: Settings) -> bytes:
    """The content of the secret's file. Raises BadSetting where it is in the environment."""
    if settings.secret_key:
        raise BadSetting("--with-secret is for the secret in the data folder; yours is in VEZA_SECRET_KEY.")
    return secret_file(settings.data_dir).read_bytes()


async def get_secret(vault: Vault, manifest: Manifest) -> bytes:
    """The secret that a backup keeps: the one by which its rows were sealed. Raises :class:`PieceDamaged`."""
    key = secret_key(manifest.id)
    try:
        content = await vault.get_secret(manifest.id)
        kept = Keyring.of_file(content)
    except NotFound:
        raise PieceDamaged(f"{key}, the server's secret, is missing.") from None
    except ValueError:  # too large; and SecretRefused is one
        raise PieceDamaged(f"{key}, the server's secret, is damaged.") from None
    if _lacking(kept, manifest):
        raise PieceDamaged(f"{key}, the server's secret, is another than it was.")
    return content


async def restore_secret(settings: Settings, vault: Vault, manifest: Manifest) -> None:
    """See that the secrets are here by which the rows were sealed.

    Raises :class:`NotRestored`, :class:`PieceDamaged`; then there is none that was not there before.
    """
    path = secret_file(settings.data_dir)
    if not settings.secret_key and not path.exists():
        if not manifest.secret.included:
            raise NotRestored(
                f"{path} is missing, and not in this backup: put it there first, or set VEZA_SECRET_KEY."
            )
        # Readable by this user alone: as all that these commands write.
        write_durably(await get_secret(vault, manifest), path, path.parent, path.parent)
    try:
        keyring = Keyring.load_or_create(settings.data_dir, settings.secret_key or None, may_create=False)
    except SecretRefused as problem:
        raise NotRestored(str(problem)) from None
    if lacking := _lacking(keyring, manifest):
        raise NotRestored(
            f"this backup was made with another secret ({lacking[0]}): put it into {path} or VEZA_SECRET_KEY."
        )


def _lacking(keyring: Keyring, manifest: Manifest) -> list[str]:
    """By which secrets the rows were sealed that are not among these."""
    here = {key_id for key_id, _ in keyring.derive("backup")}
    return [key_id for key_id in manifest.secret.ids if key_id not in here]
