"""What was found about one thing, and how all of it is told."""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Literal

import msgspec

from veza.core.service_urls import where, why

__all__ = ["Finding", "Level", "Report", "ok", "tell", "warning", "where", "why", "wrong"]

Level = Literal["ok", "warning", "wrong"]
_WIDTH = 9


class Finding(msgspec.Struct, frozen=True):
    """One thing: how it is, what that means, and what to do; the last two are empty where all is well."""

    about: str
    level: Level
    found: str
    meaning: str = ""
    advice: str = ""


class Report(msgspec.Struct, frozen=True):
    """All that was found, by which version; ``well`` where nothing is wrong."""

    version: str
    well: bool
    findings: Sequence[Finding]


def ok(about: str, found: str) -> Finding:
    """All is well."""
    return Finding(about, "ok", found)


def warning(about: str, found: str, meaning: str, advice: str) -> Finding:
    """It works, but perhaps not as its operator thinks, or not for long."""
    return Finding(about, "warning", found, meaning, advice)


def wrong(about: str, found: str, meaning: str, advice: str) -> Finding:
    """It does not work."""
    return Finding(about, "wrong", found, meaning, advice)


def tell(report: Report) -> Iterator[str]:
    """The report, line by line, for a person."""
    space = " " * _WIDTH
    for one in report.findings:
        yield f"{one.level:{_WIDTH}}{one.about}: {one.found}"
        if one.meaning:
            yield f"{space}{one.meaning}"
        if one.advice:
            yield f"{space}→ {one.advice}"
    count = Counter(one.level for one in report.findings)
    yield ""
    sums = f"{count['ok']} well, {count['warning']} to be looked at, {count['wrong']} wrong"
    yield f"{sums} (Veza {report.version})."
