"""How far it is, shown where somebody looks."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

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

# Told of so many more, rows or bytes.
Tell = Callable[[int], None]


def console() -> Console:
    """Where an operator reads; shown bars are of a terminal alone."""
    return Console(highlight=False, soft_wrap=True)


@contextmanager
def counting(on: Console, what: str, total: int | None = None) -> Iterator[Tell]:
    """A bar of rows or things."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=on, disable=not on.is_terminal) as progress:
        bar = progress.add_task(what, total=total)
        yield lambda more: progress.advance(bar, more)


@contextmanager
def weighing(on: Console, what: str, total: int) -> Iterator[Tell]:
    """A bar of bytes."""
    columns = (
        *(TextColumn("{task.description}"), BarColumn(), DownloadColumn()),
        *(TransferSpeedColumn(), TimeRemainingColumn()),
    )
    with Progress(*columns, console=on, disable=not on.is_terminal) as progress:
        bar = progress.add_task(what, total=total)
        yield lambda more: progress.advance(bar, more)
