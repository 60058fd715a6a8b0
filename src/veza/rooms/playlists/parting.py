"""What a block between two users means for their playlists: neither follows or works on one of the other's.

What binds somebody to a playlist is written while both they and its owner are held, as they are for a block:
so whichever comes first, in the end there is none of it between two who have blocked each other.
"""

from collections.abc import Iterable
from uuid import UUID

from veza.access.actor import Member
from veza.access.policy import Action
from veza.core.db import Tx
from veza.rooms.following import blocks
from veza.rooms.following.events import UserBlocked
from veza.rooms.playlists import people_store, service, store
from veza.rooms.playlists.errors import PlaylistChanged
from veza.rooms.playlists.schemas import Playlist


async def hold(
    tx: Tx, actor: Member, playlist_id: UUID, action: Action, others: Iterable[UUID] = ()
) -> tuple[Playlist, set[UUID]]:
    """A playlist as by :func:`service.hold`; and who of ``actor``, its owner and the others there is.

    No block comes between any of these until ``tx`` is over. Raises what :func:`service.hold` raises, and
    :class:`PlaylistChanged` where it was given to another in this moment.
    """
    owner = await store.owner_of(tx, playlist_id)
    there = await blocks.keep_as_they_are(tx, actor, [*others, *([owner] if owner else [])])
    playlist = await service.hold(tx, actor, playlist_id, action)
    if playlist.user_id != owner:
        raise PlaylistChanged
    return playlist, there


async def part(tx: Tx, event: UserBlocked) -> None:
    """Two users, who are held, follow and work on none of each other's playlists any more."""
    one, other = event.user_id, event.blocked_id
    # All of them before anything is changed, in the one order.
    await store.lock_many(tx, await people_store.list_binding(tx, one, other))
    for user_id, owner_id in ((one, other), (other, one)):
        await store.add_followers(tx, await people_store.part(tx, user_id, owner_id), -1)


async def part_from(tx: Tx, playlist_id: UUID, owner_id: UUID) -> None:
    """Nobody follows or works on a playlist, which is held, who has blocked its new owner, or was blocked."""
    await people_store.remove_blocked_work(tx, playlist_id, owner_id)
    gone = await people_store.unfollow_blocked(tx, playlist_id, owner_id)
    await store.add_followers(tx, [playlist_id], -gone)
