"""Who works on a playlist with its owner, and how much they may: read, write or admin.

Whoever may admin a playlist chooses its collaborators; nobody but the owner gives it away, and nobody takes
it from them. Everybody may leave.
"""

from uuid import UUID

from veza.access.actor import Actor, Member
from veza.access.policy import Action, require
from veza.core.db import Tx
from veza.core.errors import Forbidden
from veza.rooms.accounts import profiles
from veza.rooms.accounts import service as accounts
from veza.rooms.accounts.errors import UserNotFound
from veza.rooms.following import blocks
from veza.rooms.playlists import parting, people_store, service, store
from veza.rooms.playlists.errors import (
    AlreadyCollaborator,
    CollaboratorNotFound,
    OwnPlaylist,
    TooManyCollaborators,
)
from veza.rooms.playlists.events import (
    PlaylistCollaboratorAdded,
    PlaylistCollaboratorChanged,
    PlaylistCollaboratorRemoved,
    PlaylistUpdated,
)
from veza.rooms.playlists.schemas import Collaborator, CollaboratorDraft, Permission, Playlist

MAX_COLLABORATORS = 100


async def list_collaborators(tx: Tx, actor: Actor, playlist_id: UUID) -> list[Collaborator]:
    """Who works on a playlist that ``actor`` sees, but for the hidden. Raises :class:`PlaylistNotFound`."""
    await service.get_visible(tx, actor, playlist_id)
    found = await people_store.list_collaborators(tx, playlist_id)
    return [one for one in found if one.id not in actor.hidden]


async def add(tx: Tx, actor: Member, playlist_id: UUID, draft: CollaboratorDraft) -> None:
    """Let somebody work on a playlist.

    Raises PlaylistNotFound, Forbidden, also where a block stands between them and its owner,
    :class:`veza.rooms.accounts.errors.UserNotFound`, OwnPlaylist for its owner, AlreadyCollaborator,
    TooManyCollaborators, PlaylistChanged.
    """
    user_id = draft.user_id
    playlist, there = await parting.hold(tx, actor, playlist_id, Action.MANAGE_COLLABORATORS, [user_id])
    if user_id not in there:
        raise UserNotFound
    await profiles.get_visible(tx, actor, user_id)
    if user_id == playlist.user_id:
        raise OwnPlaylist
    await blocks.refuse_blocked(tx, actor, user_id)
    if await blocks.stands_between(tx, playlist.user_id, user_id):
        raise Forbidden("This user cannot work on this playlist.")
    if await people_store.find_permission(tx, playlist_id, draft.user_id) is not None:
        raise AlreadyCollaborator
    if await people_store.count(tx, playlist_id) >= MAX_COLLABORATORS:
        raise TooManyCollaborators
    await people_store.add(tx, playlist_id, draft.user_id, draft.permission)
    tx.emit(PlaylistCollaboratorAdded(playlist_id, playlist.user_id, draft.user_id, draft.permission))


async def change(tx: Tx, actor: Member, playlist_id: UUID, user_id: UUID, permission: Permission) -> None:
    """Let a collaborator do more, or less; the owner is none.

    Raises PlaylistNotFound, Forbidden, CollaboratorNotFound.
    """
    await accounts.stay_signed_in(tx, actor)
    playlist = await service.hold(tx, actor, playlist_id, Action.MANAGE_COLLABORATORS)
    _leave_owner(playlist, user_id)
    if user_id in actor.hidden or not await people_store.set_permission(tx, playlist_id, user_id, permission):
        raise CollaboratorNotFound
    tx.emit(PlaylistCollaboratorChanged(playlist_id, playlist.user_id, user_id, permission))


async def remove(tx: Tx, actor: Member, playlist_id: UUID, user_id: UUID) -> None:
    """Let somebody work on a playlist no longer; everybody may leave by themselves.

    Raises PlaylistNotFound, Forbidden, CollaboratorNotFound.
    """
    await accounts.stay_signed_in(tx, actor)
    playlist = await service.hold(tx, actor, playlist_id, Action.SEE_PLAYLIST)
    leaving = user_id == actor.id and playlist.permission in {"read", "write", "admin"}
    if not leaving:
        require(actor, Action.MANAGE_COLLABORATORS, playlist)
    _leave_owner(playlist, user_id)
    if user_id in actor.hidden or not await people_store.remove(tx, playlist_id, user_id):
        raise CollaboratorNotFound
    tx.emit(PlaylistCollaboratorRemoved(playlist_id, playlist.user_id, user_id))


async def transfer(tx: Tx, actor: Member, playlist_id: UUID, user_id: UUID) -> Playlist:
    """The owner gives a playlist to one of its collaborators, and becomes one who may admin it.

    Raises PlaylistNotFound, Forbidden, CollaboratorNotFound, OwnPlaylist, PlaylistChanged.
    """
    playlist, there = await parting.hold(tx, actor, playlist_id, Action.TRANSFER_PLAYLIST, [user_id])
    if user_id == playlist.user_id:
        raise OwnPlaylist
    if user_id not in there or not await people_store.remove(tx, playlist_id, user_id):
        raise CollaboratorNotFound
    if (await profiles.get_user(tx, user_id)).suspended_at is not None:
        raise Forbidden("This user is suspended.")
    if await people_store.unfollow(tx, playlist_id, user_id):  # nobody follows what is their own
        await store.add_followers(tx, [playlist_id], -1)
    await store.change(tx, playlist, {"user_id": user_id})
    await people_store.add(tx, playlist_id, actor.id, "admin")
    await parting.part_from(tx, playlist_id, user_id)
    tx.emit(PlaylistUpdated(playlist_id, user_id, ("user_id",)))
    return await service.get_visible(tx, actor, playlist_id)


def _leave_owner(playlist: Playlist, user_id: UUID) -> None:
    if user_id == playlist.user_id:
        raise Forbidden("The owner of a playlist stays its owner.")
