"""Rooms of tracks and playlists: their owner opens one, and it follows what becomes of the thing.

Hidden with it at once, for who may hear is asked each time; a job has those go who hear it still, removes it
with the thing, and gives it to whom a playlist was given.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Literal
from uuid import UUID

import msgspec

from veza.access.actor import SYSTEM, Member
from veza.access.policy import Action
from veza.core import clock
from veza.core.db import Tx
from veza.core.errors import NotFound
from veza.core.ids import new_id
from veza.core.jobs import enqueue
from veza.core.live import Live
from veza.rooms.accounts import service as accounts
from veza.rooms.chat import hints, members_store, rooms_store, service
from veza.rooms.chat.errors import RoomNotFound
from veza.rooms.chat.events import RoomCreated
from veza.rooms.chat.kinds import FOLLOW_SUBJECT, FollowSubject
from veza.rooms.chat.rooms_store import About, RoomRow
from veza.rooms.chat.schemas import Room
from veza.rooms.playlists import service as playlists
from veza.rooms.tracks import service as tracks
from veza.rooms.tracks.errors import TrackNotReady

Subject = Literal["track", "playlist"]
# What of a playlist may change who is in its room.
_OF_INTEREST = frozenset({"is_public", "user_id", "closed"})


class _Kind(msgspec.Struct, frozen=True):
    """Both raise what their room says of what is not there for somebody."""

    get: Callable[[Tx, Any, UUID], Awaitable[Any]]
    hold: Callable[[Tx, Any, UUID, Action], Awaitable[Any]]


_KINDS: Mapping[str, _Kind] = {
    "track": _Kind(tracks.get_visible, tracks.hold),
    "playlist": _Kind(playlists.get_visible, playlists.hold),
}


async def open_room(tx: Tx, actor: Member, kind: Subject, thing_id: UUID) -> Room:
    """The owner of a track or playlist opens its room; there is one, however often they do.

    Raises TrackNotFound or PlaylistNotFound, Forbidden, TrackNotReady, TooManyRooms.
    """
    await accounts.stay_signed_in(tx, actor)
    thing = await _KINDS[kind].hold(tx, actor, thing_id, Action.OPEN_ROOM)
    if kind == "track" and thing.status != "ready":
        raise TrackNotReady
    found = await rooms_store.find_of(tx, thing_id, actor.id)
    if found is not None:
        return await service.describe(tx, actor, found.id)
    await service.refuse_more(tx, actor.id)
    room = RoomRow(
        id=new_id(), type=kind, name=thing.title[:100], topic="", pair=None, about_id=thing_id, seq=0,
        version=0, message_count=0, member_count=1, slow_seconds=0, created_by=actor.id,
        created_at=clock.now(), last_message_at=None,
    )  # fmt: skip
    await rooms_store.add(tx, room)
    await members_store.add(tx, room.id, actor.id, "owner", 0)
    tx.emit(RoomCreated(room.id, actor.id, kind))
    return await service.describe(tx, actor, room.id)


async def get_room(tx: Tx, actor: Member, kind: Subject, thing_id: UUID) -> Room:
    """The room of a track or playlist. Raises TrackNotFound or PlaylistNotFound, RoomNotFound, Banned."""
    await _KINDS[kind].get(tx, actor, thing_id)
    found = await rooms_store.find_of(tx, thing_id, actor.id)
    if found is None:
        raise RoomNotFound
    return await service.describe(tx, actor, found.id)


async def follow_thing(tx: Tx, event: Any) -> None:
    """Something happened to a track or playlist: where it has a room, that is looked at again.

    At once only the question whether it has one.
    """
    if _OF_INTEREST.isdisjoint(getattr(event, "changed", _OF_INTEREST)):
        return
    thing_id = event.track_id if hasattr(event, "track_id") else event.playlist_id
    found = await rooms_store.find_about_of(tx, thing_id)
    if found is not None:
        await enqueue(tx, FOLLOW_SUBJECT, FollowSubject(found.id))


async def follow(tx: Tx, live: Live, room_id: UUID) -> None:
    """Make a room what its track or playlist is now; as often as one will, to the same effect."""
    about = await rooms_store.find_about(tx, room_id)
    if about is None or await rooms_store.hold(tx, room_id) is None:
        return
    try:
        thing = await _KINDS[about.type].get(tx, SYSTEM, about.about_id)
    except NotFound:
        await service.remove(tx, live, room_id)
        return
    await _give(tx, about, thing.user_id)
    await rooms_store.count_people(tx, room_id, 0)
    hints.look_after(tx, live, room_id)


async def _give(tx: Tx, about: About, user_id: UUID) -> None:
    """Whoever owns the playlist now owns its room; who did before may keep order in it."""
    member = await members_store.find(tx, about.id, user_id)
    if member is not None and member.role == "owner":
        return
    for one in await members_store.list_owners(tx, about.id):
        await members_store.change(tx, about.id, one.user_id, "moderator", None)
    await members_store.remove_ban(tx, about.id, user_id)
    if member is None:
        await members_store.add(tx, about.id, user_id, "owner", 0)
        await rooms_store.count_people(tx, about.id, 1)
    else:
        await members_store.change(tx, about.id, user_id, "owner", None)
