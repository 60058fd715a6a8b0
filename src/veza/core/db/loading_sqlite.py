"""Filling a SQLite file: beside its place, without a journal, and moved there once it is whole."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TypeVar

import apsw

from veza.core.db.loading import Loader, NotEmpty, listed, quoted
from veza.core.db.migrate import upgrade_sql
from veza.core.db.rows import Column, Row, reader, writer
from veza.core.db.sqlite_bulk import CACHE_KIB

ResultT = TypeVar("ResultT")
_TOGETHER = 2_000


class _SqliteLoader(Loader):
    def __init__(self, connection: apsw.Connection, run: "_Thread") -> None:
        self._connection = connection
        self._run = run

    async def write(self, table: str, columns: Sequence[Column], parts: AsyncIterator[Sequence[Row]]) -> None:
        convert, marks = writer(columns, "sqlite"), ", ".join("?" for _ in columns)
        insert = f"INSERT INTO {quoted(table)} ({listed(columns)}) VALUES ({marks})"  # noqa: S608 - quoted
        await self._run(lambda: self._connection.execute(f"DELETE FROM {quoted(table)}").fetchall())  # noqa: S608 - quoted
        async for rows in parts:
            await self._run(partial(self._insert, insert, convert(rows)))

    def _insert(self, insert: str, rows: Sequence[Row]) -> None:
        self._connection.executemany(insert, rows).fetchall()

    async def scan(self, table: str, columns: Sequence[Column]) -> AsyncIterator[list[Row]]:
        convert = reader(columns, "sqlite")
        ask = f"SELECT {listed(columns)} FROM {quoted(table)}"  # noqa: S608 - quoted
        cursor: Iterator[Row] = await self._run(lambda: iter(self._connection.execute(ask)))
        while rows := await self._run(lambda: list(islice(cursor, _TOGETHER))):
            yield convert(rows)


class _Thread:
    """Runs what works for long, one after the other, off the event loop."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(1, "veza-sqlite-load")

    async def __call__(self, work: Callable[[], ResultT]) -> ResultT:
        return await asyncio.get_running_loop().run_in_executor(self._pool, work)

    def close(self) -> None:
        self._pool.shutdown()


def refuse_file(path: Path) -> None:
    """Raise :class:`NotEmpty` where there is a database, or the log of one."""
    for found in (path, path.with_name(f"{path.name}-wal")):
        if found.exists() and found.stat().st_size:
            raise NotEmpty(f"there is a database at {found} already.")


@asynccontextmanager
async def load_sqlite(path: Path, revision: str) -> AsyncIterator[Loader]:
    """Fill the file at ``path``, where none may be. Raises :class:`NotEmpty`."""
    refuse_file(path)
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    making, run = path.with_name(f".{path.name}.loading"), _Thread()
    making.unlink(missing_ok=True)
    try:
        connection = await run(lambda: _begin(making, revision))
        try:
            yield _SqliteLoader(connection, run)
            await run(lambda: _finish(connection))
        finally:
            await run(connection.close)
        await run(lambda: _move(making, path))
    except BaseException:
        making.unlink(missing_ok=True)
        raise
    finally:
        run.close()


def _begin(path: Path, revision: str) -> apsw.Connection:
    connection = apsw.Connection(str(path))
    for pragma in ("journal_mode=OFF", "synchronous=OFF", "foreign_keys=OFF", f"cache_size=-{CACHE_KIB}"):
        connection.execute(f"PRAGMA {pragma}").fetchall()
    connection.execute("BEGIN")
    connection.execute(upgrade_sql("sqlite", None, revision)).fetchall()
    connection.config(apsw.SQLITE_DBCONFIG_ENABLE_TRIGGER, 0)
    return connection


def _finish(connection: apsw.Connection) -> None:
    for table, *_ in connection.execute("PRAGMA foreign_key_check"):
        raise ValueError(f"rows of {table} name what is not there")
    connection.execute("COMMIT")


def _move(making: Path, path: Path) -> None:
    for place in (making, making.parent):
        handle = os.open(place, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
        if place == making:
            making.rename(path)
