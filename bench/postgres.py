"""The same tracks in a PostgreSQL of its own: the tests' server, filled from a seeded SQLite database.

At a million tracks that takes some ten minutes: python -m bench.postgres 1000000
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

from bench.search import KINDS, TARGETS, asked, questions
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
async def postgres(path: Path) -> AsyncIterator[str]:
    """The address of a database with what is in this file; it is gone afterwards."""
    url, stop = start_postgres(shared_buffers=_MEMORY)
    try:
        await _fill(url, path)
        yield url
    finally:
        stop()


async def search(tracks: int = 100_000) -> list[Figure]:
    """The kinds of questions that have targets, asked of PostgreSQL."""
    path = seeded(tracks)
    found = questions(path)
    async with postgres(path) as url:
        with Veza(url, copy=False) as veza:
            return [
                await asked(
                    veza, f"search at {tracks:,}, PostgreSQL: {kind}", found[kind], None, TARGETS[tracks]
                )
                for kind in KINDS
            ]


async def _fill(url: str, path: Path) -> None:
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
    print(f"indexed it there in {time.perf_counter() - began:.0f} s", flush=True)
    await database.close()


async def _copy(source: apsw.Connection, target: asyncpg.Connection, table: sa.Table) -> None:
    names = [column.name for column in table.columns]
    read = [_reading(column.type) for column in table.columns]
    rows = source.execute(f"SELECT {', '.join(names)} FROM {table.name}")
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
    show(uvloop.run(search(int(sys.argv[1]))))
