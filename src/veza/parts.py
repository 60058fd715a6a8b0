"""The parts that everything works with, made as the settings ask."""

import msgspec

from veza.access.passwords import PasswordHasher
from veza.access.secrets import Keyring
from veza.access.tokens import Tokens
from veza.core.db import Database, open_database
from veza.core.limits import Limit, Limiter, open_limiter, parse_limit
from veza.core.mail import Mailer, mailer_from
from veza.core.probes import Readiness
from veza.core.storage import Storage, open_storage
from veza.rooms.sessions.authenticator import Authenticator
from veza.settings import Settings


class Parts(msgspec.Struct, frozen=True):
    """What the rooms are given to work with."""

    settings: Settings
    database: Database
    storage: Storage
    limiter: Limiter
    mailer: Mailer
    keyring: Keyring
    tokens: Tokens
    hasher: PasswordHasher
    authenticator: Authenticator
    readiness: Readiness

    def limit(self, name: str, text: str) -> Limit | None:
        """The limit of this name, or None where limits are off."""
        return parse_limit(name, text) if self.settings.rate_limit_enabled else None


def make_parts(settings: Settings, *, database: Database | None = None) -> Parts:
    """The parts that the settings ask for, or with this ``database``. Opens one, but does not migrate it."""
    settings.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    keyring = Keyring.load_or_create(settings.data_dir, settings.secret_key or None)
    database, tokens = database or open_database(settings.database), Tokens(keyring)
    storage = open_storage(settings.storage, scratch=settings.data_dir / "scratch", s3=settings.s3)
    return Parts(
        settings=settings,
        database=database,
        storage=storage,
        limiter=open_limiter(settings.redis_url or None),
        mailer=mailer_from(settings.smtp_url or None, settings.mail_folder, settings.mail_from),
        keyring=keyring,
        tokens=tokens,
        hasher=PasswordHasher(),
        authenticator=Authenticator(database, tokens),
        readiness=Readiness({"database": database.check, "storage": storage.check}),
    )
