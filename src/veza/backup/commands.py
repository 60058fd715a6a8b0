"""`veza backup`, `backups`, `restore`, `fsck` and `migrate --to` as their operator sees them."""

import os
import sys
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, AbstractContextManager, suppress
from pathlib import Path, PurePath
from typing import Any

import apsw
import msgspec

from veza.access.secrets import secret_file
from veza.backup import progress
from veza.backup.checking import Checker
from veza.backup.making import Made, Maker
from veza.backup.manifest import Manifest, ManifestDamaged
from veza.backup.moving import move
from veza.backup.pieces import PieceDamaged
from veza.backup.pruning import NotPruned, prune
from veza.backup.restoring import NotRestored, Restorer
from veza.backup.secret import restore_secret, secret_to_keep
from veza.backup.vault import NoBackup, Vault, open_vault
from veza.backup.verifying import verify_backup
from veza.core.db import open_database
from veza.core.db.loading import NotEmpty
from veza.core.db.loading_sqlite import refuse_file
from veza.core.db.migrate import current_revision, head_revision, is_known
from veza.core.errors import VezaError
from veza.core.in_words import in_words
from veza.core.service_urls import mistake, where
from veza.core.storage import (
    HeldAlready,
    HoldLost,
    LocalStorage,
    Storage,
    holding,
)
from veza.moved import mark_of, refuse_moved, write_mark
from veza.opening import refuse_nothing, saying_what_is_wrong
from veza.parts import Parts, make_folder, make_storage
from veza.rooms.audit.sealing import Sealer
from veza.settings import BadSetting, Settings

_PROBLEMS = (NoBackup, ManifestDamaged, PieceDamaged, NotPruned, NotRestored, NotEmpty)
_SAID = {
    ManifestDamaged: "its manifest is damaged: it cannot be used; `veza backups` lists the others.",
    HeldAlready: "another backup is being made there; one that was killed counts for half an hour.",
    HoldLost: "it was held up for half an hour, and another backup may have begun meanwhile: say it again.",
}


class Ways(msgspec.Struct, frozen=True):
    """What a process does: opens the parts as they are, or at the newest schema; keeps others away."""

    opened: Callable[[Settings], AbstractAsyncContextManager[Parts]]
    prepared: Callable[[Settings], AbstractAsyncContextManager[Parts]]
    lock: Callable[[Settings], AbstractContextManager[Any]]


def _say(text: str) -> None:
    print(text, flush=True)  # noqa: T201 - the command's answer


def _complain(text: str) -> int:
    print(f"veza: {text}", file=sys.stderr)  # noqa: T201 - for the operator
    return 1


async def carry_out(settings: Settings, ways: Ways, deed: str, given: Mapping[str, Any]) -> int:
    """Do one of these; the exit code. What is written is readable by this user alone."""
    before = os.umask(0o077)
    try:
        return await DEEDS[deed](settings, ways, **given)
    except (*_PROBLEMS, HeldAlready, HoldLost) as problem:
        return _complain(_SAID.get(type(problem)) or str(problem))
    except VezaError as problem:
        return _complain(in_words(problem))
    except (OSError, apsw.FullError, apsw.IOError) as problem:
        return _complain(f"it cannot go on: {problem}")
    finally:
        os.umask(before)


async def _open(settings: Settings, target: str, *, make: bool) -> Vault:
    try:
        return await open_vault(target, scratch=settings.data_dir / "scratch", s3=settings.s3, make=make)
    except (ValueError, OSError) as problem:
        raise NoBackup(f"{target} cannot be used: {problem}") from None


async def back_up(settings: Settings, ways: Ways, *, target: str, keep: int | None, with_secret: bool) -> int:
    """Make a backup beside whatever serves; 1 where something that rows name was missing."""
    await refuse_nothing(settings)
    async with ways.opened(settings) as parts:
        revision = await current_revision(parts.database)
        if revision != head_revision():
            raise BadSetting(
                f"the database has the schema {revision}, and not {head_revision()}: back it up with the Veza"
                " that serves it, or run `veza migrate` first."
            )
        await _check_secret(parts)
        vault = await _open(settings, target, make=True)
        _check_apart(vault, parts, target)
        secret = secret_to_keep(settings) if with_secret else None
        ids = [key_id for key_id, _ in parts.keyring.derive("backup")]
        pruned = None
        async with holding(vault.storage, alone=True) as hold:
            maker = Maker(parts.database, parts.storage, vault, hold, progress.console())
            made = await maker.make(revision, ids, secret)
            # At once: that it is there is true, whatever becomes of older ones.
            _tell_made(made, _about_secret(settings, included=secret is not None))
            if keep is not None and not made.manifest.fault_count:
                pruned = await prune(vault, hold, keep, made.manifest, parts.storage.scratch)
        await vault.storage.close()
    if pruned and pruned[0]:
        _say(f"removed {pruned[0]:,} older backups, and {pruned[1]:,} contents that only they needed")
    code = _tell_faults(made.manifest)
    if code and keep is not None:
        _complain("no older backup is removed, for what is missing in this one may be in those.")
    return code


async def _check_secret(parts: Parts) -> None:
    """X18: a backup names the secrets without which it is not restored, and so must be given the server's."""
    async with parts.database.read() as view:
        if await Sealer(parts.database, parts.keyring).knows_end(view):
            return
    raise BadSetting(
        f"{_where_secret(parts.settings)} is not the secret of whoever serves, who sealed the audit log with"
        " another: give this command theirs. If they have a new one since, it is used once they have sealed"
        " something: sign in once."
    )


def _tell_made(made: Made, about_secret: str) -> None:
    manifest = made.manifest
    _say(
        f"backup {manifest.id}: {manifest.rows:,} rows, {manifest.files.count:,} files"
        f" ({_mb(manifest.files.bytes)}), of which {made.new_files:,} ({_mb(made.new_bytes)}) are new"
    )
    _say(about_secret)


def _check_apart(vault: Vault, parts: Parts, target: str) -> None:
    """Neither may lie within the other: what is not of a backup is in the way of its restore."""
    there, here = _place(vault.storage, target), _place(parts.storage, parts.settings.storage)
    if there.is_relative_to(here) or here.is_relative_to(there):
        raise NoBackup(f"{target} is where Veza keeps its own files; take another place.")


def _place(storage: Storage, url: str) -> PurePath:
    """The folder, or the bucket and its prefix."""
    return storage.folder if isinstance(storage, LocalStorage) else PurePath(url.rstrip("/"))


def _about_secret(settings: Settings, *, included: bool) -> str:
    if included:
        return "the server's secret is in it: whoever reads it can sign for this server"
    kept = _where_secret(settings)
    return f"the server's secret is not in it: keep {kept} somewhere else, for nothing restores without it"


def _where_secret(settings: Settings) -> str:
    return "VEZA_SECRET_KEY" if settings.secret_key else str(secret_file(settings.data_dir))


def _tell_faults(manifest: Manifest) -> int:
    if not manifest.fault_count:
        return 0
    for key, what in manifest.faults[:20]:
        _complain(f"{key} {what}")
    return _complain(
        f"{manifest.fault_count:,} files are not as their rows say; all else is in the backup."
        " `veza fsck` says more."
    )


def _mb(size: int) -> str:
    return f"{size / 1e6:,.1f} MB"


async def list_backups(settings: Settings, ways: Ways, *, target: str, at: str | None, verify: bool) -> int:
    """Say which backups there are, or read one whole."""
    del ways
    vault = await _open(settings, target, make=False)
    if verify:
        manifest = await vault.get(at)
        await verify_backup(vault, manifest, progress.console())
        _say(f"backup {manifest.id} is whole: {manifest.rows:,} rows, {manifest.files.count:,} files")
        return _tell_faults(manifest)
    for backup_id in [at] if at else await vault.list_ids():
        with suppress(ManifestDamaged):
            found = await vault.get(backup_id)
            secret = ", with the secret" if found.secret.included else ""
            whose = f", installation {found.installation}" if found.installation else ""
            _say(
                f"{found.id}  {found.rows:,} rows, {found.files.count:,} files ({_mb(found.files.bytes)}),"
                f" schema {found.revision}{secret}{whose}"
            )
            continue
        _say(f"{backup_id}  damaged")
    return 0


async def restore(settings: Settings, ways: Ways, *, target: str, at: str | None, verify: bool) -> int:
    """Bring a backup back, into an empty database and an empty storage."""
    refuse_moved(settings)
    vault = await _open(settings, target, make=False)
    manifest = await vault.get(at)
    if not is_known(manifest.revision):
        raise BadSetting(f"this backup was made by a newer Veza ({manifest.veza}): restore it with that one.")
    make_folder(settings)
    with ways.lock(settings):
        await _refuse_data(settings)
        storage = make_storage(settings)
        await restore_secret(settings, vault, manifest)
        restorer = Restorer(vault, manifest, progress.console())
        await restorer.restore_files(storage, verify=verify)
        await storage.close()
        try:
            await restorer.restore_rows(settings.database, verify=verify)
        except _away(settings) as problem:
            return _complain(f"the database does not take it: {problem}")
        await _complete(settings, ways)
    read_again = ", all read again" if verify else ""
    _say(f"restored {manifest.id}: {manifest.rows:,} rows, {manifest.files.count:,} files{read_again}")
    return _tell_faults(manifest)


async def _refuse_data(settings: Settings) -> None:
    """Before anything is copied, although it is looked at again when the rows come."""
    if settings.embedded:
        refuse_file(Path(settings.database.removeprefix("sqlite:///")))
        return
    database = open_database(settings.database)
    try:
        if await current_revision(database) is not None:
            raise NotEmpty("there are tables in that database already.")
    except _away(settings) as problem:
        raise NotRestored(f"the database does not answer: {problem}") from None
    finally:
        await database.close()


async def _complete(settings: Settings, ways: Ways) -> None:
    """Bring what was filled to the newest schema, and make what is not copied."""
    from veza.core.db.migrate import upgrade  # noqa: PLC0415 - see below
    from veza.rooms.search import build as search  # noqa: PLC0415 - only here
    from veza.rooms.uploads.jobs import reconcile  # noqa: PLC0415 - only here

    async with ways.opened(settings) as parts:
        with saying_what_is_wrong(settings):
            await upgrade(parts.database)
            await search.complete(parts.database)
            await reconcile(parts.database, parts.chunks)


async def check_files(settings: Settings, ways: Ways, *, deep: bool, as_json: bool) -> int:
    """Compare rows and files; 1 where something is wrong."""
    await refuse_nothing(settings)
    async with ways.prepared(settings) as parts:
        on = progress.console()
        on.quiet = as_json
        found = await Checker(parts.database, parts.storage, parts.chunks, on).check(deep=deep)
    if as_json:
        _say(msgspec.json.encode(found).decode())
        return int(found.wrong)
    for line in found.sentences():
        _complain(line)
    read = ", every byte read" if deep else ""
    verdict = "see above" if found.wrong else "all is well"
    _say(f"{found.files:,} files ({_mb(found.bytes)}){read}: {verdict}")
    return int(found.wrong)


async def move_rows(settings: Settings, ways: Ways, *, to: str) -> int:
    """Copy all rows into an empty PostgreSQL database, and compare them."""
    if not settings.embedded:
        raise BadSetting(
            "`veza migrate --to` moves from SQLite, and VEZA_DATABASE_URL names another database."
        )
    if not to.startswith(("postgresql://", "postgres://")):
        raise BadSetting("`veza migrate --to` moves to postgresql://….")
    if said := mistake(to):
        raise BadSetting(f"what --to names {said}")
    await refuse_nothing(settings)
    new = msgspec.structs.replace(settings, database_url=to)
    with ways.lock(settings):
        async with ways.prepared(settings) as parts:
            try:
                moved = await move(parts.database, to, head_revision(), progress.console())
            except _away(new) as problem:
                return _complain(f"the other database does not take it: {problem}")
        # They are there for good, and compared: from now on this file is the past.
        unmarked = _mark(settings, to)
        try:
            await _complete(new, ways)
        except BaseException:
            _complain("all rows are there, but not what is made of them: let VEZA_DATABASE_URL name the new")
            _complain("database, and say `veza migrate`, or nothing that was moved is found by a search")
            if unmarked:
                _complain(unmarked)
            raise
    rows = sum(part.rows for part in moved)
    _say(f"moved {rows:,} rows of {len(moved)} tables to {_shown(to)}, each compared")
    if unmarked:
        return _complain(unmarked)
    _say(f"the old database is as it was, and {mark_of(settings)} keeps all commands from it")
    _say("now let VEZA_DATABASE_URL name the new one, in veza.env or veza.toml, for every command")
    return 0


def _mark(settings: Settings, to: str) -> str:
    """Keep all commands from the old database; what keeps us from that, if anything."""
    try:
        write_mark(settings, _shown(to))
    except OSError as problem:
        return (
            f"{mark_of(settings)} cannot be written ({problem}), and so nothing keeps the old database from"
            " being served: let VEZA_DATABASE_URL name the new one, and put the old file away."
        )
    return ""


def _away(settings: Settings) -> tuple[type[Exception], ...]:
    """What the drivers raise; that of PostgreSQL is loaded only where there is one."""
    if settings.embedded:
        return (apsw.Error, OSError)
    from asyncpg import InterfaceError, PostgresError  # noqa: PLC0415 - SQLite does without it

    return (PostgresError, InterfaceError, OSError)


def _shown(url: str) -> str:
    """The address without its password."""
    place = where(url)
    return f"this machine{place}" if place.startswith("/") else place


DEEDS: Mapping[str, Callable[..., Awaitable[int]]] = {
    "back_up": back_up,
    "list_backups": list_backups,
    "restore": restore,
    "check_files": check_files,
    "move_rows": move_rows,
}
