"""The server's secret: whether it is here where there is data, nobody else's, and that of the data."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import apsw

from veza.access.secrets import Keyring, SecretRefused, secret_file
from veza.core.db import Database, open_database
from veza.core.db.migrate import current_revision, head_revision
from veza.core.db.sqlite_looked_at import LookedAt
from veza.core.errors import VezaError
from veza.doctor.findings import Finding, ok, warning, why, wrong
from veza.parts import is_secret_gone
from veza.rooms.audit.sealing import Sealer
from veza.settings import Settings

_ABOUT = "secret key"
_SECONDS = 5.0


async def look_at_secret(settings: Settings) -> list[Finding]:
    """X18: whether the secret is there, where there is data; nobody else's; and that of whoever serves."""
    file = secret_file(settings.data_dir)
    if not settings.secret_key and not await asyncio.to_thread(file.exists):
        return [await _none(settings)]
    try:
        keyring = Keyring.load_or_create(settings.data_dir, settings.secret_key or None, may_create=False)
    except SecretRefused as refused:
        return [_refused(refused)]
    source = "VEZA_SECRET_KEY" if settings.secret_key else str(file)
    if not await _is_theirs(settings, keyring):
        return [
            wrong(
                _ABOUT,
                f"{source} is not what the audit log was last sealed with.",
                "What others signed and sealed is not valid here, nor what is signed here elsewhere;"
                " `veza backup` refuses.",
                "Give all processes the same. If it is to stay: it is known once somebody has signed in.",
            )
        ]
    older = len(keyring.derive("doctor")) - 1
    return [ok(_ABOUT, f"{source} is right" + (f", with {older} older behind it." if older else "."))]


async def _none(settings: Settings) -> Finding:
    try:
        async with asyncio.timeout(_SECONDS):
            gone = await is_secret_gone(settings)
    except away(settings) as error:
        return wrong(
            _ABOUT,
            f"There is none, and whether there is data already cannot be found out: {why(error)}.",
            "Veza does not start, and makes none before it knows.",
            "Mend the database first, or set VEZA_SECRET_KEY to what the other processes have.",
        )
    if gone:
        try:
            Keyring.load_or_create(settings.data_dir, may_create=False)
        except SecretRefused as refused:
            return _refused(refused)
    if settings.embedded:
        return ok(_ABOUT, "There is none yet; the first start makes it.")
    return warning(
        _ABOUT,
        "VEZA_SECRET_KEY is not set, and there is no secret.key.",
        "The first start makes one; once anybody has an account, processes without it do not start.",
        "Give all processes the same VEZA_SECRET_KEY.",
    )


async def _is_theirs(settings: Settings, keyring: Keyring) -> bool:
    """Whether nothing says that this is another secret; of a database that is away others tell."""
    try:
        async with looked_at(settings) as database, asyncio.timeout(_SECONDS):
            if await current_revision(database) != head_revision():
                return True
            async with database.read() as view:
                return await Sealer(database, keyring).knows_end(view)
    except away(settings):
        return True


@asynccontextmanager
async def looked_at(settings: Settings) -> AsyncIterator[Database]:
    """The database as it is, which must be there. Raises what :func:`away` names."""
    file = Path(settings.database.removeprefix("sqlite:///"))
    database = LookedAt(file) if settings.embedded else open_database(settings.database, pool=1)
    try:
        yield database
    finally:
        await database.close()


def _refused(refused: SecretRefused) -> Finding:
    advice = "Restore it from where you keep it, or mend its mode as it says; docs/backup.md."
    return wrong(_ABOUT, str(refused), "Veza does not start.", advice)


def away(settings: Settings) -> tuple[type[Exception], ...]:
    """What says that the database cannot be asked; that of PostgreSQL is loaded only where there is one."""
    if settings.embedded:
        return (apsw.Error, OSError)
    from asyncpg import InterfaceError, PostgresError  # noqa: PLC0415 - see above

    return (PostgresError, InterfaceError, OSError, VezaError)
