"""Databases with many tracks, made once and kept under .cache/bench.

Uneven as real ones are: the busiest of 100 users has a fifth of all tracks, the commonest genre 30 %, the
commonest format 40 %, so that every filter and combination has full pages at every size. Of 300,000 words the
commonest is in a fifth of all tracks, the next in fewer, as in any language (Zipf).
"""

import asyncio
import hashlib
import itertools
import random
import time
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import product
from pathlib import Path
from typing import Any
from uuid import UUID

import apsw

from veza.access.passwords import PasswordHasher
from veza.core.db import open_database
from veza.core.db.migrate import SCRIPTS, upgrade
from veza.core.text import fold
from veza.rooms.accounts import store as accounts
from veza.rooms.search.build import complete
from veza.rooms.tracks import store
from veza.rooms.tracks.schemas import Audio

CACHE = Path(__file__).parents[1] / ".cache" / "bench"
# To be raised when what is below makes other rows.
_VERSION = b"2"
USERS, PASSWORD = 100, "measured and found wanting"
GENRES = ("Electronic", "Rock", "Jazz", "Folk", "Hip hop", "Ambient", "Metal", "Pop", "Soul", "Dub")
FORMATS = ("mp3", "flac", "wav", "ogg")
_GENRE_WEIGHTS = (30, 20, 10, 10, 10, 6, 6, 4, 3, 1)
_FORMAT_WEIGHTS = (40, 30, 20, 10)
FIRST = datetime(2020, 1, 1, tzinfo=UTC)
_AUDIO = Audio("mp3", 44_100, 2, None, 320_000, -9.1, 6.2, -0.4)


def user_id(number: int) -> UUID:
    """The id of a user of every seeded database; user 0 is the busiest."""
    return UUID(int=(0x0197_0000_0000_7000_8000 << 48) + number)


def email(number: int) -> str:
    """What this user signs in with, and PASSWORD."""
    return f"user{number}@example.org"


def track_id(number: int) -> UUID:
    """The id of the track made as the `number`-th of a seeded database."""
    # As spread out as the random part of a real one, in the order of their times.
    tail = int.from_bytes(hashlib.blake2b(number.to_bytes(8), digest_size=7).digest())
    return UUID(int=((0x0197_8000_0000 + number) << 80) | (0x7000 << 64) | (0x80 << 56) | tail)


def seeded(tracks: int) -> Path:
    """The path of a database with so many tracks, made if there is none yet for the present schema."""
    parts = sorted((SCRIPTS / "versions").glob("*.py"))
    digest = hashlib.sha256(_VERSION + b"".join(path.read_bytes() for path in parts)).hexdigest()[:12]
    path = CACHE / f"tracks-{tracks}-{digest}.db"
    if not path.exists():
        CACHE.mkdir(parents=True, exist_ok=True)
        for old in CACHE.glob(f"tracks-{tracks}-*"):
            old.unlink(missing_ok=True)
        began = time.perf_counter()
        asyncio.run(_make(path.with_suffix(".part"), tracks))
        path.with_suffix(".part").rename(path)
        print(f"made {path.name} in {time.perf_counter() - began:.0f} s", flush=True)
    with path.open("rb", buffering=0) as file:  # into the system's memory, where a small one is already
        while file.read(1 << 20):
            pass
    return path


def vocabulary(size: int = 300_000) -> list[str]:
    """Words that can be said, the commonest first."""
    dice = random.Random(7)
    first = ["b", "c", "d", "f", "g", "h", "j", "k", "l", "m", "n", "p", "r", "s", "t", "v", "w"]
    first += ["st", "tr", "pr", "br", "ch", "sh", "th", "gr", "cl", "bl"]
    middle = ["a", "e", "i", "o", "u", "ai", "ea", "ou", "ie"]
    last = ["", "", *["n", "r", "l", "s", "t", "nd", "ck", "m"]]
    found: dict[str, None] = {}
    while len(found) < size:
        syllables = dice.choices((1, 2, 3, 4), (10, 45, 35, 10))[0]
        word = "".join(dice.choice(part) for _ in range(syllables) for part in (first, middle, last))
        if 3 <= len(word) <= 14:
            found[word] = None
    return list(found)


async def _make(path: Path, tracks: int) -> None:
    database = open_database(f"sqlite:///{path}")
    await upgrade(database)
    async with database.write() as tx:
        await tx.run_many(accounts._INSERT, await _users())
        await tx.run(accounts._ADD_COUNT, change=USERS)
    await database.close()
    connection = apsw.Connection(str(path))
    for pragma in ("journal_mode=OFF", "synchronous=OFF", "cache_size=-400000", "foreign_keys=OFF"):
        connection.execute(f"PRAGMA {pragma}").fetchall()
    made = "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND tbl_name = 'tracks' AND sql NOT NULL"
    indexes = connection.execute(made).fetchall()
    counts: Counter[str] = Counter()
    connection.execute("BEGIN")
    for name, _ in indexes:
        connection.execute(f"DROP INDEX {name}")
    insert = store._INSERT.sqlite
    connection.executemany(insert.text, map(insert.bind, _rows(tracks, counts)))
    add = store._ADD_COUNT.sqlite
    connection.executemany(add.text, (add.bind({"scope": k, "change": n}) for k, n in counts.items()))
    for _, sql in indexes:  # sorting once is many times quicker than keeping so many trees in order
        connection.execute(sql)
    connection.execute("COMMIT")
    connection.execute("PRAGMA journal_mode=WAL").fetchall()
    connection.close()  # the last one to leave takes the log with it
    database = open_database(f"sqlite:///{path}")
    began = time.perf_counter()
    await complete(database)
    print(f"indexed {tracks:,} tracks in {time.perf_counter() - began:.0f} s", flush=True)
    await database.close()


async def _users() -> list[dict[str, Any]]:
    password_hash = await PasswordHasher().hash(PASSWORD)
    nothing = dict.fromkeys(accounts.users.c.keys())
    return [
        nothing
        | {"id": user_id(n), "username": f"user{n}", "username_key": f"user{n}", "email": email(n)}
        | {"email_key": email(n), "email_verified": True, "password_hash": password_hash, "role": "user"}
        | {"storage_used": 0, "created_at": FIRST, "updated_at": FIRST}
        | {"follower_count": 0, "following_count": 0, "has_blocks": False}
        for n in range(USERS)
    ]


def _rows(tracks: int, counts: Counter[str]) -> Iterator[dict[str, Any]]:
    dice = random.Random(1)
    users = [user_id(n) for n in range(USERS)]
    weights = [25 * (USERS - 1) / 100, *[1] * (USERS - 1)]  # a fifth of all, and the rest alike
    words = vocabulary()
    weights_of_words = list(itertools.accumulate(1 / (rank + 2.7) for rank in range(len(words))))

    def text(*lengths: int) -> str:
        return " ".join(dice.choices(words, cum_weights=weights_of_words, k=dice.choice(lengths))).title()

    artists = [text(1, 2, 2, 3) for _ in range(max(tracks // 20, 100))]
    keys = {genre: fold(genre) for genre in GENRES}
    row: dict[str, Any] = {
        "year": 2025,
        "file_size": 8_617_000, "sha256": "0" * 64, "filename": "song.mp3", "audio": _AUDIO,
        "is_public": True, "downloadable": True, "status": "ready", "progress": 100, "error": None,
        "has_cover": True, "like_count": 3, "comment_count": 0, "listed": True,
        "tags": [], "for_sale": False, "withheld": None, "closed": False,
    }  # fmt: skip
    for number in range(tracks):
        user = dice.choices(users, weights)[0]
        genre = dice.choices(GENRES, _GENRE_WEIGHTS)[0]
        form = dice.choices(FORMATS, _FORMAT_WEIGHTS)[0]
        title, artist = text(1, 2, 2, 3, 3, 4, 5), artists[int(len(artists) * dice.random() ** 2)]
        moment = FIRST + timedelta(seconds=number)
        for combination in product((None, user), (None, keys[genre]), (None, form)):
            counts[store.scope_of(*combination)] += 1
        counts[store.ALL_TRACKS] += 1
        yield row | {
            "id": track_id(number), "user_id": user, "title": title, "title_key": fold(title), "genre": genre,
            "artist": artist, "artist_key": fold(artist), "album": text(1, 2, 2, 3),
            "duration": dice.randrange(90, 480) + 0.4,
            "genre_key": keys[genre], "format": form, "play_count": int(dice.paretovariate(0.7)) % 10_000_000,
            "created_at": moment, "updated_at": moment,
        }  # fmt: skip


if __name__ == "__main__":
    for size in (10_000, 100_000, 1_000_000):
        print(seeded(size))
