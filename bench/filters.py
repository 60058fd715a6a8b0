"""Searches with every filter in every order, on the first page and a deep one: the slowest of them all."""

import http.client
import time
from collections.abc import Iterator
from itertools import product
from typing import Any
from urllib.parse import quote, urlencode

from bench.search import BOUND, KINDS, SEARCH, questions, settle
from bench.seed import seeded
from bench.servers import Veza
from bench.table import Figure

TRACKS = 1_000_000
# Words of each kind that are asked for in each combination.
_EACH = 3

_DAYS: dict[str, dict[str, Any]] = {
    "": {},
    "an hour": {"start_date": "2020-01-05T10:00:00Z", "end_date": "2020-01-05T11:00:00Z"},
    "a day": {"start_date": "2020-01-07T00:00:00Z", "end_date": "2020-01-08T00:00:00Z"},
    "half of all": {"start_date": "2020-01-06T18:53:20Z"},
}
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


def combinations() -> Iterator[tuple[str, dict[str, Any]]]:
    """Every one of them, with its name."""
    for parts in product(*(part.items() for part in (_DAYS, _DURATIONS, _MARKS, _ORDERS, _PAGES))):
        query = {name: value for _, given in parts for name, value in given.items()}
        yield ", ".join(name for name, _ in parts if name) or "nothing else", query


async def filters() -> list[Figure]:
    """For each kind of words, and for none: the p95 of all combinations, and the slowest."""
    path = seeded(TRACKS)
    asked = questions(path)
    words: dict[str, list[str]] = {kind: asked[kind][:_EACH] for kind in KINDS}
    # Without a word, what is not narrowed down is the list of tracks, which other figures are about.
    words["no word"] = [""]
    figures = []
    with Veza(path, copy=False) as veza:
        settle(veza)
        for kind, queries in words.items():
            times = _times(veza, queries)
            worst, name = times[-1]
            p95 = times[int(len(times) * 0.95)][0]
            figures.append(
                Figure(
                    f"search at {TRACKS:,}: {kind}, {len(times) // len(queries):,} combinations",
                    f"p95 {p95:.0f} ms, worst {worst:.0f} ms ({name})",
                    "-",
                    f"p95 ≤ {BOUND} ms",
                    p95 <= BOUND,
                )
            )
    return figures


def _times(veza: Veza, queries: list[str]) -> list[tuple[float, str]]:
    """Milliseconds of each answer with its combination's name, the quickest first; one asked at a time."""
    connection = http.client.HTTPConnection(veza.host, veza.port, timeout=30)
    times = []
    for name, given in combinations():
        for query in queries:
            began = time.perf_counter()
            connection.request("GET", f"{SEARCH}?{query}&{urlencode(given, quote_via=quote)}")
            answer = connection.getresponse()
            answer.read()
            times.append(((time.perf_counter() - began) * 1000, name))
            assert answer.status == 200, (query, given)
    connection.close()
    return sorted(times)
