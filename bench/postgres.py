"""The same tracks in a PostgreSQL of its own: the tests' server, filled from a seeded SQLite database.

At a million tracks, in some minutes: python -m bench.postgres 1000000. Every combination of filters:
python -m bench.postgres 100000 filters; with one kind of words alone: the same, and behind it "a typo".
"""

import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

import apsw
import asyncpg
import sqlalchemy as sa
import uvloop

from bench.filters import combined
from bench.search import BUILD, KINDS, TARGETS, asked, questions
from bench.seed import seeded
from bench.servers import Veza
from bench.table import Figure, show
from tests.postgres import start_postgres
from veza.core.db import Id, metadata, open_database
from veza.core.db.migrate import upgrade
from veza.rooms.search.build import rebuild

# What a server of its own might be given, of a small machine.
_MEMORY = "512MB"
# Rows sent at a time.
_PART = 20_000
_TABLES = ("users", "tracks", "track_counts")
_INDEXES = (
    "SELECT c.relname, pg_get_indexdef(i.indexrelid) FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid"
    " WHERE i.indrelid = 'tracks'::regclass AND NOT i.indisunique"
)


@asynccontextmanager
async def postgres(path: Path, **settings: str) -> AsyncIterator[tuple[str, float]]:
    """The address of a database with what is in this file, gone afterwards; and the seconds of its index."""
    url, stop = start_postgres(shared_buffers=_MEMORY, **settings)
    try:
        yield url, await _fill(url, path)
    finally:
        stop()


async def search(tracks: int = 100_000) -> list[Figure]:
    """The kinds of questions that have targets, asked of PostgreSQL, and how long its index took."""
    path = seeded(tracks)
    found = questions(path)
    limit = BUILD * tracks / 1_000_000
    async with postgres(path) as (url, seconds):
        with Veza(url, copy=False) as veza:
            name = f"search at {tracks:,}, PostgreSQL"
            return [
                *[await asked(veza, f"{name}: {kind}", found[kind], None, TARGETS[tracks]) for kind in KINDS],
                Figure(f"{name}: build", f"{seconds:.1f} s", "-", f"≤ {limit:.0f} s", seconds <= limit),
            ]


async def filters(tracks: int = 100_000, *kinds: str) -> list[Figure]:
    """Every combination of filters and orders, asked of PostgreSQL; with all kinds of words, or these."""
    path = seeded(tracks)
    async with postgres(path) as (url, _):
        with Veza(url, copy=False) as veza:
            return combined(veza, questions(path), f"search at {tracks:,}, PostgreSQL", tracks, kinds)


async def _fill(url: str, path: Path) -> float:
    """Copy what is in this file and index it; the seconds that the index took."""
    database = open_database(url)
    await upgrade(database)
    began = time.perf_counter()
    source = apsw.Connection(str(path), apsw.SQLITE_OPEN_READONLY)
    connection = await asyncpg.connect(url)
    made = await connection.fetch(_INDEXES)
    for name, _ in made:
        await connection.execute(f"DROP INDEX {name}")
    for table in _TABLES:
        await _copy(source, connection, metadata.tables[table])
    for _, sql in made:  # sorting once is many times quicker than keeping so many trees in order
        await connection.execute(sql)
    await connection.execute("VACUUM ANALYZE")
    await connection.close()
    source.close()
    print(f"copied {path.name} to PostgreSQL in {time.perf_counter() - began:.0f} s", flush=True)
    began = time.perf_counter()
    await rebuild(database)
    seconds = time.perf_counter() - began
    print(f"indexed it there in {seconds:.0f} s", flush=True)
    await database.close()
    return seconds


async def _copy(source: apsw.Connection, target: asyncpg.Connection, table: sa.Table) -> None:
    names = [column.name for column in table.columns]
    read = [_reading(column.type) for column in table.columns]
    rows = source.execute(f"SELECT {', '.join(names)} FROM {table.name}")
    await target.execute(f"DELETE FROM {table.name}")  # where migrations begin a count, it is counted already
    while part := [row for _, row in zip(range(_PART), rows, strict=False)]:
        records = [tuple(one(value) for one, value in zip(read, row, strict=True)) for row in part]
        await target.copy_records_to_table(table.name, records=records, columns=names)


def _reading(kind: sa.types.TypeEngine[Any]) -> Callable[[Any], Any]:
    """How a value of SQLite becomes one of PostgreSQL."""
    if isinstance(kind, Id):
        return lambda raw: None if raw is None else UUID(bytes=raw)
    if isinstance(kind, sa.Boolean):
        return lambda raw: None if raw is None else bool(raw)
    return lambda raw: raw


if __name__ == "__main__":
    size, *what = sys.argv[1:]
    seeded(int(size))
    show(uvloop.run(filters(int(size), *what[1:]) if what[:1] == ["filters"] else search(int(size))))
