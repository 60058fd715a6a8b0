"""Searches with every filter in every order, on the first page and a deep one: the slowest of them all.

Of fewer tracks than a million: python -m bench.filters 100000; and of one kind of words alone, some thousands
of questions: python -m bench.filters 100000 "a typo".
"""

import http.client
import sys
import time
from collections.abc import Iterator, Sequence
from datetime import timedelta
from itertools import product
from typing import Any
from urllib.parse import quote, urlencode

import uvloop

from bench.search import BOUND, KINDS, SEARCH, questions, settle
from bench.seed import FIRST, seeded
from bench.servers import Veza
from bench.table import Figure, show

TRACKS = 1_000_000
# Words of each kind that are asked for in each combination.
_EACH = 3

_DURATIONS: dict[str, dict[str, Any]] = {
    "": {},
    "one second": {"min_duration": 200.1, "max_duration": 200.9},
    "from 470 s": {"min_duration": 470},
    "from 120 s": {"min_duration": 120},
    "never so long": {"min_duration": 4000},
}
_MARKS: dict[str, dict[str, Any]] = {
    "": {},
    "a rare genre": {"genre": "Dub"},
    "the commonest genre": {"genre": "Electronic"},
    "a genre and a format": {"genre": "Rock", "format": "ogg"},
}
_ORDERS: dict[str, dict[str, Any]] = {
    "": {},
    **{
        f"by {by} {way}": {"sort_by": by, "sort_order": way}
        for by in ("title", "popularity", "created_at")
        for way in ("asc", "desc")
    },
}
_PAGES: dict[str, dict[str, Any]] = {"": {}, "page 400": {"page": 400}}


def _days(tracks: int) -> dict[str, dict[str, Any]]:
    """Ranges of days; one track was made a second."""
    first, day, half = 3816 * tracks // 10_000, 5184 * tracks // 10_000, tracks // 2
    return {
        "": {},
        "an hour": {"start_date": _second(first), "end_date": _second(first + 3_600)},
        "a day": {"start_date": _second(day), "end_date": _second(day + 86_400)},
        "half of all": {"start_date": _second(half)},
    }


def _second(number: int) -> str:
    return (FIRST + timedelta(seconds=number)).strftime("%Y-%m-%dT%H:%M:%SZ")


def combinations(tracks: int) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every one of them, with its name."""
    for parts in product(*(part.items() for part in (_days(tracks), _DURATIONS, _MARKS, _ORDERS, _PAGES))):
        query = {name: value for _, given in parts for name, value in given.items()}
        yield ", ".join(name for name, _ in parts if name) or "nothing else", query


async def filters(tracks: int = TRACKS, *kinds: str) -> list[Figure]:
    """For each kind of words, and for none, or these alone: the p95 of all combinations, and the slowest."""
    path = seeded(tracks)
    with Veza(path, copy=False) as veza:
        return combined(veza, questions(path), f"search at {tracks:,}", tracks, kinds)


def combined(
    veza: Veza, asked: dict[str, list[str]], title: str, tracks: int, kinds: Sequence[str] = ()
) -> list[Figure]:
    """Every combination, asked of this server."""
    words: dict[str, list[str]] = {kind: asked[kind][:_EACH] for kind in KINDS}
    # Without a word, what is not narrowed down is the list of tracks, which other figures are about.
    words["no word"] = [""]
    words = {kind: words[kind] for kind in kinds or words}
    figures = []
    settle(veza)
    for kind, queries in words.items():
        times = _times(veza, queries, tracks)
        worst, name = times[-1]
        p95 = times[int(len(times) * 0.95)][0]
        figures.append(
            Figure(
                f"{title}: {kind}, {len(times) // len(queries):,} combinations",
                f"p95 {p95:.0f} ms, worst {worst:.0f} ms ({name})",
                "-",
                f"p95 ≤ {BOUND} ms",
                p95 <= BOUND,
            )
        )
    return figures


def _times(veza: Veza, queries: list[str], tracks: int) -> list[tuple[float, str]]:
    """Milliseconds of each answer with its combination's name, the quickest first; one asked at a time."""
    connection = http.client.HTTPConnection(veza.host, veza.port, timeout=30)
    times = []
    for name, given in combinations(tracks):
        for query in queries:
            began = time.perf_counter()
            connection.request("GET", f"{SEARCH}?{query}&{urlencode(given, quote_via=quote)}")
            answer = connection.getresponse()
            answer.read()
            times.append(((time.perf_counter() - began) * 1000, name))
            assert answer.status == 200, (query, given)
    connection.close()
    return sorted(times)


if __name__ == "__main__":
    size = int(sys.argv[1])
    seeded(size)
    show(uvloop.run(filters(size, *sys.argv[2:])))
