"""Filling a PostgreSQL database: by COPY, in one transaction with the making of its tables."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress

import asyncpg

from veza.core.db.loading import Loader, NotEmpty, listed, quoted
from veza.core.db.migrate import upgrade_sql
from veza.core.db.postgres import SCRIPT_LOCK, scan
from veza.core.db.postgres_pool import ERRORS, connecting
from veza.core.db.rows import Column, Row, reader, writer

_TOGETHER = 2_000
_ANY = "SELECT tablename FROM pg_tables WHERE schemaname = current_schema() LIMIT 1"
_SEQUENCES = """
SELECT table_name, column_name, pg_get_serial_sequence(quote_ident(table_name), column_name) AS sequence
FROM information_schema.columns
WHERE table_schema = current_schema()
AND pg_get_serial_sequence(quote_ident(table_name), column_name) IS NOT NULL
"""


class _PostgresLoader(Loader):
    def __init__(self, connection: asyncpg.Connection) -> None:
        self._connection = connection

    async def write(self, table: str, columns: Sequence[Column], parts: AsyncIterator[Sequence[Row]]) -> None:
        name, convert = quoted(table), writer(columns, "postgresql")

        async def rows() -> AsyncIterator[Row]:
            async for part in parts:
                for row in convert(part):
                    yield row

        await self._connection.execute(f"ALTER TABLE {name} DISABLE TRIGGER USER; DELETE FROM {name}")  # noqa: S608 - quoted
        await self._connection.copy_records_to_table(
            table, records=rows(), columns=[column.name for column in columns]
        )
        await self._connection.execute(f"ALTER TABLE {name} ENABLE TRIGGER USER")

    async def scan(self, table: str, columns: Sequence[Column]) -> AsyncIterator[list[Row]]:
        convert = reader(columns, "postgresql")
        ask = f"SELECT {listed(columns)} FROM {quoted(table)}"  # noqa: S608 - quoted
        async for rows in scan(self._connection, ask, _TOGETHER):
            yield convert(rows)


@asynccontextmanager
async def load_postgres(url: str, revision: str) -> AsyncIterator[Loader]:
    """Fill the database at ``url``, which may hold no table. Raises :class:`NotEmpty`."""
    with connecting():
        connection = await asyncpg.connect(url, server_settings={"timezone": "UTC"})
    try:
        async with connection.transaction():
            await connection.execute("SELECT pg_advisory_xact_lock($1)", SCRIPT_LOCK)
            if found := await connection.fetchval(_ANY):
                raise NotEmpty(f"there are tables in that database already, such as {found}.")
            await connection.execute(upgrade_sql("postgresql", None, revision))
            yield _PostgresLoader(connection)
            for row in await connection.fetch(_SEQUENCES):
                table, column = quoted(row["table_name"]), quoted(row["column_name"])
                await connection.execute(
                    f"SELECT setval($1, COALESCE((SELECT MAX({column}) FROM {table}), 0) + 1, false)",  # noqa: S608 - quoted
                    row["sequence"],
                )
        # What was just copied is unknown to the planner until somebody looks at it; in the end its own do.
        with suppress(*ERRORS):
            await connection.execute("ANALYZE")
    finally:
        await connection.close()
