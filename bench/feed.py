"""The feed of somebody who follows very many, among very many tracks and playlists."""

import random
import shutil
import time
from pathlib import Path

import apsw

from bench.load import Report, load, render
from bench.seed import CACHE, seeded, user_id
from bench.servers import Server, Veza, hello
from bench.table import Figure

FEED = "/api/v1/feed"
_TRACKS, _PLAYLISTS, _USERS, _FOLLOWED = 1_000_000, 200_000, 20_000, 2_000
# Milliseconds that the p95 may take.
TARGET = 20

# User 0 can sign in; those made here are only followed. As uneven as people are: of the first there are very
# many tracks, of others hardly any.
_PEOPLE = """
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < :users)
INSERT INTO users (id, username, username_key, email, email_key, email_verified, password_hash, role,
                   storage_used, created_at, updated_at)
SELECT randomblob(16), 'f' || i, 'f' || i, 'f' || i, 'f' || i, 1, '', 'user', 0, 1, 1 FROM n
"""
_NUMBERED = (
    "CREATE TEMP TABLE people AS SELECT id, ROW_NUMBER() OVER () AS n FROM users WHERE email LIKE 'f%'"
)
_BY_NUMBER = "CREATE UNIQUE INDEX temp.by_n ON people (n)"
_ROWS = """
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < :tracks),
one AS (SELECT * FROM tracks LIMIT 1)
INSERT INTO tracks
SELECT CAST(printf('%016d', i) AS BLOB), (SELECT p.id FROM people p WHERE p.n = n.who), {others}
FROM (SELECT i, 1 + CAST(:users * pow(abs(random() % 1000000) / 1e6, 3) AS INTEGER) AS who FROM n) n
CROSS JOIN one
"""
# One for every five tracks, in the same order of time.
_LISTS = """
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < :playlists)
INSERT INTO playlists (id, user_id, title, title_key, is_public, track_count, listed_count, total_ms,
                       listed_ms, follower_count, version, created_at, updated_at)
SELECT CAST(printf('%016d', i) AS BLOB), (SELECT p.id FROM people p WHERE p.n = n.who), 'L', 'l', i % 10 > 0,
       20, 20, 4000000, 4000000, 0, 0, 1577836800500000 + i * 5000000, 1
FROM (SELECT i, 1 + CAST(:users * pow(abs(random() % 1000000) / 1e6, 3) AS INTEGER) AS who FROM n) n
"""
_FOLLOWS = """
INSERT INTO follows SELECT :viewer, id, 1 FROM people WHERE n % :step = 1 LIMIT :followed
"""


def crowded() -> Path:
    """The path of a database with so many tracks, users and follows, made if there is none yet."""
    small = seeded(10_000)
    path = CACHE / small.name.replace("tracks-10000", "feed")
    if not path.exists():
        for old in CACHE.glob("feed-*"):
            old.unlink(missing_ok=True)
        part = path.with_suffix(".part")
        shutil.copy(small, part)
        began = time.perf_counter()
        _crowd(part)
        part.rename(path)
        print(f"made {path.name} in {time.perf_counter() - began:.0f} s", flush=True)
    return path


def _crowd(path: Path) -> None:
    connection = apsw.Connection(str(path))
    for pragma in ("journal_mode=OFF", "synchronous=OFF", "cache_size=-400000", "foreign_keys=OFF"):
        connection.execute(f"PRAGMA {pragma}").fetchall()
    made = "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND tbl_name = 'tracks' AND sql NOT NULL"
    indexes = connection.execute(made).fetchall()
    columns = [name for (name,) in connection.execute("SELECT name FROM pragma_table_info('tracks')")]
    others = ", ".join(
        {"created_at": "1577836800000000 + i * 1000000"}.get(name, f"one.{name}") for name in columns[2:]
    )
    assert columns[:2] == ["id", "user_id"]
    connection.execute("BEGIN")
    for name, _ in indexes:
        connection.execute(f"DROP INDEX {name}")
    connection.execute(_PEOPLE, {"users": _USERS}).fetchall()
    connection.execute(_NUMBERED).fetchall()
    connection.execute(_BY_NUMBER).fetchall()
    connection.execute(_ROWS.format(others=others), {"tracks": _TRACKS, "users": _USERS}).fetchall()
    connection.execute(_LISTS, {"playlists": _PLAYLISTS, "users": _USERS}).fetchall()
    for _, sql in indexes:
        connection.execute(sql)
    viewer = {"viewer": user_id(0).bytes, "step": _USERS // _FOLLOWED, "followed": _FOLLOWED}
    connection.execute(_FOLLOWS, viewer).fetchall()
    connection.execute("COMMIT")
    connection.execute("PRAGMA journal_mode=WAL").fetchall()
    connection.close()


async def feed() -> list[Figure]:
    """The p95 of the first part and of parts far down, on one connection and on four."""
    with hello() as plain:
        ceiling = [await _ask(plain, [render("GET", "/")], count) for count in (1, 4)]
    figures = []
    with Veza(crowded(), copy=False) as veza:
        headers = {"Authorization": f"Bearer {veza.log_in(0)}"}
        places = _places(veza, headers["Authorization"].split()[1])
        kinds = {
            "the first 20": ["?limit=20"],
            "the first 100": ["?limit=100"],
            "20 anywhere": [f"?limit=20&before={place}" for place in places],
        }
        for kind, queries in kinds.items():
            requests = [render("GET", f"{FEED}{query}", headers) for query in queries]
            one, four = [await _ask(veza, requests, count) for count in (1, 4)]
            figures.append(
                Figure(
                    f"GET /feed at {_TRACKS:,} tracks and {_PLAYLISTS:,} playlists, {_FOLLOWED:,} followed:"
                    f" {kind}",
                    f"p50 {one.p50:.1f} p95 {one.p95:.1f} ms; by four {four.p50:.1f}, {four.p95:.1f},"
                    f" {four.rate:,.0f}/s",
                    f"p95 {ceiling[0].p95:.1f}, {ceiling[1].p95:.1f} ms",
                    f"p95 ≤ {TARGET} ms",
                    one.p95 <= TARGET,
                )
            )
    return figures


def _places(veza: Veza, token: str) -> list[str]:
    """Places along the first forty parts of a hundred."""
    found, place = [], ""
    while len(found) < 40:
        status, told = veza.call("GET", f"{FEED}?limit=100{place}", None, token)
        assert status == 200
        if told["next"] is None:
            break
        found.append(told["next"])
        place = f"&before={told['next']}"
    random.Random(5).shuffle(found)
    return found


async def _ask(server: Server, requests: list[bytes], connections: int) -> Report:
    report = await load(server.host, server.port, requests, connections, 2.0, pid=server.pid)
    if report.failures or set(report.statuses) - {"200"}:
        raise RuntimeError(str(report))
    return report
