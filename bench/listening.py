"""A year of listening: ten million plays by 50,000 people, and all the sums that are kept of them.

The track of rank r is heard 1/r as often as the first one; the busiest artist has a fifth of all tracks. So
there are days of the platform with more listeners than are counted exactly, and artists with nearly as many.
"""

import shutil
import time
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import apsw
import numpy as np

from bench.seed import CACHE, seeded, track_id, user_id
from veza.core.db import open_database
from veza.rooms.plays.packing import pack_all
from veza.rooms.plays.sketch import Sketch, hash_of
from veza.rooms.plays.sums import ALL

TRACKS, PLAYS, PEOPLE, DAYS = 100_000, 10_000_000, 50_000, 366
LAST = date(2026, 6, 30)
ADMIN = 99
# To be raised when what is below makes other rows.
_VERSION = "2"
_FIRST_PERSON = 1_000
_BEGIN = (LAST - timedelta(days=DAYS - 1) - date(1970, 1, 1)).days
_DAY_MICROS = 86_400_000_000
_DEVICES = ("phone", "browser", "tablet", "tv", "speaker", "car", "computer", "other")
_SOURCES = ("search", "playlist", "feed", "profile", "recommendation", "chart", "embed", "direct")
_COUNTRIES = [a + b for a in "ABCDEFGHIJ" for b in "RSTUXY"]
_COLUMNS = "track, artist, person, listener, at, heard_ms, part, device, source, country"


async def listened() -> Path:
    """The path of that database, made if there is none yet for the present schema."""
    tracks = seeded(TRACKS)
    path = CACHE / tracks.name.replace("tracks", f"year-{_VERSION}")
    if not path.exists():
        for old in CACHE.glob("year-*"):
            old.unlink(missing_ok=True)
        part = path.with_suffix(".part")
        shutil.copy(tracks, part)
        began = time.perf_counter()
        _listen(part)
        await _pack(part)
        part.rename(path)
        print(f"made {path.name} in {time.perf_counter() - began:.0f} s", flush=True)
    return path


def _listen(path: Path) -> None:
    connection = apsw.Connection(str(path))
    for pragma in ("journal_mode=OFF", "synchronous=OFF", "cache_size=-2000000", "temp_store=MEMORY"):
        connection.execute(f"PRAGMA {pragma}").fetchall()
    connection.execute("BEGIN")
    _make_people(connection)
    artists = dict(connection.execute("SELECT id, user_id FROM tracks"))
    numbers = {user_id(n).bytes: n for n in range(100)}
    of_track = np.array([numbers[artists[track_id(n).bytes]] for n in range(TRACKS)])
    told = _told(of_track)
    connection.execute(f"CREATE TEMP TABLE told ({_COLUMNS})")
    connection.execute(
        "CREATE TEMP TABLE scopes (kind, number, id, PRIMARY KEY (kind, number)) WITHOUT ROWID"
    )
    connection.executemany("INSERT INTO scopes VALUES (?, ?, ?)", _scopes())
    marks = ", ".join("?" * 10)
    connection.executemany(f"INSERT INTO told VALUES ({marks})", _rows(told))
    for sql in _KEPT.split(";"):
        connection.execute(sql).fetchall()
    for kind, column in (("track", "track"), ("artist", "artist"), ("all", "0")):
        for sql in _SUMS.split(";"):
            connection.execute(sql.replace("{column}", column), {"kind": kind}).fetchall()
    connection.executemany("INSERT INTO play_listeners VALUES (?, ?, ?)", _sketches(told))
    connection.execute("COMMIT")
    connection.execute("ANALYZE").fetchall()
    connection.execute("PRAGMA journal_mode=WAL").fetchall()
    connection.close()


def _make_people(connection: apsw.Connection) -> None:
    """Listeners, each like the second of the seeded users; and an admin."""
    names = [row[1] for row in connection.execute("PRAGMA table_info(users)")]
    own = {"id": ":id", "username": ":name", "username_key": ":name", "email": ":mail", "email_key": ":mail"}
    columns, values = ", ".join(names), ", ".join(own.get(name, name) for name in names)
    connection.executemany(
        f"INSERT INTO users ({columns}) SELECT {values} FROM users WHERE id = :model",
        (
            {"id": user_id(n).bytes, "name": f"user{n}", "mail": f"user{n}@example.org"}
            | {"model": user_id(1).bytes}
            for n in range(_FIRST_PERSON, _FIRST_PERSON + PEOPLE)
        ),
    )  # fmt: skip
    connection.execute("UPDATE users SET role = 'admin' WHERE id = ?", (user_id(ADMIN).bytes,))
    connection.execute("UPDATE user_counts SET total = total + ?", (PEOPLE,))


async def _pack(path: Path) -> None:
    """As a server's job does; what it marks first it packs the second time."""
    database = open_database(f"sqlite:///{path}")
    for _ in range(2):
        await pack_all(database, share=1)
    await database.close()


def _told(of_track: Any) -> dict[str, Any]:
    """What was heard, in the order of tracks, and of people of each."""
    dice = np.random.default_rng(11)
    ranks = (TRACKS ** dice.random(PLAYS)).astype(np.int64) - 1
    tracks = dice.permutation(TRACKS)[ranks]
    people = dice.integers(_FIRST_PERSON, _FIRST_PERSON + PEOPLE, PLAYS)
    order = np.lexsort((people, tracks))
    tracks, people = tracks[order], people[order]
    other = np.ones(PLAYS, np.int64)
    other[1:] = (np.diff(tracks) != 0) | (np.diff(people) != 0)
    parts = (dice.random(PLAYS) ** 0.5 * 1_000_000).astype(np.int64)
    return {
        "track": tracks,
        "artist": of_track[tracks],
        "person": people,
        "listener": np.cumsum(other),
        "at": _BEGIN * _DAY_MICROS + dice.integers(0, DAYS * _DAY_MICROS, PLAYS),
        "heard_ms": parts // 5,
        "part": parts,
        "device": (dice.random(PLAYS) ** 2 * len(_DEVICES)).astype(np.int64),
        "source": (dice.random(PLAYS) ** 2 * len(_SOURCES)).astype(np.int64),
        "country": (dice.random(PLAYS) ** 3 * len(_COUNTRIES)).astype(np.int64),
    }


def _rows(told: dict[str, Any]) -> Iterator[tuple[Any, ...]]:
    """Each play, with the names of what it was heard on, where it was found and where that was."""
    words = {"device": _DEVICES, "source": _SOURCES, "country": _COUNTRIES}
    for begin in range(0, PLAYS, 100_000):
        columns = {name: column[begin : begin + 100_000].tolist() for name, column in told.items()}
        for name, texts in words.items():
            columns[name] = [texts[number] for number in columns[name]]
        yield from zip(*columns.values(), strict=True)


def _scopes() -> Iterator[tuple[str, int, bytes]]:
    yield from (("track", n, track_id(n).bytes) for n in range(TRACKS))
    yield from (("artist", n, user_id(n).bytes) for n in range(100))
    yield from (("person", n, user_id(n).bytes) for n in range(_FIRST_PERSON, _FIRST_PERSON + PEOPLE))
    yield "all", 0, ALL.bytes


def _sketches(told: dict[str, Any]) -> Iterator[tuple[bytes, int, bytes]]:
    hashes = np.zeros(_FIRST_PERSON + PEOPLE, np.uint64)
    hashes[_FIRST_PERSON:] = [hash_of(user_id(n)) for n in range(_FIRST_PERSON, _FIRST_PERSON + PEOPLE)]
    days, heard = told["at"] // _DAY_MICROS, hashes[told["person"]]
    nobody = np.zeros(PLAYS, np.int64)
    for scopes, id_of in (
        (told["track"], lambda n: track_id(n).bytes),
        (told["artist"], lambda n: user_id(n).bytes),
        (nobody, lambda _: ALL.bytes),
    ):
        keys = scopes * 100_000 + days
        order = np.argsort(keys, kind="stable")
        found, begins = np.unique(keys[order], return_index=True)
        sorted_hashes, ends = heard[order], [*begins[1:].tolist(), PLAYS]
        for key, begin, end in zip(found.tolist(), begins.tolist(), ends, strict=True):
            scope, day = divmod(key, 100_000)
            yield id_of(scope), day, Sketch(sorted_hashes[begin:end].tolist()).dump()


_KEPT = """
INSERT INTO listeners (id, track_id, user_id, plays, last_play, last_at, last_ms)
SELECT t.listener, s.id, p.id, COUNT(*), CAST(printf('%016d', MAX(t.rowid)) AS BLOB), MAX(t.at), 100000
FROM told t JOIN scopes s ON s.kind = 'track' AND s.number = t.track
JOIN scopes p ON p.kind = 'person' AND p.number = t.person GROUP BY t.listener;
INSERT INTO plays (listener_id, id, at, heard_ms, part, device)
SELECT listener, CAST(printf('%016d', rowid) AS BLOB), at, heard_ms, part, device FROM told ORDER BY rowid;
INSERT INTO play_days (track_id, day, plays, heard_ms, parts)
SELECT s.id, t.at / 86400000000, COUNT(*), SUM(t.heard_ms), SUM(t.part)
FROM told t JOIN scopes s ON s.kind = 'track' AND s.number = t.track GROUP BY t.track, 2;
INSERT INTO track_stats (track_id, plays, listeners, heard_ms, parts, charted, shown)
SELECT s.id, COUNT(*), COUNT(DISTINCT t.person), SUM(t.heard_ms), SUM(t.part), COUNT(*), COUNT(*)
FROM told t JOIN scopes s ON s.kind = 'track' AND s.number = t.track GROUP BY t.track;
UPDATE tracks SET play_count = COALESCE((SELECT plays FROM track_stats WHERE track_id = tracks.id), 0);
INSERT INTO fans (artist_id, user_id, plays, heard_ms)
SELECT a.id, p.id, COUNT(*), SUM(t.heard_ms) FROM told t
JOIN scopes a ON a.kind = 'artist' AND a.number = t.artist
JOIN scopes p ON p.kind = 'person' AND p.number = t.person GROUP BY t.artist, t.person
"""
_SUMS = """
INSERT INTO play_quarters (scope, quarter, plays, heard_ms, parts)
SELECT s.id, g.quarter, g.plays, g.heard_ms, g.parts FROM (
  SELECT {column} AS number, at / 900000000 AS quarter, COUNT(*) AS plays, SUM(heard_ms) AS heard_ms,
    SUM(part) AS parts FROM told GROUP BY 1, 2
) g JOIN scopes s ON s.kind = :kind AND s.number = g.number;
INSERT INTO play_ends (scope, day, step, plays)
SELECT s.id, g.day, g.step, g.plays FROM (
  SELECT {column} AS number, at / 86400000000 AS day, part * 20 / 1000000 AS step, COUNT(*) AS plays
  FROM told GROUP BY 1, 2, 3
) g JOIN scopes s ON s.kind = :kind AND s.number = g.number;
INSERT INTO play_facets (scope, day, facet, value, plays)
SELECT s.id, g.day, 'country', g.value, g.plays FROM (
  SELECT {column} AS number, at / 86400000000 AS day, country AS value, COUNT(*) AS plays
  FROM told GROUP BY 1, 2, 3
) g JOIN scopes s ON s.kind = :kind AND s.number = g.number;
INSERT INTO play_facets (scope, day, facet, value, plays)
SELECT s.id, g.day, 'device', g.value, g.plays FROM (
  SELECT {column} AS number, at / 86400000000 AS day, device AS value, COUNT(*) AS plays
  FROM told GROUP BY 1, 2, 3
) g JOIN scopes s ON s.kind = :kind AND s.number = g.number;
INSERT INTO play_facets (scope, day, facet, value, plays)
SELECT s.id, g.day, 'source', g.value, g.plays FROM (
  SELECT {column} AS number, at / 86400000000 AS day, source AS value, COUNT(*) AS plays
  FROM told GROUP BY 1, 2, 3
) g JOIN scopes s ON s.kind = :kind AND s.number = g.number
"""
