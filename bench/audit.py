"""Searches in a log of ten million rows of SQLite, and what the log costs those who change something."""

import random
import shutil
import statistics
import time
from pathlib import Path
from uuid import UUID

import apsw

from bench.load import Report, load, render
from bench.seed import CACHE, seeded, track_id, user_id
from bench.servers import Veza
from bench.table import Figure

_TRACKS, _ROWS, _PEOPLE, _ADMIN = 10_000, 10_000_000, 100_000, 1
_FIRST, _STEP = 1_700_000_000_000_000, 3_000_000  # one row each three seconds: nearly a year
LOGS, ADMIN = "/api/v1/audit/logs", "/api/v1/admin/audit/logs"
_MOST = 50  # milliseconds
# What happens, and how often in a thousand.
_KINDS = (
    ("track.liked", 500), ("auth.login", 200), ("track.commented", 100), ("playlist.updated", 90),
    ("track.downloaded", 80), ("auth.login_failed", 20), ("user.followed", 9), ("user.role_changed", 1),
)  # fmt: skip
_LIKERS, _TAKE_TURNS = 32, 3


async def search() -> list[Figure]:
    """The p95 of every kind of search at ten million rows, one at a time and four at once."""
    with Veza(logged(), copy=False, audit_retention_days="0") as veza:
        return await searched(veza, _ROWS, "audit search", 1.2)


async def searched(veza: Veza, rows: int, name: str, seconds: float) -> list[Figure]:
    """Every kind of search, each for so long, one at a time and four at once."""
    figures = []
    head = {"Authorization": f"Bearer {veza.log_in(_ADMIN)}"}
    for kind, queries in _questions(rows).items():
        ask = [render("GET", f"{ADMIN}{query}", head) for query in queries]
        alone, four = [await load(veza.host, veza.port, ask, n, seconds, pid=veza.pid) for n in (1, 4)]
        held = alone.p95 <= _MOST and set(alone.statuses) == {"200"} == set(four.statuses)
        measured = f"{alone.p95:.2f} ms; four at once {four.p95:.1f} ms at {four.rate:,.0f}/s"
        figures.append(Figure(f"{name}, {kind}: p95 at {rows:,}", measured, "", f"≤ {_MOST} ms", held))
    return figures


def _questions(rows: int) -> dict[str, list[str]]:
    dice = random.Random(7)
    people = [dice.randrange(_PEOPLE) for _ in range(200)]
    numbers = [dice.randrange(rows) for _ in range(200)]
    days = list(map(_moment, numbers))
    kinds = [dice.choice(_KINDS)[0] for _ in range(200)]
    return {
        "the latest": ["", "?limit=100", "?page=7"],
        "of a kind": [f"?action={kind}&page={dice.randrange(1, 40)}" for kind, _ in _KINDS],
        "of a user": [f"?user_id={user_id(one)}" for one in people],
        "of the busiest user": [f"?user_id={user_id(0)}&page={dice.randrange(1, 200)}" for _ in range(200)],
        "of a user and a kind": [
            f"?user_id={user_id(one % 20)}&action={kind}" for one, kind in zip(people, kinds, strict=True)
        ],
        "from an address": [f"?ip_address=10.0.{one % 250}.{one % 199}" for one in people],
        "about a thing": [f"?target_id={_target(one % _TRACKS)}" for one in people],
        "grave": ["?severity=warning", "?severity=critical", "?severity=warning&page=99&limit=100"],
        "of two days": [f"?start_date={_moment(n)}&end_date={_moment(n + 57_600)}" for n in numbers],
        "of a kind, before a day": [f"?end_date={d}&action={k}" for d, k in zip(days, kinds, strict=True)],
        "of a kind, from an address": [
            f"?action={kind}&ip_address=10.0.{one % 250}.{one % 199}"
            for one, kind in zip(people, kinds, strict=True)
        ],
        "the deepest page": ["?page=100&limit=100", f"?page=100&limit=100&user_id={user_id(0)}"],
    }


async def cost() -> list[Figure]:
    """Likes a second, 32 people, each durable: with the log and its seals, and without both, in turn."""
    rates: dict[bool, list[float]] = {True: [], False: []}
    cpu: dict[bool, list[float]] = {True: [], False: []}
    for turn in range(2 * _TAKE_TURNS):
        logs = turn % 2 == 0
        with Veza(seeded(_TRACKS) if logs else _without_guards(seeded(_TRACKS))) as veza:
            report = await likes(veza)
            rates[logs].append(report.rate)
            cpu[logs].append(report.cpu_us or 0)
    return [compared("likes a second, durable, with the audit log", rates, cpu)]


async def likes(veza: Veza) -> Report:
    """What 32 people like that nobody liked before, for a moment."""
    asks = []
    for person in range(_LIKERS):
        head = {"Authorization": f"Bearer {veza.log_in(person)}"}
        asks += [
            render("POST", f"/api/v1/tracks/{track_id(number)}/like", head)
            for number in random.Random(person).sample(range(_TRACKS), 2_000)
        ]
    report = await load(veza.host, veza.port, asks, _LIKERS, 2.5, pid=veza.pid)
    assert set(report.statuses) == {"200"}, report
    return report


def compared(name: str, rates: dict[bool, list[float]], cpu: dict[bool, list[float]]) -> Figure:
    """How many there were with the log and without it, and the server's time for each."""
    with_, without = (statistics.median(rates[logs]) for logs in (True, False))
    return Figure(
        name,
        f"{with_:,.0f}/s ({statistics.median(cpu[True]):.0f} µs)",
        f"{without:,.0f}/s ({statistics.median(cpu[False]):.0f} µs) without it", "≥ 80 % of that without",
        with_ >= 0.8 * without,
    )  # fmt: skip


def _without_guards(path: Path) -> Path:
    """The same database, in which nothing is queued to be sealed."""
    bare = path.with_suffix(".unlogged")
    shutil.copy(path, bare)
    with apsw.Connection(str(bare)) as connection:
        connection.execute("DROP TRIGGER events_queued")
    connection.close()
    return bare


def _target(number: int) -> UUID:
    """The id of what a row of the log is about."""
    return UUID(f"{number:012x}7{number % 4096:03x}8{number:015x}")


def _moment(number: int) -> str:
    at = time.gmtime((_FIRST + number * _STEP) // 1_000_000)
    return time.strftime("%Y-%m-%dT00:00:00Z", at)


def logged() -> Path:
    """The path of a database with ten million rows of the log, made if there is none yet for this schema."""
    tracks = seeded(_TRACKS)
    path = CACHE / tracks.name.replace("tracks", "audit")
    if not path.exists():
        for old in CACHE.glob("audit-*"):
            old.unlink(missing_ok=True)
        part = path.with_suffix(".part")
        shutil.copy(tracks, part)
        began = time.perf_counter()
        _fill(part)
        part.rename(path)
        print(f"made {path.name} in {time.perf_counter() - began:.0f} s", flush=True)
    return path


def _fill(path: Path) -> None:
    connection = apsw.Connection(str(path))
    for pragma in ("journal_mode=OFF", "synchronous=OFF", "cache_size=-400000", "foreign_keys=OFF"):
        connection.execute(f"PRAGMA {pragma}").fetchall()
    made = (
        "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql NOT NULL AND tbl_name = 'audit_log'"
    )
    indexes = connection.execute(made).fetchall()
    for name, _ in indexes:
        connection.execute(f"DROP INDEX {name}")
    connection.execute("BEGIN")
    connection.execute(_ROWS_OF_A_LOG).fetchall()
    for scope in (f"x'{'00' * 16}'", "user_id"):
        connection.execute(
            f"INSERT INTO audit_counts SELECT {scope}, kind, COUNT(*) FROM audit_log GROUP BY 1, 2"
        )
    for _, sql in indexes:
        connection.execute(sql)
    connection.execute(f"INSERT INTO audit_state VALUES (1, {_ROWS}, zeroblob(36), 0, zeroblob(0), {_ROWS})")
    connection.execute("UPDATE users SET role = 'admin' WHERE id = ?", (user_id(_ADMIN).bytes,))
    connection.execute("COMMIT")
    connection.execute("PRAGMA journal_mode=WAL").fetchall()
    connection.close()


def _kind_of(dice: str) -> str:
    """SQL for a kind, by a number below a thousand."""
    steps, below = [], 0
    for kind, share in _KINDS:
        below += share
        steps.append(f"WHEN {dice} < {below} THEN '{kind}'")
    return f"CASE {' '.join(steps)} END"


# Of the people the busiest has a percent and more of all rows, and most have a hundred or fewer.
_ROWS_OF_A_LOG = f"""
INSERT INTO audit_log (seq, id, kind, user_id, actor_id, target_type, target_id, severity, ip, user_agent,
    request_id, data, created_at, mac)
WITH RECURSIVE
    numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < {_ROWS}),
    dice AS (
        SELECT n, abs(random() % 1000) AS k, abs(random() % {_TRACKS}) AS t,
            abs(random() % 1000000) / 1e6 AS u
        FROM numbers
    ),
    made AS (SELECT n, k, t, CAST({_PEOPLE} * u * u * u AS INTEGER) AS p FROM dice)
SELECT n, unhex(printf('%012x7%03x8%015x', ({_FIRST} + n * {_STEP}) / 1000, n % 4096, n)), {_kind_of("k")},
    unhex('01970000000070008000' || printf('%012x', p)), unhex('01970000000070008000' || printf('%012x', p)),
    'track', unhex(printf('%012x7%03x8%015x', t, t % 4096, t)),
    CASE WHEN k >= 970 AND k < 990 THEN 'warning' WHEN k = 999 THEN 'critical' ELSE 'info' END,
    printf('10.%d.%d.%d', p / 60000, p % 250, p % 199), 'Mozilla/5.0 (X11; Linux x86_64) Firefox/140.0',
    printf('%016x-%08x', p, n), '{{"track_id":"01970000-0000-7000-8000-000000000000"}}',
    {_FIRST} + n * {_STEP}, randomblob(36)
FROM made
"""
