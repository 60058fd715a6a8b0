"""What a process of Veza does from its start to its end."""

import asyncio
import signal
import sys

import msgspec
import structlog

from veza.app import make_app, openapi_document, working
from veza.core.db import Database
from veza.core.db.migrate import current_revision, head_revision, upgrade
from veza.core.errors import VezaError
from veza.core.events import Outbox
from veza.core.lock import FolderLock
from veza.core.log import configure_logging
from veza.core.server import loop_factory, serve_async
from veza.core.text import BadValue
from veza.parts import Parts, make_parts
from veza.reactions import REACTIONS
from veza.rooms.accounts.admin import create_user
from veza.settings import BadSetting, Settings, load

log = structlog.get_logger()


def serve_all() -> int:
    """Serve until told to stop; the exit code."""
    settings = _begin()
    with asyncio.Runner(loop_factory=loop_factory) as runner:
        return runner.run(_serve(settings))


async def _serve(settings: Settings) -> int:
    lock = _lock(settings)
    parts = make_parts(settings)
    await prepare(parts.database)
    code = await serve_async(
        make_app(parts),
        host=settings.host,
        port=settings.port,
        ready=lambda host, port: _welcome(settings, host, port),
        on_drain=lambda: setattr(parts.readiness, "draining", True),
    )
    if lock is not None:
        lock.release()
    return code


def work_only() -> int:
    """Run jobs until told to stop; the exit code."""
    settings = _begin()
    if settings.database.startswith("sqlite"):
        raise BadSetting("`veza worker` needs PostgreSQL; with SQLite, `veza serve` does the work as well.")
    with asyncio.Runner(loop_factory=loop_factory) as runner:
        return runner.run(_work(settings))


async def _work(settings: Settings) -> int:
    parts = make_parts(settings)
    await prepare(parts.database)
    parts.database.record_events = Outbox(REACTIONS)
    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    for name in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(name, stop.set)
    await parts.database.start()
    async with working(parts):
        log.info("worker.ready")
        await stop.wait()
    await parts.database.close()
    return 0


def migrate_only() -> bool:
    """Migrate; whether there was anything to do."""
    settings = _begin()

    async def run() -> bool:
        lock = _lock(settings)
        parts = make_parts(settings)
        try:
            return await upgrade(parts.database)
        finally:
            await parts.database.close()
            if lock is not None:
                lock.release()

    return asyncio.run(run())


def print_document() -> None:
    """Print the OpenAPI document."""
    import tempfile  # noqa: PLC0415 - only here: the document needs parts, but no data of anybody's
    from pathlib import Path  # noqa: PLC0415 - as above

    async def run(parts: Parts) -> bytes:
        try:
            return msgspec.json.encode(openapi_document(parts))
        finally:
            await parts.database.close()

    with tempfile.TemporaryDirectory() as folder:
        parts_of = Settings(data_dir=Path(folder))

        async def whole() -> bytes:
            return await run(make_parts(parts_of))

        sys.stdout.write(msgspec.json.format(asyncio.run(whole()), indent=1).decode() + "\n")


async def create_account(username: str, email: str, password: str, *, admin: bool) -> int:
    """Create an account and say so; the exit code."""
    settings = _begin()
    # No lock: SQLite takes turns between a serving process and this one, whose change is a single row.
    parts = make_parts(settings)
    parts.database.record_events = Outbox(REACTIONS)
    try:
        await prepare(parts.database)
        user = await create_user(
            parts.database, parts.hasher, username=username, email=email, password=password, admin=admin
        )
    except BadValue as refused:
        print(f"veza: {refused.message}", file=sys.stderr)  # noqa: T201 - for the operator
        return 1
    except VezaError as refused:
        print(f"veza: {refused.message}", file=sys.stderr)  # noqa: T201 - for the operator
        return 1
    finally:
        await parts.database.close()
    print(f"created {user.username} ({user.id})")  # noqa: T201 - the command's answer
    return 0


async def prepare(database: Database) -> None:
    """Migrate where that is to be done at the start: an embedded database, or an empty one."""
    if database.shared and await current_revision(database) not in {None, head_revision()}:
        raise BadSetting("the database has an older schema: run `veza migrate` first.")
    await upgrade(database)


def _begin() -> Settings:
    settings = load()
    pretty = {"auto": None, "json": False, "console": True}[settings.log_format]
    configure_logging(settings.log_level.upper(), pretty=pretty)
    return settings


def _lock(settings: Settings) -> FolderLock | None:
    if not settings.database.startswith("sqlite"):
        return None
    settings.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    return FolderLock(settings.data_dir)


def _welcome(settings: Settings, host: str, port: int) -> None:
    here = settings.public_url or f"http://{host}:{port}"
    lines = (
        f"Veza is ready at {here}",
        f"  try the API      {here}/swagger/index.html",
        f"  read the API     {here}/redoc",
        f"  your data        {settings.data_dir.absolute()}",
        "  first steps      README.md, “A first session”",
    )
    print("\n".join(lines), flush=True)  # noqa: T201 - for the person who started it
