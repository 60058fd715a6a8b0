"""What a process of Veza does from its start to its end."""

import asyncio
import signal
import socket
import sys
import tempfile
from collections.abc import Coroutine, Iterator
from contextlib import AbstractAsyncContextManager, contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from veza.access.secrets import SecretRefused
from veza.app import make_app, make_probes, openapi_document, working_alone
from veza.core.db import UrlRefused
from veza.core.db.migrate import UnknownRevision
from veza.core.errors import VezaError
from veza.core.in_words import in_words
from veza.core.lock import InUse
from veza.core.log import configure_logging
from veza.core.server import listen, loop_factory, serve_async, why_not
from veza.core.supervisor import tell_ready
from veza.core.text import BadValue
from veza.core.tracing_open import can_trace, traces_sent
from veza.moved import refuse_moved
from veza.opening import (
    OutOfReach,
    existing,
    lock,
    migrate,
    opened,
    prepared,
    refuse_nothing,
    saying_what_is_wrong,
    settled,
)
from veza.parts import Parts, make_parts
from veza.reactions import outbox
from veza.rooms.accounts.admin import create_user
from veza.rooms.audit.sealing import Sealer
from veza.rooms.search import build as search
from veza.settings import BadSetting, Settings, address_of, load, supervisor_address

if TYPE_CHECKING:
    from veza.importing import Request
    from veza.rooms.audit.verifying import Head

T = TypeVar("T")

# What only an operator can mend, before it makes sense to start again.
REFUSALS = (BadSetting, UrlRefused, SecretRefused, InUse, UnknownRevision)


def serve_all() -> int:
    """Serve until told to stop; the exit code. Raises OutOfReach and REFUSALS, as all functions here do."""
    return _run(_serve(_begin()))


async def _serve(settings: Settings) -> int:
    with lock(settings), _listening(settings, settings.port) as listeners:
        # Links in mails name the port, which may have been taken just now.
        settings = msgspec.structs.replace(settings, port=listeners[0].getsockname()[1])
        async with _traced(settings, "serve"), settled(settings) as parts:
            return await serve_async(
                make_app(parts, work=settings.serve_jobs),
                listeners=listeners,
                ready=lambda host, port: _welcome(settings, parts, host, port),
                on_drain=partial(_drain, parts),
            )


def _drain(parts: Parts) -> None:
    """Nothing new comes here, and who only waits for news goes at once: others have it, too."""
    parts.readiness.drain()
    parts.live.close()


def work_only() -> int:
    """Run jobs until told to stop; the exit code."""
    settings = _begin()
    refuse_moved(settings)
    if settings.embedded:
        raise BadSetting("`veza worker` needs PostgreSQL; with SQLite, `veza serve` does the work as well.")
    return _run(_work(settings))


async def _work(settings: Settings) -> int:
    if settings.worker_port is not None:
        return await _work_seen(settings, settings.worker_port)
    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    for name in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(name, stop.set)
    async with _traced(settings, "worker"), settled(settings) as parts, working_alone(parts):
        _say_ready("Veza is working")
        await stop.wait()
    return 0


async def _work_seen(settings: Settings, port: int) -> int:
    """The same, and say at a port of its own how it goes."""
    with _listening(settings, port) as listeners:
        async with _traced(settings, "worker"), settled(settings) as parts:
            return await serve_async(
                make_probes(parts),
                listeners=listeners,
                ready=lambda *at: _say_ready(f"Veza is working, and says how at {address_of(*at)}"),
                on_drain=partial(_drain, parts),
            )


def migrate_only() -> bool:
    """Migrate; whether there was anything to do."""
    return _run(migrate(_begin()))


def reindex_only() -> int:
    """Build what search knows anew, from all there is; how many things there are to find."""
    return _run(_reindex(_begin()))


async def _reindex(settings: Settings) -> int:
    await refuse_nothing(settings)
    with lock(settings):
        async with existing(settings) as parts:
            with saying_what_is_wrong(settings):
                return await search.rebuild(parts.database)


def document() -> bytes:
    """The OpenAPI document, as the default settings make it."""

    async def make(folder: str) -> bytes:
        parts = make_parts(Settings(data_dir=Path(folder)))
        try:
            return msgspec.json.encode(openapi_document(parts))
        finally:
            await parts.database.close()

    with tempfile.TemporaryDirectory() as folder:
        return asyncio.run(make(folder))


def create_account(username: str, email: str, password: str, *, admin: bool) -> int:
    """Create an account and say so; the exit code."""
    return _run(_create_account(_begin(), username, email, password, admin=admin))


async def _create_account(
    settings: Settings, username: str, email: str, password: str, *, admin: bool
) -> int:
    # No lock: SQLite takes turns between a serving process and this one, whose change is a single row.
    async with prepared(settings) as parts:
        parts.database.record_events = outbox()
        try:
            user = await create_user(
                parts.database, parts.hasher, username=username, email=email, password=password, admin=admin
            )
        except (BadValue, VezaError) as refused:
            print(f"veza: {refused.message}", file=sys.stderr)  # noqa: T201 - for the operator
            return 1
    print(f"created {user.username} ({user.id})")  # noqa: T201 - the command's answer
    return 0


def verify_audit(head: str) -> int:
    """Check the audit log and say what was found; 1 as the exit code where something is wrong."""
    from veza.rooms.audit.verifying import Head  # noqa: PLC0415 - a server does not verify

    try:
        known = Head.parse(head) if head else None
    except ValueError:
        raise BadSetting("--head looks like 1234:5f0c…, as `veza audit verify` says it.") from None
    return _run(_verify_audit(_begin(), known))


async def _verify_audit(settings: Settings, known: "Head | None") -> int:
    from veza.rooms.audit.verifying import verify  # noqa: PLC0415 - as above

    # No lock: it only reads, and who writes meanwhile adds to the end.
    async with existing(settings) as parts:
        with saying_what_is_wrong(settings):
            verdict = await verify(parts.database, Sealer(parts.database, parts.keyring), known)
    if verdict.problem:
        print(f"veza: {verdict.problem}", file=sys.stderr)  # noqa: T201 - for the operator
        print(f"{verdict.rows} rows before it are right", file=sys.stderr)  # noqa: T201 - as above
        return 1
    print(  # noqa: T201 - the command's answer
        f"{verdict.rows} rows are right, from {verdict.first} on; {verdict.waiting} wait to be sealed",
        f"head {verdict.head}",
        sep="\n",
    )
    return 0


def administer(deed: str, **given: object) -> int:
    """Do what an admin does, and say what came of it; the exit code."""
    return _run(_administer(_begin(), deed, given))


async def _administer(settings: Settings, deed: str, given: dict[str, object]) -> int:
    from veza import operating  # noqa: PLC0415 - a server does without

    # No lock: as for an account that is created.
    async with existing(settings) as parts:
        parts.database.record_events = outbox()
        try:
            async with parts.database.write() as tx:
                lines = await operating.DEEDS[deed](tx, **given)
        except (BadValue, VezaError) as refused:
            print(f"veza: {refused.message}", file=sys.stderr)  # noqa: T201 - for the operator
            return 1
    print(*lines, sep="\n")  # noqa: T201 - the command's answer
    return 0


def keep_safe(deed: str, **given: object) -> int:
    """Make, list, restore backups, check files, or move rows elsewhere; the exit code."""
    from veza.backup import commands  # noqa: PLC0415 - a server does without

    ways = commands.Ways(opened, prepared, lock)
    return _run(commands.carry_out(_begin(), ways, deed, given))


def examine(*, as_json: bool) -> int:
    """Say what is wrong with this installation; 1 as the exit code where anything is."""
    from veza.doctor import examination, findings  # noqa: PLC0415 - a server does without

    configure_logging("ERROR", pretty=False)
    report = _run(examination.examine(load))
    said = (
        msgspec.json.format(msgspec.json.encode(report)).decode()
        if as_json
        else "\n".join(findings.tell(report))
    )
    print(said)  # noqa: T201 - the command's answer
    return int(not report.well)


def import_folder(folder: Path, user: str, *, public: bool, dry: bool, wait: bool, verbose: bool) -> int:
    """Take a folder of music into somebody's library; the exit code."""
    from veza.importing import Request  # noqa: PLC0415 - a server shall not load what draws the progress

    return _run(_import_folder(_begin(), Request(folder, user, public, dry, wait, verbose)))


async def _import_folder(settings: Settings, request: "Request") -> int:
    from veza import importing  # noqa: PLC0415 - as above

    # No lock, as above: a serving process notices what this one commits. Only where it does the work behind
    # as well does it take the server's place.
    await refuse_nothing(settings)
    async with settled(settings) as parts:
        parts.database.record_events = outbox()
        return await importing.run(parts, request, partial(lock, settings))


def make_demo(*, force: bool) -> int:
    """Make the demo's world and say how to sign in; the exit code."""
    return _run(_make_demo(_begin(), force=force))


async def _make_demo(settings: Settings, *, force: bool) -> int:
    from veza.demo.guide import guide  # noqa: PLC0415 - a server shall not load what makes sounds and pictures
    from veza.demo.world import DemoRefused, make_world  # noqa: PLC0415 - as above

    async with settled(settings) as parts:
        parts.database.record_events = outbox()
        try:
            demo = await make_world(parts, force=force, tell=lambda title: print(f"playing {title}"))  # noqa: T201 - for the person who waits
        except DemoRefused as refused:
            print(f"veza: {refused}", file=sys.stderr)  # noqa: T201 - for the operator
            return 1
        except VezaError as problem:
            said = f"{in_words(problem)} Not finished: the same command goes on from here."
            print(f"veza: {said}", file=sys.stderr)  # noqa: T201 - for the operator
            return 1
    print(*guide(demo, settings.base_url), sep="\n")  # noqa: T201 - the command's answer
    return 0


def _traced(settings: Settings, role: str) -> AbstractAsyncContextManager[None]:
    if settings.otlp_url and not can_trace():
        raise BadSetting("VEZA_OTLP_URL needs the extra `tracing`: docs/operations.md says how to have it.")
    return traces_sent(settings.otlp_url, settings.trace_percent, role)


def _run(main: Coroutine[Any, Any, T]) -> T:
    with asyncio.Runner(loop_factory=loop_factory) as runner:
        return runner.run(main)


def _begin() -> Settings:
    settings = load()
    pretty = {"auto": None, "json": False, "console": True}[settings.log_format]
    configure_logging(settings.log_level.upper(), pretty=pretty, access=settings.access_log)
    return settings


@contextmanager
def _listening(settings: Settings, port: int) -> Iterator[list[socket.socket]]:
    try:
        listeners = listen(settings.host, port)
    except OSError as error:
        raise OutOfReach(why_not(error, f"{settings.host}:{port}")) from None
    try:
        yield listeners
    finally:
        for listener in listeners:
            listener.close()


def _welcome(settings: Settings, parts: Parts, host: str, port: int) -> None:
    here = settings.public_url.rstrip("/") or address_of(host, port)
    lines = (
        f"Veza is ready at {here}",
        f"  try the API      {here}/swagger/index.html",
        f"  read the API     {here}/redoc",
        f"  your data        {settings.data_dir.absolute()}",
        f"  payments         {parts.providers.current.name}: {_money(parts)}",
        "  first steps      README.md, “A first session”",
    )
    _say_ready("\n".join(lines))


def _say_ready(text: str) -> None:
    tell_ready(supervisor_address())
    print(text, flush=True)  # noqa: T201 - for the person who started it


def _money(parts: Parts) -> str:
    moves = parts.providers.current.moves_money
    return "orders are paid for" if moves else "every order completes at once, and no money is taken"
