"""What the feed is made of: each kind of thing that can be new.

A further room's things join by a :class:`Source` in ``SOURCES``, and a field of their own in ``FeedItem``.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence

from veza.access.actor import Member
from veza.core.db import Tx
from veza.rooms.feed import store
from veza.rooms.feed.cursor import Cursor
from veza.rooms.feed.schemas import FeedItem
from veza.rooms.playlists import service as playlists


class Source(ABC):
    """One kind of thing, by whom somebody follows."""

    @abstractmethod
    async def newest(self, tx: Tx, actor: Member, before: Cursor, limit: int) -> Sequence[FeedItem]:
        """So many that everybody sees, from a place on, the newest first: by moment, and of equals by id."""


class Tracks(Source):
    """Tracks that are ready and public."""

    async def newest(self, tx: Tx, actor: Member, before: Cursor, limit: int) -> Sequence[FeedItem]:
        """So many tracks."""
        found = await store.newest_tracks(tx, actor.id, before, limit)
        return [FeedItem("track", one.id, one.user_id, one.created_at, track=one) for one in found]


class Playlists(Source):
    """Playlists that are public."""

    async def newest(self, tx: Tx, actor: Member, before: Cursor, limit: int) -> Sequence[FeedItem]:
        """So many playlists, with the numbers of what ``actor`` sees."""
        ids = await store.newest_playlists(tx, actor.id, before, limit)
        found = await playlists.list_by_ids(tx, actor, ids)
        return [FeedItem("playlist", one.id, one.user_id, one.created_at, playlist=one) for one in found]


SOURCES: Sequence[Source] = (Tracks(), Playlists())
