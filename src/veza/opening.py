"""Opening the parts for a process, with a database at the newest schema; or saying in one line why not."""

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AbstractContextManager, asynccontextmanager, contextmanager, nullcontext, suppress
from errno import EROFS
from functools import partial
from pathlib import Path
from typing import Any

import apsw
import structlog

from veza.core import installation
from veza.core.db import Database, open_database
from veza.core.db.migrate import current_revision, head_revision, upgrade
from veza.core.errors import NO_ROOM, InsufficientStorage, Unavailable, VezaError
from veza.core.installation import Belonging, stamp_key
from veza.core.lock import FolderLock
from veza.core.service_urls import where, why
from veza.core.storage import Storage, StorageUnavailable
from veza.moved import refuse_moved
from veza.naming import holds_any, name_some, seem_one
from veza.parts import Parts, is_secret_gone, make_folder, make_parts, make_storage
from veza.rooms.search import build as search
from veza.settings import BadSetting, Settings

# Less than what SQLite needs to open a database at all.
_ROOM = 256 * 1024
# PostgreSQL, appendix A: disk_full, read_only_sql_transaction.
_PG_FULL, _PG_READ_ONLY = "53100", "25006"
# Seconds that a start waits for a storage to say whose it is; it may be away.
_STORAGE_SECONDS = 5.0
# And who works already, after each pause.
_LONGER_SECONDS = _LATER_SECONDS = 60.0
_PAUSE = 0.2
_AWAY = (TimeoutError, Unavailable, InsufficientStorage)

log = structlog.get_logger()


class OutOfReach(Exception):
    """What is needed to begin does not answer; it may do so later."""


@asynccontextmanager
async def prepared(settings: Settings) -> AsyncIterator[Parts]:
    """The parts, with a database at the newest schema.

    What is embedded or empty is migrated here; what others use as well, when its operator says so.
    Raises OutOfReach and BadSetting, as all functions here do.
    """
    async with opened(settings) as parts:
        with saying_what_is_wrong(settings):
            await _migrate_if_ours(parts.database)
        yield parts


@asynccontextmanager
async def settled(settings: Settings) -> AsyncIterator[Parts]:
    """The same, with a storage that is this database's: for whoever works on files."""
    async with prepared(settings) as parts:
        with saying_what_is_wrong(settings):
            sure = await _settle(parts, _STORAGE_SECONDS)
        later = None if sure else asyncio.create_task(_settle_later(parts), name="settle")
        try:
            yield parts
        finally:
            if later is not None:
                later.cancel()
                await asyncio.gather(later, return_exceptions=True)


@asynccontextmanager
async def existing(settings: Settings) -> AsyncIterator[Parts]:
    """The same, where there is a database already: for whoever has no use for one that is made just now."""
    await refuse_nothing(settings)
    async with prepared(settings) as parts:
        yield parts


@asynccontextmanager
async def opened(settings: Settings) -> AsyncIterator[Parts]:
    """The parts, with a database that answers, and is closed at the end."""
    with saying_what_is_wrong(settings):
        make_folder(settings)
        refuse_moved(settings)
        is_made = partial(_is_made, settings)
        if settings.embedded and not await is_made():
            # Before anything is made that a restore would refuse.
            await _refuse_beside_files(settings, is_made)
        parts = make_parts(settings, may_make_secret=not await is_secret_gone(settings))
    try:
        with saying_what_is_wrong(settings):
            is_migrated = partial(current_revision, parts.database)
            if not settings.embedded and not await is_migrated():
                await _refuse_beside_files(settings, is_migrated)
        yield parts
    finally:
        for part in (parts.database, parts.limiter, parts.storage, parts.providers):
            await part.close()


async def refuse_nothing(settings: Settings) -> None:
    """Raise BadSetting where there is no database, or not here: all would be well, and one be made.

    Nothing is made to find out, not even a secret: both would be in the way of a restore.
    """
    refuse_moved(settings)
    if settings.embedded:
        path = _file(settings)
        try:
            there = path.exists() and path.stat().st_size
        except PermissionError as error:
            raise BadSetting(f"{path} cannot be read: {error.strerror}.") from None
        if not there:
            raise BadSetting(f"there is no database at {path}: is VEZA_DATA_DIR the server's?")
        return
    with saying_what_is_wrong(settings):
        try:
            database = open_database(settings.database, pool=1)
        except ValueError as error:
            raise BadSetting(f"VEZA_DATABASE_URL: {error}") from None
        try:
            revision = await current_revision(database)
        finally:
            await database.close()
    if revision is None:
        raise BadSetting("there is nothing in the database that VEZA_DATABASE_URL names: is it the server's?")


async def migrate(settings: Settings) -> bool:
    """Bring the database to the newest schema; whether there was anything to do."""
    with lock(settings):
        async with opened(settings) as parts:
            with saying_what_is_wrong(settings):
                migrated = await upgrade(parts.database)
                await search.complete(parts.database)
            return migrated


async def _migrate_if_ours(database: Database) -> None:
    at = await current_revision(database) if database.shared else None
    if at is not None and at < head_revision():
        raise BadSetting("the database has an older schema: run `veza migrate` first.")
    migrated = await upgrade(database)
    if migrated or not database.shared:
        await search.complete(database)


def _file(settings: Settings) -> Path:
    return Path(settings.database.removeprefix("sqlite:///"))


async def _is_made(settings: Settings) -> bool:
    return await asyncio.to_thread(_file(settings).exists)


async def _refuse_beside_files(settings: Settings, begun: Callable[[], Awaitable[object]]) -> None:
    """Raise BadSetting where a database is about to be made, and there are files: they must be another's.

    Unless it has ``begun`` meanwhile, by another process.
    """
    storage = make_storage(settings)
    try:
        async with asyncio.timeout(_STORAGE_SECONDS):
            stamps, held = sorted(await installation.list_stamps(storage)), await holds_any(storage)
    except _AWAY:
        return  # it is compared before anything there is removed
    finally:
        await storage.close()
    if not (stamps or held) or await begun():
        return
    whose, deed = "holds files of another", "let VEZA_STORAGE_URL name an empty place"
    if not held:
        whose = f"is that of the installation {', '.join(stamps)}, though without a file of it"
        deed = f"remove {stamp_key(stamps[0])} there"
    raise BadSetting(
        f"there is nothing in the database {_named(settings)}, and {storage.place} {whose}: is"
        " VEZA_DATABASE_URL, or VEZA_DATA_DIR, the right one? What is lost comes back by `veza restore`; for"
        f" a new one {deed}."
    )


async def _settle(parts: Parts, seconds: float) -> bool:
    """See that storage and database belong together, and have them say so where neither did; if they do.

    Raises BadSetting, and OutOfReach where the storage has lost what it said, or has no file at all. One that
    is away for so many seconds keeps nobody from starting: each sweep compares again.
    """
    database, storage, settings = parts.database, parts.storage, parts.settings
    known = (await installation.identify(database)).stamped_at is not None
    try:
        async with asyncio.timeout(seconds):
            found = await (installation.compare if known else _tie)(database, storage)
            empty = not found.stamps and not await holds_any(storage)
    except _AWAY as problem:
        log.warning("storage.not_compared", storage=storage.place, error=why(problem))
        return False
    if found.sure:
        if not known:
            await installation.note_stamp(database)
        return True
    own, place = stamp_key(found.id), storage.place
    if found.lost or empty:
        lost = found.problem(place) or f"{place} has no file, and the database names some"
        raise OutOfReach(
            f"{lost}: is its disk mounted, and does VEZA_STORAGE_URL name the right place? To go on with this"
            f" one all the same, put an empty file {own} there."
        )
    said, deed = found.problem(place), "put there an empty file"
    if found.others:
        deed = f"rename {stamp_key(found.others[0])} there to"
    elif await name_some(database):
        said = f"the files in {place} are not those that the database names"
    else:
        said = f"there are files in {place}, and the database names none"
    raise BadSetting(
        f"{said} ({_named(settings)}): let VEZA_DATABASE_URL and VEZA_STORAGE_URL name two that belong"
        f" together, for sweeps remove what no row names. To make the storage this database's, {deed} {own}."
    )


async def _settle_later(parts: Parts) -> None:
    """Settle it beside the work, for until then no sweep removes anything; say each time what is wrong."""
    sure = False
    while not sure:
        await asyncio.sleep(_LATER_SECONDS)
        try:
            with saying_what_is_wrong(parts.settings):
                sure = await _settle(parts, _LONGER_SECONDS)
        except (BadSetting, OutOfReach) as problem:
            log.error("storage.not_settled", error=str(problem))  # noqa: TRY400 - it says all


async def _tie(database: Database, storage: Storage) -> Belonging:
    """Have both say that they are of one another, unless that seems wrong; what they say then."""
    while True:
        try:
            found = await installation.compare(database, storage)
            if not found.stamps and await seem_one(database, storage):
                return await installation.stamp(database, storage)
        except StorageUnavailable:
            # A bucket may be made by the first who writes, takes a moment for it, and is not listed before.
            with suppress(Unavailable):
                await storage.check()
            await asyncio.sleep(_PAUSE)
        else:
            return found


def _named(settings: Settings) -> str:
    """Which database that is, without its password."""
    return str(_file(settings)) if settings.embedded else where(settings.database)


def lock(settings: Settings) -> AbstractContextManager[Any]:
    """Keep other processes away from a folder that only one may use. Raises InUse."""
    if not settings.embedded:
        return nullcontext()
    with saying_what_is_wrong(settings):
        make_folder(settings)
        return FolderLock(settings.data_dir)


@contextmanager
def saying_what_is_wrong(settings: Settings) -> Iterator[None]:
    """Within this block, what a disk or a database refuses is said in one line, with what to do."""
    refusals: tuple[type[Exception], ...] = (apsw.Error, OSError, VezaError, *_postgres_errors(settings))
    try:
        yield
    except (apsw.NotADBError, apsw.CorruptError) as error:
        raise BadSetting(f"{settings.database} is damaged ({error}): put a backup in its place.") from None
    except refusals as error:
        raise _in_words(settings, error) from None


def _in_words(settings: Settings, error: Exception) -> Exception:
    code, state = getattr(error, "errno", 0), _state_of(error)
    if isinstance(error, apsw.ReadOnlyError) or code == EROFS:
        return BadSetting(f"{settings.data_dir} can be read, and not be written to ({error}).")
    if state == _PG_READ_ONLY:
        return OutOfReach("the database can only be read: does VEZA_DATABASE_URL name a copy of another?")
    if state == _PG_FULL:
        return OutOfReach("the disk of the database is full: make room there.")
    if isinstance(error, InsufficientStorage | apsw.FullError) or code in NO_ROOM or _is_full(settings):
        return OutOfReach(f"there is no room left for {settings.data_dir}: make some.")
    if isinstance(error, OSError) and error.filename:
        return OutOfReach(f"{error.filename} cannot be used: {error.strerror}.")
    return OutOfReach(f"the database does not answer: {str(error) or type(error).__name__}")


def _state_of(error: BaseException | None) -> str:
    """What PostgreSQL says of an error, also of one that is no longer its own."""
    return "" if error is None else getattr(error, "sqlstate", None) or _state_of(error.__cause__)


def _is_full(settings: Settings) -> bool:
    """Whether that is why: SQLite says of much that it is an error of the disk."""
    try:
        found = os.statvfs(settings.data_dir)
    except OSError:
        return False
    # Some file systems count no files.
    full = found.f_bavail * found.f_frsize < _ROOM or (found.f_files > 0 and found.f_favail == 0)
    return settings.embedded and full


def _postgres_errors(settings: Settings) -> tuple[type[Exception], ...]:
    if settings.embedded:
        return ()
    from veza.core.db.postgres_pool import ERRORS  # noqa: PLC0415 - SQLite does without the driver

    return ERRORS
