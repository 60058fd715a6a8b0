"""The PostgreSQL database that tests share one after the other: emptied before each, its connections kept."""

import asyncpg

from veza.core.db import Database
from veza.core.db.postgres import PostgresDatabase


class Home:
    """The migrated database of a process of tests, and the connections that one test leaves for the next.

    They hold nothing of a test, for nothing alters a session; but what the server knows of tables and
    statements it learns anew on each new one, and that cost more than most tests do.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self._own: asyncpg.Connection | None = None
        self._ask = ""
        self._pool: asyncpg.Pool | None = None

    async def empty(self) -> None:
        """Empty every table that has rows.

        To ask first, and to delete the few rows there are, is much quicker than to truncate: that makes new
        files for a table, its indexes, and all that refers to it. No trigger looks after references here.
        """
        if self._own is None or self._own.is_closed():
            self._own = await asyncpg.connect(
                self.url, server_settings={"session_replication_role": "replica"}
            )
            tables = await self._own.fetch(
                "SELECT quote_ident(tablename) AS name FROM pg_tables"
                " WHERE schemaname = 'public' AND tablename <> 'alembic_version'"
            )
            self._ask = " UNION ALL ".join(
                f"SELECT '{row['name']}' AS name WHERE EXISTS (SELECT 1 FROM {row['name']})" for row in tables
            )
        full = await self._own.fetch(self._ask)
        if full:
            await self._own.execute("; ".join(f"DELETE FROM {row['name']}" for row in full))

    def lend(self, database: Database) -> None:
        """Give a database the connections of the one before it."""
        assert isinstance(database, PostgresDatabase)
        database._pool, self._pool = self._pool, None

    def take_back(self, database: Database) -> None:
        """Keep a database's connections, if nothing is under way on any of them."""
        assert isinstance(database, PostgresDatabase)
        pool = database._pool
        if pool is not None and not pool.is_closing() and pool.get_idle_size() == pool.get_size():
            self._pool, database._pool = pool, None

    async def close(self) -> None:
        """End all connections."""
        for one in (self._own, self._pool):
            if one is not None:
                await one.close()
