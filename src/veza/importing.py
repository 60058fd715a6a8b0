"""`veza import`: a folder of music into somebody's library, as the operator sees it."""

import asyncio
import signal
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import msgspec
from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

from veza.access.actor import GUEST
from veza.app import working
from veza.core.errors import VezaError
from veza.core.in_words import in_words
from veza.core.jobs import waiting
from veza.core.lock import InUse
from veza.core.storage import LocalStorage
from veza.parts import Parts
from veza.rooms.accounts.profiles import get_by_username
from veza.rooms.tracks.folder import Found, Walk
from veza.rooms.tracks.imported import Owner
from veza.rooms.tracks.jobs import PROCESS_IMPORTED
from veza.rooms.tracks.library import Library, Report, Rules

_LOOK_SECONDS = 0.5
_NAMED = 10  # files that are named without --verbose

Lock = Callable[[], AbstractContextManager[Any]]


class Request(msgspec.Struct, frozen=True):
    """What the operator asks for."""

    folder: Path
    user: str
    public: bool
    dry: bool
    wait: bool
    verbose: bool


async def run(parts: Parts, request: Request, lock: Lock) -> int:
    """Import, and say how it went; the exit code. ``lock`` keeps servers away while this one processes."""
    console = Console(highlight=False, soft_wrap=True)
    try:
        walk = Walk(request.folder, without=_own_folders(parts))
        files = await asyncio.to_thread(lambda: list(walk.files()))
        async with parts.database.read() as view:
            user = await get_by_username(view, GUEST, request.user)
    except OSError as error:
        return _complain(f"{request.folder} cannot be read: {error.strerror}.")
    except VezaError as error:
        return _complain(in_words(error))
    rules = Rules(parts.settings.max_file_size, public=request.public, dry=request.dry)
    library = Library(parts.database, parts.storage, Owner(user.id, user.username), rules)
    with _stopping() as stop:
        problem = await _take(library, files, stop, console)
        _sum_up(console, request, walk, library.report)
        if problem is None and not stop.is_set() and request.wait and not request.dry:
            await _process(parts, lock, stop, console)
    if stop.is_set() or problem is not None:
        said = "" if problem is None else f"{in_words(problem)} "
        return _complain(f"{said}Not finished: what was added stays, and the same command goes on from here.")
    return 0


def _complain(text: str) -> int:
    print(f"veza: {text}", file=sys.stderr)  # noqa: T201 - for the operator
    return 1


async def _take(
    library: Library, files: list[Found], stop: asyncio.Event, console: Console
) -> VezaError | None:
    """Take the files in, showing how far it is; what stood in the way, if anything."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.fields[count]:,} of {task.fields[files]:,} files"),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        total = sum(found.size for found in files)
        bar = progress.add_task("Importing", total=total, count=0, files=len(files))

        def tell() -> None:
            report = library.report
            progress.update(bar, completed=report.looked_at_bytes, count=report.looked_at)

        try:
            await library.take(files, stop=stop, tell=tell)
        except VezaError as error:
            return error
    return None


async def _process(parts: Parts, lock: Lock, stop: asyncio.Event, console: Console) -> None:
    """Stay until the backlog is done: by us, or by the server that runs already."""
    try:
        held = lock()
    except InUse:
        await _watch(parts, stop, console)
        return
    with held:
        await parts.database.start()
        async with parts.live.running(), working(parts):
            await _watch(parts, stop, console)


async def _watch(parts: Parts, stop: asyncio.Event, console: Console) -> None:
    columns = (TextColumn("Processing"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        bar, most = progress.add_task("Processing", total=None), 0
        while not stop.is_set():
            async with parts.database.read() as view:
                left = await waiting(view, PROCESS_IMPORTED.lane)
            most = max(most, left)
            progress.update(bar, total=most, completed=most - left)
            if not left:
                return
            await asyncio.sleep(_LOOK_SECONDS)


def _sum_up(console: Console, request: Request, walk: Walk, report: Report) -> None:
    size = f"{report.added_bytes / 1e6:,.1f} MB"
    done = "Would add" if request.dry else "Added"
    tracks = "1 track" if report.added == 1 else f"{report.added:,} tracks"
    console.print(f"{done} {tracks} ({size}) to the library of {request.user}.", markup=False)
    skipped = Counter({reason: count for reason, count in (report.skipped + walk.passed).items() if count})
    for reason, count in skipped.most_common():
        console.print(f"  passed over {count:,}: {reason}", markup=False)
    refused = [*walk.unreadable, *report.refused]
    shown = refused if request.verbose else refused[:_NAMED]
    for path, reason in shown:
        # What names files hold may be meant for the terminal.
        console.print(f"  refused {str(path)!r}: {reason}", markup=False)
    if len(refused) > len(shown):
        console.print(f"  and {len(refused) - len(shown):,} more; --verbose names them all", markup=False)


def _own_folders(parts: Parts) -> list[Path]:
    """Where Veza itself keeps files: those are in somebody's library already."""
    folders = [parts.settings.data_dir, parts.storage.scratch]
    return [*folders, parts.storage.folder] if isinstance(parts.storage, LocalStorage) else folders


@contextmanager
def _stopping() -> Iterator[asyncio.Event]:
    """An event that Ctrl-C sets: what is under way is then finished, and nothing more begun."""
    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    signals = (signal.SIGINT, signal.SIGTERM)
    for name in signals:
        loop.add_signal_handler(name, stop.set)
    try:
        yield stop
    finally:
        for name in signals:
            loop.remove_signal_handler(name)
