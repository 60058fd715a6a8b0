"""The parts that everything works with, made as the settings ask."""

import asyncio
import math
import os
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TypeVar

import msgspec

from veza.access.passwords import PasswordHasher
from veza.access.secrets import Keyring, secret_file
from veza.access.tokens import Tokens
from veza.core.db import Database, open_database
from veza.core.db.migrate import current_revision
from veza.core.errors import NO_ROOM
from veza.core.jobs import check_queue
from veza.core.limits import Limit, Limiter, open_limiter, parse_limit
from veza.core.live import Live, open_live
from veza.core.mail import Mailer, mailer_from
from veza.core.malware import Scanner, open_scanner
from veza.core.outgoing import Courier, Guard
from veza.core.places import Places, open_places
from veza.core.probes import Readiness
from veza.core.storage import ChunkStore, Storage, open_chunks, open_storage
from veza.moved import refuse_moved
from veza.rooms.accounts import service as accounts
from veza.rooms.marketplace.payments import Providers, StripeConfig, open_providers
from veza.rooms.recommendations.shelf import Shelf
from veza.rooms.sessions.authenticator import Authenticator
from veza.settings import BadSetting, Settings

T = TypeVar("T")


class Parts(msgspec.Struct, frozen=True):
    """What the rooms are given to work with."""

    settings: Settings
    database: Database
    storage: Storage
    chunks: ChunkStore
    limiter: Limiter
    live: Live
    mailer: Mailer
    scanner: Scanner
    keyring: Keyring
    tokens: Tokens
    hasher: PasswordHasher
    authenticator: Authenticator
    shelf: Shelf
    providers: Providers
    courier: Courier
    places: Places
    readiness: Readiness

    def limit(self, name: str, text: str) -> Limit | None:
        """The limit of this name, or None where limits are off."""
        return parse_limit(name, text) if self.settings.rate_limit_enabled else None

    def free_bytes(self) -> float:
        """How many bytes the data folder has room for; not a number where it cannot be asked."""
        try:
            return float(shutil.disk_usage(self.settings.data_dir).free)
        except OSError:
            return math.nan


def make_parts(
    settings: Settings, *, database: Database | None = None, may_make_secret: bool = True
) -> Parts:
    """The parts that the settings ask for, or with this ``database``. Opens one, but does not migrate it.

    Raises BadSetting, SecretRefused, and OSError where there is no room.
    """
    make_folder(settings)
    if database is None:
        refuse_moved(settings)
    keyring = Keyring.load_or_create(
        settings.data_dir, settings.secret_key or None, may_create=may_make_secret
    )
    if database is None:
        database = _made(
            "DATABASE_URL", lambda: open_database(settings.database, read_url=settings.database_read_url)
        )
    tokens = Tokens(keyring)
    storage = make_storage(settings)
    return Parts(
        settings=settings,
        database=database,
        storage=storage,
        chunks=open_chunks(storage),
        limiter=_made("REDIS_URL", lambda: open_limiter(settings.redis_url or None)),
        live=_made("REDIS_URL", lambda: open_live(settings.redis_url or None)),
        mailer=_made(
            "SMTP_URL" if settings.smtp_url else "MAIL_FROM",
            lambda: mailer_from(settings.smtp_url or None, settings.mail_folder, settings.mail_from),
        ),
        scanner=_made("CLAMD_URL", lambda: open_scanner(settings.clamd_url or None)),
        keyring=keyring,
        tokens=tokens,
        hasher=PasswordHasher(),
        authenticator=Authenticator(database, tokens),
        shelf=Shelf(database, storage),
        providers=open_providers(settings.payment_provider, _stripe(settings)),
        courier=Courier(Guard(allow_private=settings.webhook_allow_private, own_url=settings.base_url)),
        places=_made("GEOIP_DATABASE", lambda: open_places(settings.geoip_database)),
        readiness=Readiness(
            {"database": database.check, "storage": storage.check, "queue": partial(check_queue, database)}
        ),
    )


def make_storage(settings: Settings) -> Storage:
    """The storage alone. Raises BadSetting."""
    scratch = settings.data_dir / "scratch"
    return _made("STORAGE_URL", lambda: open_storage(settings.storage, scratch=scratch, s3=settings.s3))


def _stripe(settings: Settings) -> StripeConfig | None:
    """Stripe is there as long as its key is: so that what was paid by it can be given back."""
    if not settings.stripe_secret_key:
        return None
    return StripeConfig(
        secret_key=settings.stripe_secret_key,
        webhook_secrets=settings.webhook_secrets,
        return_url=settings.payment_return_url or f"{settings.base_url}/payments/returned",
        api_url=settings.stripe_api_url.rstrip("/"),
    )


def make_folder(settings: Settings) -> None:
    """Make the data folder, where there is none.

    Raises BadSetting when it cannot be written to, and OSError where there is no room.
    """
    folder = settings.data_dir
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        if error.errno in NO_ROOM:  # no setting mends that
            raise
        raise BadSetting(f"VEZA_DATA_DIR: {folder} cannot be used: {error.strerror}.") from None
    if not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
        raise BadSetting(f"VEZA_DATA_DIR: {folder} cannot be written to.")


async def is_secret_gone(settings: Settings) -> bool:
    """Whether there is no secret here, but data that was made with one, which a new one could not open.

    A file is data, whatever is in it. What others may have set up as well is data once anybody has an
    account: until then nothing is signed or sealed. Raises BadSetting, and what databases raise.
    """
    if bool(settings.secret_key) or await asyncio.to_thread(secret_file(settings.data_dir).exists):
        return False
    if settings.embedded:
        return await asyncio.to_thread(Path(settings.database.removeprefix("sqlite:///")).exists)
    database = _made("DATABASE_URL", lambda: open_database(settings.database, pool=1))
    try:
        if await current_revision(database) is None:
            return False
        async with database.read() as view:
            return await accounts.is_anybody(view)
    finally:
        await database.close()


def _made(name: str, make: Callable[[], T]) -> T:
    try:
        return make()
    except (ValueError, OSError) as error:
        if isinstance(error, OSError) and error.errno in NO_ROOM:  # as above
            raise
        raise BadSetting(f"VEZA_{name}: {error}") from None
