"""Searches at 100,000 and 1,000,000 tracks, each kind asked on one connection and on eight; and the build."""

import random
import shutil
import time
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote

import apsw

from bench.load import Report, load, render
from bench.seed import CACHE, FORMATS, GENRES, seeded
from bench.servers import Server, Veza, hello
from bench.table import Figure
from veza.core.db import open_database
from veza.rooms.search.build import rebuild

SEARCH = "/api/v1/tracks/search"
# Milliseconds that the p95 of each kind may take, by the number of tracks.
TARGETS = {100_000: 20, 1_000_000: 50}
# And that of a frequent word with filters and orders.
BOUND = 200
# Seconds that the index of a million may take.
BUILD = 60
# The kinds that these are about.
KINDS = ("two words", "a frequent word", "three letters", "a typo")
# Different questions of each kind, asked in turn.
_QUESTIONS = 200
# Seconds for which each kind is asked.
_SECONDS = 2.0


def questions(path: Path) -> dict[str, list[str]]:
    """Queries of each kind, made of what is in the database."""
    dice = random.Random(3)
    connection = apsw.Connection(str(path), apsw.SQLITE_OPEN_READONLY)
    common = [
        word
        for (word,) in connection.execute(
            "SELECT word FROM search_tracks_words ORDER BY entries DESC LIMIT 3000"
        )
        if len(word) >= 4
    ]
    pick = "SELECT title FROM tracks WHERE title_key LIKE '% %' AND rowid % ? = 0 LIMIT ?"
    step = connection.execute("SELECT max(rowid) FROM tracks").get // (_QUESTIONS * 2)
    titles = [title.lower().split() for (title,) in connection.execute(pick, (step, _QUESTIONS))]
    connection.close()
    made = {
        "two words": [" ".join(dice.sample(words, 2)) for words in titles],
        "two frequent words": [" ".join(dice.sample(common[:50], 2)) for _ in range(_QUESTIONS)],
        "a frequent word": common[:20],
        "three letters": [word[:3] for word in dice.choices(common, k=_QUESTIONS)],
        "six letters": [word[:6] for word in dice.choices(common, k=_QUESTIONS)],
        "a typo": [_mistaken(word, dice) for word in dice.choices(common, k=_QUESTIONS)],
    }
    queries = {kind: [f"q={quote(question)}" for question in asked] for kind, asked in made.items()}
    more = f"&genre={quote(GENRES[4])}&format={FORMATS[1]}"
    queries["a frequent word, genre, format"] = [query + more for query in queries["a frequent word"]]
    queries["a frequent word, duration"] = [
        f"{query}&min_duration=470" for query in queries["a frequent word"]
    ]
    late = "&start_date=2020-01-01T10:00:00Z&end_date=2020-01-01T11:00:00Z"
    queries["a frequent word, an hour"] = [query + late for query in queries["a frequent word"]]
    for by in ("title", "created_at"):
        queries[f"a frequent word, by {by}"] = [
            f"{query}&sort_by={by}" for query in queries["a frequent word"]
        ]
    queries["a frequent word, by title, page 400"] = [
        f"{query}&sort_by=title&page=400" for query in queries["a frequent word"]
    ]
    queries["a frequent word, page 400"] = [f"{query}&page=400" for query in queries["a frequent word"]]
    return queries


def _mistaken(word: str, dice: random.Random) -> str:
    at = dice.randrange(1, len(word) - 1)
    return dice.choice(
        (
            word[:at] + word[at + 1 :],
            word[:at] + "x" + word[at + 1 :],
            word[:at] + "q" + word[at:],
            word[: at - 1] + word[at] + word[at - 1] + word[at + 1 :],
        )
    )


async def search() -> list[Figure]:
    """The p50 and p95 of each kind of question."""
    figures = []
    with hello() as plain:
        ceiling = [await _ask(plain, [render("GET", "/")], count) for count in (1, 8)]
    for tracks, target in TARGETS.items():
        path = seeded(tracks)
        with Veza(path, copy=False) as veza:
            for kind, queries in questions(path).items():
                aim = BOUND if "," in kind else target
                figures.append(await asked(veza, f"search at {tracks:,}: {kind}", queries, ceiling, aim))
            memory = veza.memory()
        figures.append(Figure(f"search at {tracks:,}: memory", f"{memory:.0f} MB", "-", "recorded", None))
        figures.append(Figure(f"search at {tracks:,}: index", _sizes(path), "-", "recorded", None))
    return [*figures, await _build(max(TARGETS))]


def settle(server: Server) -> None:
    """Wait until a server is done with what it was asked before: nobody may be there any more to hear it."""
    for _ in range(100):
        before = server.cpu()
        time.sleep(0.1)
        if server.cpu() == before:
            return
    raise RuntimeError("the server is busy with nothing")


async def asked(
    veza: Veza, name: str, queries: list[str], ceiling: Sequence[Report] | None, aim: int
) -> Figure:
    """How long these take, one after the other and by eight at once."""
    requests = [render("GET", f"{SEARCH}?{query}") for query in queries]
    one, eight = [await _ask(veza, requests, count) for count in (1, 8)]
    return Figure(
        name,
        f"p50 {one.p50:.1f} p95 {one.p95:.1f} ms; by eight {eight.p50:.1f}, {eight.p95:.1f},"
        f" {eight.rate:,.0f}/s",
        f"p95 {ceiling[0].p95:.1f}, {ceiling[1].p95:.1f} ms" if ceiling else "-",
        f"p95 ≤ {aim} ms",
        one.p95 <= aim,
    )


async def _build(tracks: int) -> Figure:
    path = CACHE / "built.db"
    try:
        shutil.copy(seeded(tracks), path)
        database = open_database(f"sqlite:///{path}")
        began = time.perf_counter()
        await rebuild(database)
        seconds = time.perf_counter() - began
        await database.close()
    finally:
        for made in CACHE.glob("built.db*"):
            made.unlink()
    limit = BUILD * tracks / 1_000_000
    return Figure(
        f"search at {tracks:,}: build", f"{seconds:.0f} s", "-", f"≤ {limit:.0f} s", seconds <= limit
    )


async def _ask(server: Server, requests: list[bytes], connections: int) -> Report:
    settle(server)
    report = await load(server.host, server.port, requests, connections, _SECONDS, pid=server.pid)
    if report.failures or set(report.statuses) - {"200"}:
        raise RuntimeError(str(report))
    return report


def _sizes(path: Path) -> str:
    connection = apsw.Connection(str(path), apsw.SQLITE_OPEN_READONLY)
    pages = connection.execute(
        "SELECT CASE WHEN name LIKE '%fts%' THEN 'lists' WHEN name LIKE '%typos%' THEN 'typos'"
        " WHEN name LIKE '%words%' THEN 'words' ELSE 'entries' END AS part, sum(pgsize) / 1e6"
        " FROM dbstat WHERE name LIKE '%search_tracks%' AND aggregate = TRUE GROUP BY part ORDER BY part"
    ).fetchall()
    connection.close()
    return ", ".join(f"{part} {size:.0f} MB" for part, size in pages)
