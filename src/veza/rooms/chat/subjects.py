"""What a room of a track or playlist is about: it is there for whoever sees that, and for nobody else.

Nothing is remembered of it: who may hear the room is whoever may hear the track, now.
"""

from collections import defaultdict
from collections.abc import Collection
from uuid import UUID

from veza.access.actor import GUEST, Actor
from veza.core.db import Tx
from veza.core.errors import NotFound
from veza.rooms.chat.rooms_store import About, RoomRow
from veza.rooms.playlists import service as playlists
from veza.rooms.tracks import service as tracks

_SEEN = {"track": tracks.get_visible, "playlist": playlists.get_visible}
_TITLED = {"track": tracks.list_titles, "playlist": playlists.list_titles}


async def is_seen(tx: Tx, actor: Actor, room: RoomRow | About) -> bool:
    """Whether ``actor`` sees what a room is about; so they do where it is about nothing."""
    if room.about_id is None:
        return True
    try:
        await _SEEN[room.type](tx, actor, room.about_id)
    except NotFound:
        return False
    return True


async def is_open(tx: Tx, room: About) -> bool:
    """Whether everybody sees what a room is about."""
    return await is_seen(tx, GUEST, room)


async def list_unseen(tx: Tx, actor: Actor, rooms: Collection[About]) -> set[UUID]:
    """Those of these rooms whose track or playlist ``actor`` does not see."""
    by_type: dict[str, list[About]] = defaultdict(list)
    for room in rooms:
        by_type[room.type].append(room)
    unseen = set()
    for kind, some in by_type.items():
        seen = await _TITLED[kind](tx, actor, [room.about_id for room in some])
        unseen |= {room.id for room in some if room.about_id not in seen}
    return unseen
