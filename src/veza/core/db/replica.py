"""A copy of the database that follows it, and is asked only when it has all that was committed before.

Whoever wants to read first has the primary say how far its log was synced, and then a connection of the copy
how far it has come: so what is read is true to the last write that anybody was told of, at whatever node it
was. The primary is asked once for all who came meanwhile. A copy that does not get there soon is left alone,
for a longer while each time, and the primary itself is read. Source: the read index of Raft (D. Ongaro,
"Consensus", 2014, 6.4).
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

import asyncpg
import structlog

from veza.core.db.postgres_pool import ERRORS, Connection, open_pool, translate

log = structlog.get_logger()

# Seconds: how long a copy may take to catch up, and how long one is left alone that failed.
PATIENCE = 0.05
REST = 1.0
_PAUSE = 0.002
# As a server is set that says yes before its log is synced, what is written counts.
_WRITTEN = """
SELECT (CASE current_setting('synchronous_commit') WHEN 'off' THEN pg_current_wal_insert_lsn()
        ELSE pg_current_wal_flush_lsn() END - '0/0'::pg_lsn)::bigint
"""
_FOLLOWED = "SELECT (pg_last_wal_replay_lsn() - '0/0'::pg_lsn)::bigint"


class _Follower(Connection):
    """A connection to a copy; it knows how far that has come, which never goes back."""

    followed = -1

    async def has(self, place: int) -> bool:
        """Whether the copy has come to this place of the log, or does so soon."""
        end = asyncio.get_running_loop().time() + PATIENCE
        while self.followed < place:
            followed: int | None = await self.fetchval(_FOLLOWED, timeout=REST)
            if followed is None:  # it follows nobody: a primary, perhaps of late
                return False
            self.followed = followed
            if followed < place:
                if asyncio.get_running_loop().time() > end:
                    return False
                await asyncio.sleep(_PAUSE)
        return True


class _Together:
    """A question that is asked once for all who come before it is asked."""

    def __init__(self, ask: Callable[[], Awaitable[int]]) -> None:
        self._ask = ask
        self._turn = asyncio.Lock()
        self._next: asyncio.Task[int] | None = None

    async def answer(self) -> int:
        """What was said to a question that was put after this call."""
        if self._next is None:
            self._next = asyncio.create_task(self._put())
        return await asyncio.shield(self._next)

    async def _put(self) -> int:
        async with self._turn:
            self._next = None  # whoever comes from now on is too late for this one
            return await self._ask()


def drop(connection: asyncpg.Connection) -> None:
    """Have nobody wait for this connection to a copy any more, not even for what it was asked to end."""
    with suppress(asyncpg.InterfaceError):  # lost, and terminated already
        connection.terminate()


class Replica:
    """The copy at a URL; ``acquire`` and ``release`` are those of the primary."""

    def __init__(
        self,
        url: str,
        size: int,
        acquire: Callable[[], Awaitable[asyncpg.Connection]],
        release: Callable[[asyncpg.Connection], Awaitable[None]],
    ) -> None:
        self._url = url
        self._size = size
        self._acquire = acquire
        self._release = release
        self._written = _Together(self._ask_primary)
        self._opening = asyncio.Lock()
        self._pool: asyncpg.Pool | None = None
        self._rests_until = float("-inf")
        self._late = 0

    async def acquire(self) -> asyncpg.Connection | None:
        """A connection to the copy, if that is as new as the primary was when this was called.

        Raises what the primary raises when it is out of reach: nobody knows then what is new.
        """
        if asyncio.get_running_loop().time() < self._rests_until:
            return None
        place = await self._written.answer()
        try:
            async with asyncio.timeout(REST):
                pool = await self._opened()
            connection = await pool.acquire(timeout=REST)
        except ERRORS as error:
            self.rest(error)
            return None
        try:
            if await connection.has(place):
                kept, connection, self._late = connection, None, 0
                return kept
            self._leave()
        except ERRORS as error:
            self.rest(error)
            drop(connection)
        finally:
            if connection is not None:
                await self.release(connection)
        return None

    async def release(self, connection: asyncpg.Connection) -> None:
        """Give a connection back."""
        if self._pool is not None:
            await self._pool.release(connection)

    def _leave(self) -> None:
        """It is behind: nobody else waits for it for a while, twice as long each time, up to a second."""
        now = asyncio.get_running_loop().time()
        if now >= self._rests_until:  # else others were told so, just now
            self._late = min(self._late + 1, 10)  # more of them make it no longer, and a thousand no number
            self._rests_until = now + min(PATIENCE * 2**self._late, REST)

    def rest(self, error: Exception) -> None:
        """It failed: leave it alone for a second."""
        if asyncio.get_running_loop().time() >= self._rests_until:
            log.warning("postgres.replica_away", error=type(error).__name__)
        self._rests_until = asyncio.get_running_loop().time() + REST

    async def close(self) -> None:
        """Let go of its connections."""
        if self._pool is not None:
            self._pool.terminate()

    async def _opened(self) -> asyncpg.Pool:
        if self._pool is None:
            async with self._opening:
                if self._pool is None:
                    self._pool = await open_pool(self._url, self._size, _Follower)
        return self._pool

    async def _ask_primary(self) -> int:
        connection = await self._acquire()
        try:
            written: int = await connection.fetchval(_WRITTEN)
        except ERRORS as error:
            raise translate(error) from error
        finally:
            await self._release(connection)
        return written
