"""What search does when something happens, in the very transaction in which it happens."""

from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID

from veza.core.db import Tx
from veza.rooms.search.findings import PLAYLISTS, TRACKS, USERS, Finding, index_of

Reaction = Callable[[Tx, Any], Awaitable[None]]


async def follow(tx: Tx, finding: Finding, thing_id: UUID) -> None:
    """Look at a thing again: what everybody sees of it is found from now on, and nothing else of it."""
    index, document = index_of(finding, tx), await finding.find(tx, thing_id)
    if document is None:
        await index.remove(tx, thing_id)
    else:
        await index.put(tx, document)


async def follow_track(tx: Tx, event: Any) -> None:
    """Something happened to a track (``track_id``)."""
    await follow(tx, TRACKS, event.track_id)


async def follow_user(tx: Tx, event: Any) -> None:
    """Something happened to a user (``user_id``)."""
    await follow(tx, USERS, event.user_id)


async def follow_playlist(tx: Tx, event: Any) -> None:
    """Something happened to a playlist (``playlist_id``); what is in it is nothing to search."""
    if not {"title", "is_public", "closed", "user_id"}.isdisjoint(getattr(event, "changed", ("title",))):
        await follow(tx, PLAYLISTS, event.playlist_id)
