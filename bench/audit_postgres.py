"""The same on a PostgreSQL of its own: searches in a log of a million rows, and what the log costs likes."""

from contextlib import suppress

import asyncpg

from bench.audit import _ADMIN, _FIRST, _KINDS, _PEOPLE, _STEP, _TRACKS, compared, likes, searched
from bench.postgres import postgres
from bench.seed import seeded, user_id
from bench.servers import Veza
from bench.table import Figure

_ROWS = 1_000_000
_TURNS = 2
_QUEUEING = (
    "CREATE TRIGGER events_queued AFTER INSERT ON events FOR EACH ROW EXECUTE FUNCTION audit_enqueue()"
)
_NO_QUEUEING = "DROP TRIGGER events_queued ON events"


async def search() -> list[Figure]:
    """The p95 of every kind of search at a million rows."""
    async with postgres(seeded(_TRACKS)) as (url, _):
        await _fill(url)
        with Veza(url, copy=False, audit_retention_days="0") as veza:
            return await searched(veza, _ROWS, "audit search on PostgreSQL", 0.5)


async def cost() -> list[Figure]:
    """Likes a second, 32 people, each durable: with the log and its seals, and without both, in turn."""
    rates: dict[bool, list[float]] = {True: [], False: []}
    cpu: dict[bool, list[float]] = {True: [], False: []}
    async with postgres(seeded(_TRACKS), fsync="on", synchronous_commit="on", full_page_writes="on") as (
        url,
        _,
    ):
        connection = await asyncpg.connect(url)
        for turn in range(2 * _TURNS):
            logs = turn % 2 == 0
            with suppress(asyncpg.DuplicateObjectError):
                await connection.execute(_QUEUEING if logs else _NO_QUEUEING)
            await connection.execute("TRUNCATE likes")
            with Veza(url, copy=False) as veza:
                report = await likes(veza)
            rates[logs].append(report.rate)
            cpu[logs].append(report.cpu_us or 0)
        await connection.close()
    return [compared("likes a second on PostgreSQL, durable, with the audit log", rates, cpu)]


async def _fill(url: str) -> None:
    connection = await asyncpg.connect(url)
    made = await connection.fetch(
        "SELECT indexname, indexdef FROM pg_indexes WHERE tablename = 'audit_log' AND indexname LIKE 'ix_%'"
    )
    for name, _ in made:
        await connection.execute(f"DROP INDEX {name}")
    await connection.execute(_ROWS_OF_A_LOG, timeout=60)
    for _, sql in made:
        await connection.execute(sql, timeout=60)
    for scope in ("'00000000-0000-0000-0000-000000000000'::uuid", "user_id"):
        await connection.execute(
            f"INSERT INTO audit_counts SELECT {scope}, kind, COUNT(*) FROM audit_log GROUP BY 1, 2"
        )
    await connection.execute(
        "INSERT INTO audit_state VALUES (1, $1, decode(repeat('00', 36), 'hex'), 0, '', $1)", _ROWS
    )
    await connection.execute("UPDATE users SET role = 'admin' WHERE id = $1", user_id(_ADMIN))
    await connection.execute("VACUUM ANALYZE audit_log")
    await connection.execute("VACUUM ANALYZE audit_counts")
    await connection.close()


def _kind_of(dice: str) -> str:
    """SQL for a kind, by a number below a thousand."""
    steps, below = [], 0
    for kind, share in _KINDS:
        below += share
        steps.append(f"WHEN {dice} < {below} THEN '{kind}'")
    return f"CASE {' '.join(steps)} END"


def _id_of(moment: str, number: str) -> str:
    """SQL for an id of a moment in milliseconds, and of a number."""
    tail = f"'7' || lpad(to_hex({number} % 4096), 3, '0') || '8' || lpad(to_hex({number}), 15, '0')"
    return f"(lpad(to_hex({moment}), 12, '0') || {tail})::uuid"


# As in SQLite: of the people the busiest has a percent and more of all rows, and most have ten or fewer.
_ROWS_OF_A_LOG = f"""
INSERT INTO audit_log (seq, id, kind, user_id, actor_id, target_type, target_id, severity, ip, user_agent,
    request_id, data, created_at, mac)
SELECT n, {_id_of(f"({_FIRST} + n * {_STEP}) / 1000", "n")}, {_kind_of("k")}, person, person, 'track',
    {_id_of("t", "t")},
    CASE WHEN k >= 970 AND k < 990 THEN 'warning' WHEN k = 999 THEN 'critical' ELSE 'info' END,
    '10.' || p / 60000 || '.' || p % 250 || '.' || p % 199, 'Mozilla/5.0 (X11; Linux x86_64) Firefox/140.0',
    lpad(to_hex(p), 16, '0') || '-' || lpad(to_hex(n), 8, '0'),
    '{{"track_id":"01970000-0000-7000-8000-000000000000"}}', {_FIRST} + n * {_STEP},
    decode(repeat('00', 36), 'hex')
FROM (
    SELECT n, k, t, p, ('01970000000070008000' || lpad(to_hex(p), 12, '0'))::uuid AS person
    FROM (
        SELECT n, (random() * 999)::int AS k, (random() * {_TRACKS - 1})::int AS t,
            ({_PEOPLE - 1} * random() * random() * random())::int AS p
        FROM generate_series(1, {_ROWS}::bigint) AS n
    ) AS dice
) AS made
"""
