"""GET /tracks and GET /tracks/{id} beside a hello-world, and at a million tracks beside ten thousand."""

import http.client
import itertools
import random
import statistics
import time
from collections.abc import Callable

from bench.load import Report, render
from bench.seed import FORMATS, GENRES, seeded, track_id, user_id
from bench.servers import Veza, hello
from bench.table import Figure, Target, median, ratio, rounds

TRACKS = "/api/v1/tracks"
FILTERS = {"user_id": str(user_id(0)), "genre": GENRES[0], "format": FORMATS[0]}
SORTS = [
    f"sort_by={by}&sort_order={way}"
    for by in ("created_at", "title", "popularity")
    for way in ("desc", "asc")
]
_DEEP_PAGE = 1_000


async def speed() -> list[Figure]:
    """Rates beside those of a hello-world on the same server; of answers kept, and of answers made anew."""
    with hello() as plain, Veza(seeded(100_000)) as veza:
        dice = random.Random(1)
        some = [render("GET", f"{TRACKS}/{track_id(dice.randrange(100_000))}") for _ in range(20_000)]
        # More different ones than are kept, in turn: none is kept when it is asked for again.
        pages = [
            render("GET", f"{TRACKS}?{filters}&{sort}&page={page}".replace(" ", "%20"))
            for page in range(1, 9)
            for filters in (
                "x",
                *(f"genre={genre}" for genre in GENRES),
                *(f"format={form}" for form in FORMATS),
            )
            for sort in SORTS
        ]
        got = await rounds(
            {
                "hello": Target(plain, [render("GET", "/")]),
                "list": Target(veza, [render("GET", TRACKS)]),
                "track": Target(veza, some[:200]),
                "list, not kept": Target(veza, pages),
                "track, not kept": Target(veza, some),
            },
            seconds=1.2,
            times=3,
        )
    wanted = {"list": 0.25, "track": 0.40, "list, not kept": None, "track, not kept": None}
    return [_beside(name, got[name], got["hello"], target) for name, target in wanted.items()]


def _beside(name: str, these: list[Report], plain: list[Report], target: float | None) -> Figure:
    share = ratio(these, plain, lambda report: report.rate)
    work = 1 / ratio(these, plain, lambda report: report.cpu_us or 1)
    return Figure(
        f"GET /tracks: {name}",
        f"{share:.0%} of hello's rate ({work:.0%} by CPU time), {median(these, lambda r: r.rate):,.0f}/s",
        f"{median(plain, lambda r: r.rate):,.0f}/s, {median(plain, lambda r: r.cpu_us or 0):.0f} µs",
        f"≥ {target:.0%}" if target else "recorded",
        share >= target if target else None,
    )


async def scale() -> list[Figure]:
    """The p50 of one client: a million tracks beside ten thousand, and page 1,000 beside page 1."""
    dice = random.Random(2)
    with Veza(seeded(10_000)) as small, Veza(seeded(1_000_000), copy=False) as large:
        lists = []
        for names in itertools.chain.from_iterable(itertools.combinations(FILTERS, n) for n in range(4)):
            given = "&".join(f"{name}={FILTERS[name].replace(' ', '%20')}" for name in names)
            for sort in SORTS:
                query = f"{TRACKS}?{given}&{sort}&limit="
                lists.append((_p50s(small, large, query), f"{given}&{sort}"))
        worst, where = max(lists)
        ids = [
            [f"{TRACKS}/{track_id(dice.randrange(count))}" for _ in range(300)]
            for count in (10_000, 1_000_000)
        ]
        detail = _share(lambda: _time(large, ids[1]), lambda: _time(small, ids[0]), 1.5)
        deep = [(_deep(large, f"{TRACKS}?{sort}&limit=20&page="), sort) for sort in SORTS]
        genre = FILTERS["genre"]
        deep += [(_deep(large, f"{TRACKS}?{sort}&genre={genre}&limit=20&page="), sort) for sort in SORTS]
        deepest, deep_where = max(deep)
    typical = statistics.median(one for one, _ in lists)
    return [
        Figure(
            "GET /tracks: p50 at 1,000,000 / 10,000 tracks",
            f"worst {worst:.2f} ({where}), median {typical:.2f}", "1", "≤ 1.5", worst <= 1.5,
        ),
        Figure("GET /tracks/{id}: p50 at 1M / 10k tracks", f"{detail:.2f}", "1", "≤ 1.5", detail <= 1.5),
        Figure(
            "GET /tracks: page 1,000 / page 1 at 1,000,000",
            f"worst {deepest:.2f} ({deep_where})", "1", "≤ 3", deepest <= 3,
        ),
    ]  # fmt: skip


def _p50s(small: Veza, large: Veza, query: str) -> float:
    paths = [f"{query}20&page={page}" for page in range(1, 11)]
    return _share(lambda: _time(large, paths), lambda: _time(small, paths), 1.5)


def _deep(server: Veza, query: str) -> float:
    first = [f"{query}{page}" for page in range(1, 9)]
    far = [f"{query}{page}" for page in range(_DEEP_PAGE, _DEEP_PAGE + 8)]
    return _share(lambda: _time(server, far), lambda: _time(server, first), 3)


def _share(one: Callable[[], float], other: Callable[[], float], target: float) -> float:
    """How the typical of one compares with the typical of the other, taking turns five times.

    And up to forty times more where that is too few to tell: of a tenth of a millisecond the machine's noise
    is half, and the least of each is a matter of luck.
    """
    pairs: list[tuple[float, float]] = []
    share = float("inf")
    while len(pairs) < 5 or (share > target and len(pairs) < 45):
        pairs.append((one(), other()))
        share = statistics.median(a for a, _ in pairs) / statistics.median(b for _, b in pairs)
    return share


def _time(server: Veza, paths: list[str]) -> float:
    """The p50 of these requests, one after the other, in seconds; nothing is kept from before."""
    server.commit()
    connection = http.client.HTTPConnection(server.host, server.port)
    took = []
    for path in paths:
        began = time.perf_counter()
        connection.request("GET", path)
        answer = connection.getresponse()
        answer.read()
        took.append(time.perf_counter() - began)
        assert answer.status == 200, (path, answer.status)
    connection.close()
    return statistics.median(took)


async def truth() -> list[Figure]:
    """Whether a read that follows a write sees it, in the list and in the track, again and again."""
    writes, wrong = 300, 0
    with Veza(seeded(10_000)) as veza:
        token = veza.log_in()
        status, data = veza.call("GET", f"{TRACKS}?user_id={user_id(0)}&limit=1")
        path = f"{TRACKS}/{data['tracks'][0]['id']}"
        began = time.perf_counter()
        for number in range(writes):
            title = f"!! {number}"
            status, _ = veza.call("PUT", path, {"title": title}, token)
            assert status == 200, status
            _, one = veza.call("GET", path)
            _, several = veza.call("GET", f"{TRACKS}?sort_by=title&sort_order=asc")
            wrong += one["track"]["title"] != title or several["tracks"][0]["title"] != title
        rate = writes / (time.perf_counter() - began)
    measured = f"{wrong} of {writes} answers out of date ({rate:.0f} writes/s with two reads each)"
    return [Figure("GET /tracks: true to the last write", measured, "", "0", wrong == 0)]
