"""Rounds that take turns, so that a busy machine is busy for both sides; and the table of figures."""

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from bench.load import Report, load
from bench.servers import Server


@dataclass(frozen=True)
class Figure:
    """One line of the table; `ceiling` is what the machine itself can do, measured in the same run."""

    name: str
    measured: str
    ceiling: str
    target: str
    held: bool | None  # None: recorded, with no target of its own


@dataclass(frozen=True)
class Target:
    """Requests to ask a server for in turn."""

    server: Server
    requests: list[bytes]
    connections: int = 16


async def rounds(targets: dict[str, Target], *, seconds: float, times: int) -> dict[str, list[Report]]:
    """Load every target for so long, one after the other, so many times."""
    reports: dict[str, list[Report]] = {name: [] for name in targets}
    for turn in range(times):
        # Back and forth: whatever grows or shrinks over a round meets each place in it.
        for name, target in list(targets.items())[:: 1 if turn % 2 == 0 else -1]:
            server = target.server
            report = await load(
                server.host, server.port, target.requests, target.connections, seconds, pid=server.pid
            )
            if report.failures or set(report.statuses) - {"200"}:
                raise RuntimeError(f"{name}: {report}")
            reports[name].append(report)
    return reports


def median(reports: Sequence[Report], of: Callable[[Report], float]) -> float:
    """The median of one of the numbers of several rounds."""
    return statistics.median(map(of, reports))


def ratio(these: Sequence[Report], those: Sequence[Report], of: Callable[[Report], float]) -> float:
    """The median over the rounds of how one side compares with the other in the same round."""
    return statistics.median(of(a) / of(b) for a, b in zip(these, those, strict=True))


def show(figures: Sequence[Figure]) -> None:
    """Print the table."""
    words = {True: "held", False: "MISSED", None: "-"}
    rows = [("figure", "measured", "the machine's own", "target", "")]
    rows += [(f.name, f.measured, f.ceiling, f.target, words[f.held]) for f in figures]
    widths = [max(len(row[column]) for row in rows) for column in range(5)]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
