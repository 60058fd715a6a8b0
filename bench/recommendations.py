"""Recommendations for 100,000 people among a million tracks: learning, answers, and what they are worth.

People and what they hear are the world of planted tastes of `tests/tastes.py`; the last track of some people
is kept from the model, and is what it has to find.
"""

import itertools
import random
import resource
import shutil
import time
from datetime import timedelta
from pathlib import Path

import apsw

from bench.load import Report, load, render
from bench.seed import CACHE, seeded, track_id, user_id
from bench.servers import Server, Veza, hello
from bench.table import Figure
from tests.tastes import Split, hit_rate, popularity, split, tastes
from veza.core.db import open_database
from veza.core.installation import stamp
from veza.core.jobs import NoPayload, enqueue
from veza.core.storage import LocalStorage
from veza.rooms.recommendations import jobs
from veza.rooms.recommendations.model import Kind, Model
from veza.rooms.recommendations.ranking import Seed, rank
from veza.rooms.recommendations.store import Made

PEOPLE, TRACKS, GROUPS, EACH = 100_000, 1_000_000, 400, 70
# Seconds that learning may take, milliseconds that the p95 of an answer may.
LEARNING, ANSWER = 300, 20
_ASKED, _PEOPLE = 2_000, 40
# What the world has beside what people hear: one in so many heard tracks is liked.
_LIKED = 6
_PATHS = (
    "/playlists/recommendations",
    "/playlists/recommendations?limit=100",
    "/tracks/recommendations",
    "/tracks/recommendations?limit=100",
)
_USERS = """
WITH RECURSIVE n(i) AS (SELECT :first UNION ALL SELECT i + 1 FROM n WHERE i < :last)
INSERT INTO users (id, username, username_key, email, email_key, email_verified, password_hash, role,
                   storage_used, created_at, updated_at)
SELECT unhex(:high || printf('%012x', i)), 'user' || i, 'user' || i, 'user' || i || '@example.org',
       'user' || i || '@example.org', 1, (SELECT password_hash FROM users LIMIT 1), 'user', 0, 0, 0 FROM n
"""
_HEARD = """
INSERT INTO listeners (id, track_id, user_id, plays, last_play, last_at, last_ms)
VALUES (?, ?, ?, ?, ?, ?, 90000)
"""
# Every other person has a playlist of twenty tracks that they heard, which four follow; all follow five.
_PLAYLISTS = """
INSERT INTO playlists (id, user_id, title, title_key, is_public, track_count, listed_count, total_ms,
                       listed_ms, follower_count, version, created_at, updated_at)
SELECT randomblob(16), id, 'Mix', 'mix', 1, 20, 20, 3600000, 3600000, 4, 0, rowid, rowid FROM users
WHERE rowid % 2 = 0;
INSERT INTO playlist_counts (scope, total) SELECT '', COUNT(*) FROM playlists;
INSERT INTO playlist_entries (playlist_id, track_id, place, listed, track_owner, duration_ms, added_by,
                              added_at)
SELECT p.id, l.track_id, l.n, 1, p.user_id, 180000, p.user_id, l.last_at FROM playlists p JOIN (
    SELECT track_id, user_id, last_at, ROW_NUMBER() OVER (PARTITION BY user_id ORDER BY id) AS n
    FROM listeners
) l ON l.user_id = p.user_id AND l.n <= 20;
WITH people AS (SELECT id, ROW_NUMBER() OVER () - 1 AS n FROM users),
     numbered AS (SELECT id, ROW_NUMBER() OVER () - 1 AS n FROM playlists),
     k(i) AS (VALUES (1), (2), (3), (4))
INSERT INTO playlist_follows (playlist_id, user_id, created_at)
SELECT numbered.id, people.id, 1750000000000000 + numbered.n FROM numbered, k
JOIN people ON people.n = (numbered.n * 31 + k.i * 977) % :people;
WITH people AS (SELECT id, ROW_NUMBER() OVER () - 1 AS n FROM users), k(i) AS (VALUES (1), (2), (3), (4), (5))
INSERT INTO follows (follower_id, followed_id, created_at)
SELECT one.id, other.id, 1750000000000000 + one.n FROM people one, k
JOIN people other ON other.n = (one.n * 17 + k.i * 1009) % :people WHERE other.n <> one.n;
"""
_INDEXES = (
    "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND tbl_name = 'listeners' AND sql NOT NULL"
)


async def recommendations() -> list[Figure]:
    """What a model costs, how good it is, and how quickly it answers."""
    world = split(tastes(PEOPLE, TRACKS, GROUPS, EACH), _ASKED)
    listened = _listened(world)
    database, storage = open_database(f"sqlite:///{listened}"), LocalStorage(CACHE / "learned")
    try:
        await stamp(database, storage)
        began = time.perf_counter()
        made = await jobs.learn(database, storage)
        async with database.write() as tx:  # a server would begin with it
            later = {"delay": timedelta(days=1), "unique_key": f"every:{jobs.LEARN.name}"}
            await enqueue(tx, jobs.LEARN, NoPayload(), **later)
        figures = [_cost(made, len(world.learned.person), time.perf_counter() - began)]
        figures.append(_worth(world, Model(storage.local_path(made.key))))
        return [*figures, *await _answers(listened, storage)]
    finally:
        await database.close()
        await storage.close()
        shutil.rmtree(storage.folder)


def _cost(made: Made, rows: int, seconds: float) -> Figure:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return Figure(
        f"learning from {rows:,} pairs of {PEOPLE:,} people and {TRACKS:,} tracks",
        f"{seconds:.0f} s, {used.ru_maxrss / 1024:,.0f} MB; a file of {made.size / 1e6:.0f} MB",
        "-",
        f"≤ {LEARNING} s",
        seconds <= LEARNING,
    )


def _worth(world: Split, model: Model) -> Figure:
    def learned(had: list[int]) -> list[int]:
        return [one.number for one in rank(model, [Seed(n, 1.0) for n in had[-100:]], Kind.TRACK, 10)]

    ours, theirs = (hit_rate(world.asked, method) for method in (learned, popularity(world.learned)))
    measured, beside = f"{ours:.1%}, {ours / theirs:.1f} times as often", f"{theirs:.1%} by popularity"
    return Figure("hit rate@10 of recommendations", measured, beside, "≥ 2 times", ours >= 2 * theirs)


async def _answers(listened: Path, storage: LocalStorage) -> list[Figure]:
    """The p95 of answers on one connection and on eight, with a model that the server has at hand."""
    figures = []
    with hello() as plain:
        ceiling = await _ask(plain, [render("GET", "/")], 1)
    files = f"file://{storage.folder}"
    with Veza(listened, copy=False, storage_url=files) as veza:
        dice, before = random.Random(3), veza.memory()
        tokens = [veza.log_in(dice.randrange(PEOPLE)) for _ in range(_PEOPLE)]
        for path in _PATHS:
            requests = [
                render("GET", f"/api/v1{path}", {"Authorization": f"Bearer {token}"}) for token in tokens
            ]
            figures.append(await _figure(veza, path, requests, ceiling))
        similar = [f"/api/v1/tracks/{track_id(dice.randrange(TRACKS))}/similar" for _ in range(500)]
        figures.append(
            await _figure(veza, "/tracks/{id}/similar", [render("GET", path) for path in similar], ceiling)
        )
        memory = f"{veza.memory():.0f} MB, {before:.0f} before"
    return [*figures, Figure("memory of a server that recommends", memory, "-", "≤ 150 MB", None)]


async def _figure(veza: Server, path: str, requests: list[bytes], ceiling: Report) -> Figure:
    one, eight = [await _ask(veza, requests, count) for count in (1, 8)]
    measured = f"p50 {one.p50:.1f} p95 {one.p95:.1f} ms; by eight p95 {eight.p95:.1f}, {eight.rate:,.0f}/s"
    return Figure(
        f"GET {path}", measured, f"p95 {ceiling.p95:.1f} ms", f"p95 ≤ {ANSWER} ms", one.p95 <= ANSWER
    )


async def _ask(server: Server, requests: list[bytes], connections: int) -> Report:
    report = await load(server.host, server.port, requests, connections, 2.0, pid=server.pid)
    if report.failures or set(report.statuses) - {"200"}:
        raise RuntimeError(str(report))
    return report


def _listened(world: Split) -> Path:
    """The path of a database with these people and what they heard, made if there is none yet."""
    tracks = seeded(TRACKS)
    path = CACHE / tracks.name.replace("tracks", "listened")
    if not path.exists():
        for old in CACHE.glob("listened-*"):
            old.unlink(missing_ok=True)
        part = path.with_suffix(".part")
        shutil.copy(tracks, part)
        began = time.perf_counter()
        _listen(part, world)
        part.rename(path)
        print(f"made {path.name} in {time.perf_counter() - began:.0f} s", flush=True)
    return path


def _listen(path: Path, world: Split) -> None:
    connection = apsw.Connection(str(path))
    for pragma in ("journal_mode=OFF", "synchronous=OFF", "cache_size=-2000000", "foreign_keys=OFF"):
        connection.execute(f"PRAGMA {pragma}").fetchall()
    indexes = connection.execute(_INDEXES).fetchall()
    connection.execute("BEGIN")
    for name, _ in indexes:
        connection.execute(f"DROP INDEX {name}")
    count = connection.execute("SELECT COUNT(*) FROM users").get
    high = user_id(0).hex[:20]
    connection.execute(_USERS, {"first": count, "last": PEOPLE - 1, "high": high}).fetchall()
    connection.executemany(_HEARD, _heard(world))
    liked = "INSERT INTO likes (track_id, user_id, created_at) VALUES (?, ?, ?)"
    connection.executemany(liked, ((track, user, at) for _, track, user, *_, at in _every(_heard(world))))
    for _, sql in indexes:
        connection.execute(sql)
    connection.execute(_PLAYLISTS, {"people": PEOPLE}).fetchall()
    connection.execute("COMMIT")
    connection.execute("PRAGMA journal_mode=WAL").fetchall()
    connection.close()


def _every(rows):
    return itertools.islice(rows, 0, None, _LIKED)


def _heard(world: Split):
    """A row for each pair, as old as it is early."""
    tracks = [track_id(number).bytes for number in range(TRACKS)]
    people = [user_id(number).bytes for number in range(PEOPLE)]
    first = 1_750_000_000_000_000
    pairs = zip(world.learned.person.tolist(), world.learned.track.tolist(), strict=True)
    for number, (person, track) in enumerate(pairs, 1):
        at = first + number * 1_000_000
        yield number, tracks[track], people[person], 1 + number % 7 % 3, b"0" * 16, at
