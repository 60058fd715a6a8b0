"""The feed: what is new by whom somebody follows, gathered when it is asked for.

So a change of what is public, of follows or of blocks holds at once, and nobody with many followers makes
others wait.
"""

from veza.access.actor import Member
from veza.core.db import Tx
from veza.rooms.feed.cursor import Cursor, read_cursor
from veza.rooms.feed.schemas import Feed
from veza.rooms.feed.sources import SOURCES


async def read(tx: Tx, actor: Member, before: str | None, limit: int) -> Feed:
    """A part of the feed. Raises :class:`veza.core.errors.InvalidRequest` for a place that is none."""
    place = read_cursor(before)
    found = [item for source in SOURCES for item in await source.newest(tx, actor, place, limit + 1)]
    found.sort(key=lambda item: (item.created_at, item.id), reverse=True)
    more = len(found) > limit
    shown = found[:limit]
    return Feed(shown, str(Cursor(shown[-1].created_at, shown[-1].id)) if more else None)
