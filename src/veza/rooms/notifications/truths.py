"""Whether what is to be told is so, and may be told to whom it is for: as the database has it now."""

from collections.abc import Awaitable, Callable, Mapping
from uuid import UUID

from veza.core.db import Tx
from veza.rooms.chat import service as chat
from veza.rooms.comments import service as comments
from veza.rooms.following import blocks
from veza.rooms.following import service as following
from veza.rooms.likes import service as likes
from veza.rooms.notifications.wording import Type
from veza.rooms.playlists import following as playlist_follows
from veza.rooms.playlists import service as playlists
from veza.rooms.playlists.errors import PlaylistNotFound
from veza.rooms.tracks import service as tracks


async def is_true(
    tx: Tx,
    kind: Type,
    user_id: UUID,
    actor_id: UUID | None,
    subject_id: UUID | None,
    act_id: UUID | None,
) -> bool:
    """Whether it is so; of what nobody can undo it always is."""
    ask = _TRUTHS.get(kind)
    if ask is None or actor_id is None or subject_id is None:
        return True
    return await ask(tx, user_id, actor_id, subject_id, act_id)


async def _likes(tx: Tx, _user: UUID, actor: UUID, track: UUID, _act: UUID | None) -> bool:
    return await likes.likes_it(tx, track, actor)


async def _commented(tx: Tx, _user: UUID, _actor: UUID, _track: UUID, comment: UUID | None) -> bool:
    return comment is not None and await comments.is_there(tx, comment)


async def _replied(tx: Tx, user: UUID, actor: UUID, track: UUID, comment: UUID | None) -> bool:
    reader = await blocks.as_they_ask(tx, user)
    if reader is None or not await tracks.list_titles(tx, reader, [track]):
        return False
    return await _commented(tx, user, actor, track, comment)


async def _follows(tx: Tx, user: UUID, actor: UUID, _subject: UUID, _act: UUID | None) -> bool:
    return await following.follows(tx, actor, user)


async def _follows_playlist(tx: Tx, _user: UUID, actor: UUID, playlist: UUID, _act: UUID | None) -> bool:
    return await playlist_follows.follows(tx, playlist, actor)


async def _works_on(tx: Tx, user: UUID, _actor: UUID, playlist: UUID, _act: UUID | None) -> bool:
    reader = await blocks.as_they_ask(tx, user)
    if reader is None:
        return False
    try:
        return (await playlists.get_visible(tx, reader, playlist)).permission is not None
    except PlaylistNotFound:
        return False


async def _unread(tx: Tx, user: UUID, _actor: UUID, room: UUID, message: UUID | None) -> bool:
    reader = await blocks.as_they_ask(tx, user)
    return reader is not None and message is not None and await chat.is_unread(tx, reader, room, message)


_Truth = Callable[[Tx, UUID, UUID, UUID, UUID | None], Awaitable[bool]]
_TRUTHS: Mapping[Type, _Truth] = {
    "track_liked": _likes,
    "track_commented": _commented,
    "comment_replied": _replied,
    "user_followed": _follows,
    "playlist_followed": _follows_playlist,
    "playlist_collaborator_added": _works_on,
    "message_received": _unread,
}
