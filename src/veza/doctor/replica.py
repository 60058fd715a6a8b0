"""The copy of the database that is read from: whether it answers, follows the right one, and is near it."""

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING

from veza.doctor.findings import Finding, ok, warning, where, why, wrong
from veza.settings import Settings

if TYPE_CHECKING:
    import asyncpg

_ABOUT = "read copy"
_SECONDS = 5.0
# How long a copy may take to come where the primary is, of which somebody waits for a twentieth of a second.
_NEAR = 2.0
_PAUSE = 0.05
_WHO = "SELECT system_identifier FROM pg_control_system()"
_WRITTEN = "SELECT (pg_current_wal_flush_lsn() - '0/0'::pg_lsn)::bigint"
_FOLLOWED = "SELECT CASE WHEN pg_is_in_recovery() THEN (pg_last_wal_replay_lsn() - '0/0'::pg_lsn)::bigint END"
_UNREAD = "It is never read: every look goes to the primary, some after they have waited for it."


async def look_at_copy(settings: Settings) -> Sequence[Finding]:
    """Whether reads can go to it, where one is set; without it all is read from the primary."""
    if not settings.database_read_url:
        return []
    import asyncpg  # noqa: PLC0415 - SQLite does without it

    place = where(settings.database_read_url)
    try:
        async with asyncio.timeout(_SECONDS):
            copy = await asyncpg.connect(settings.database_read_url)
    except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError) as error:
        advice = "Is it running, and are address, user and password of VEZA_DATABASE_READ_URL right?"
        return [wrong(_ABOUT, f"{place} does not answer: {why(error)}.", _UNREAD, advice)]
    try:
        async with asyncio.timeout(_SECONDS):
            primary = await asyncpg.connect(settings.database)
            try:
                return [await _compare(place, copy, primary)]
            finally:
                await primary.close()
    finally:
        copy.terminate()


async def _compare(place: str, copy: "asyncpg.Connection", primary: "asyncpg.Connection") -> Finding:
    if await copy.fetchval(_WHO) != await primary.fetchval(_WHO):
        advice = "Make it anew of that one by pg_basebackup, or name another."
        return wrong(_ABOUT, f"{place} is no copy of VEZA_DATABASE_URL's server.", "Reads are wrong.", advice)
    written: int = await primary.fetchval(_WRITTEN)
    loop = asyncio.get_running_loop()
    end = loop.time() + _NEAR
    while (followed := await copy.fetchval(_FOLLOWED)) is not None and followed < written:
        if loop.time() > end:
            said = f"{place} is {(written - followed) / 1e6:.1f} MB behind, and does not catch up."
            return warning(_ABOUT, said, _UNREAD, "Look at pg_stat_replication of the primary, and its log.")
        await asyncio.sleep(_PAUSE)
    if followed is None:
        advice = "Name one that follows VEZA_DATABASE_URL's server, or unset VEZA_DATABASE_READ_URL."
        return warning(_ABOUT, f"{place} follows nobody: it is a primary.", _UNREAD, advice)
    return ok(_ABOUT, f"{place} follows, and is near.")
