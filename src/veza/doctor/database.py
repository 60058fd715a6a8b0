"""The database: whether it can be reached, is whole, and has this version's schema; its clock, its work."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path

import apsw

from veza.core import clock
from veza.core.db import Database, open_database
from veza.core.db.migrate import current_revision, head_revision
from veza.core.db.sqlite_looked_at import LookedAt
from veza.doctor.findings import Finding, ok, warning, where, why, wrong
from veza.doctor.work import look_at_work
from veza.moved import find_mark, mark_of
from veza.settings import Settings

_SECONDS = 5.0
_OLDEST_SERVER = 15
_ODD_CLOCK, _WRONG_CLOCK = 1.0, 10.0
_SPARE_CONNECTIONS = 15
_MIB = 1024**2
_LARGE_LOG = 256 * _MIB


async def look_at_database(settings: Settings) -> Sequence[Finding]:
    """All that there is to say of it."""
    return await (_sqlite(settings) if settings.embedded else _postgres(settings))


async def _sqlite(settings: Settings) -> list[Finding]:
    about, path = "database", Path(settings.database.removeprefix("sqlite:///"))
    if (moved := find_mark(settings)) is not None:
        return [
            wrong(
                about,
                f"The rows of {path} were moved to {moved}.",
                "Veza does not start on it, nor back it up: what was changed since is not in it.",
                "Let VEZA_DATABASE_URL name the other, in veza.env or veza.toml, for every command; to go"
                f" back, remove {mark_of(settings)}",
            )
        ]
    if not await asyncio.to_thread(path.exists):
        return [
            warning(
                about,
                f"{path} is not there.",
                "The first start makes an empty one. If there was one, this is not its place.",
                "Set VEZA_DATA_DIR or VEZA_DATABASE_URL, or start Veza.",
            )
        ]
    try:
        database = LookedAt(path)
        try:
            await database.check()
            return [_size(about, path), *await _inside(database)]
        finally:
            await database.close()
    except (apsw.NotADBError, apsw.CorruptError) as error:
        return [
            wrong(
                about, f"{path} is damaged ({error}).", "Veza does not start.", "Put a backup in its place."
            )
        ]
    except apsw.BusyError:
        return [
            wrong(
                about,
                f"{path} is locked by another process.",
                "Changes wait five seconds for it, and then are refused with 503.",
                "Find out which it is, and end it: fuser -v " + str(path),
            )
        ]
    except apsw.Error as error:
        return [
            wrong(
                about,
                f"{path} cannot be opened: {error}.",
                "Veza does not start.",
                "Run this as the user that runs Veza; mend the rights of the file and its folder.",
            )
        ]


def _size(about: str, path: Path) -> Finding:
    files = (path, Path(f"{path}-wal"))
    size, log = (file.stat().st_size if file.exists() else 0 for file in files)
    if log > _LARGE_LOG:
        return warning(
            about,
            f"{path} has a write-ahead log of {log / _MIB:.0f} MiB.",
            "Something has read for very long, so that the log could not be carried over.",
            "End what reads it (a backup that hangs?); the log is then begun anew by itself.",
        )
    return ok(about, f"{path} is readable ({(size + log) / _MIB:.1f} MiB).")


async def _postgres(settings: Settings) -> list[Finding]:
    import asyncpg  # noqa: PLC0415 - SQLite does without it

    about, place = "database", where(settings.database)
    try:
        async with _opened(settings) as database, asyncio.timeout(_SECONDS):
            return [*await _server(about, place, database), *await _inside(database)]
    except asyncpg.InvalidAuthorizationSpecificationError as error:
        return [
            wrong(
                about,
                f"{place} does not let us in: {error}.",
                "Veza does not start.",
                "Mend user and password in VEZA_DATABASE_URL.",
            )
        ]
    except asyncpg.InvalidCatalogNameError:
        return [
            wrong(
                about,
                f"{place}: the server has no such database.",
                "Veza does not start.",
                "Make it: CREATE DATABASE veza OWNER veza ENCODING 'UTF8' TEMPLATE template0;",
            )
        ]
    except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError) as error:
        return [
            wrong(
                about,
                f"{place} does not answer: {why(error)}.",
                "Requests are answered with 503, and /readyz says so.",
                "Is PostgreSQL running, and does it listen to this machine (listen_addresses, pg_hba.conf)?",
            )
        ]


@asynccontextmanager
async def _opened(settings: Settings) -> AsyncIterator[Database]:
    database = open_database(settings.database, pool=1)
    try:
        yield database
    finally:
        await database.close()


_ABOUT_SERVER = """
SELECT current_setting('server_version_num')::int / 10000, current_setting('server_encoding'),
       current_setting('fsync') = 'on' AND current_setting('synchronous_commit') <> 'off',
       current_setting('max_connections')::int - (SELECT count(*) FROM pg_stat_activity), clock_timestamp()
"""


async def _server(about: str, place: str, database: Database) -> list[Finding]:
    began = clock.now()
    ((version, encoding, durable, free, theirs),) = await database.rows(_ABOUT_SERVER)
    findings = [_clock(theirs, began, clock.now())]
    if version < _OLDEST_SERVER:
        findings.append(
            wrong(
                about,
                f"{place} is PostgreSQL {version}.",
                "Veza is tested on 15 and newer; statements may fail.",
                "Upgrade the server.",
            )
        )
    if encoding != "UTF8":
        findings.append(
            wrong(
                about,
                f"{place} keeps text as {encoding}.",
                "Names and titles with other letters cannot be kept.",
                "Make the database anew with ENCODING 'UTF8', and restore it.",
            )
        )
    if not durable:
        findings.append(
            warning(
                about,
                f"{place} says that something is kept before the disk has it (fsync, synchronous_commit).",
                "What was acknowledged can be lost when the server loses power.",
                "Set fsync and synchronous_commit to on.",
            )
        )
    if free < _SPARE_CONNECTIONS:
        findings.append(
            warning(
                about,
                f"{place} has {free} connections left.",
                "Each process of Veza takes up to twelve; without one its requests are answered with 503.",
                "Raise max_connections, or run fewer processes.",
            )
        )
    return (
        findings if len(findings) > 1 else [ok(about, f"{place} answers: PostgreSQL {version}."), *findings]
    )


def _clock(theirs: datetime, began: datetime, ended: datetime) -> Finding:
    """How far the clocks are apart, at least: the answer was under way for a while."""
    apart = max((theirs - ended).total_seconds(), (began - theirs).total_seconds(), 0.0)
    if apart < _ODD_CLOCK:
        return ok("clock", "This machine's and the database's agree.")
    make = wrong if apart > _WRONG_CLOCK else warning
    return make(
        "clock",
        f"This machine's and the database's are {apart:.0f} s apart.",
        "Jobs are done too soon or too late by that, and tokens of one machine may not be good on another.",
        "Have all machines keep their clocks by NTP (chrony, systemd-timesyncd).",
    )


async def _inside(database: Database) -> Sequence[Finding]:
    about, at, head = "schema", await current_revision(database), head_revision()
    if at == head:
        return [ok(about, f"It is this version's (r{head})."), *await look_at_work(database)]
    if at is None:
        return [ok(about, "The database is empty; the first start sets it up.")]
    if at > head:
        return [
            wrong(
                about,
                f"It is of a newer Veza (r{at}; this one knows r{head}).",
                "This version does not start.",
                "Run the newer one, or restore the backup that was made before it.",
            )
        ]
    if database.dialect == "sqlite":
        return [
            warning(
                about,
                f"It is older than this version (r{at}; it will be r{head}).",
                "The next start migrates it, and the version before then refuses it.",
                "Make a backup before you start.",
            )
        ]
    return [
        wrong(
            about,
            f"It is older than this version (r{at}, not r{head}).",
            "Processes of this version do not start; those of the one before go on.",
            "Make a backup, then run `veza migrate` once.",
        )
    ]
