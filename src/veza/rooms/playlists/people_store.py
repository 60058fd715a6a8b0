"""All SQL about those who work on playlists, and those who follow them."""

from datetime import datetime
from uuid import UUID

import msgspec
import sqlalchemy as sa

from veza.core import clock
from veza.core.db import Id, Statement, Tx
from veza.rooms.accounts.tables import users
from veza.rooms.following.tables import blocks
from veza.rooms.playlists.schemas import Collaborator
from veza.rooms.playlists.tables import playlist_collaborators, playlist_follows, playlists

C = playlist_collaborators.c
F = playlist_follows.c


class Work(msgspec.Struct, frozen=True):
    """A playlist of somebody else's that a user works on, for the export of their data."""

    playlist_id: UUID
    permission: str
    added_at: datetime


class Followed(msgspec.Struct, frozen=True):
    """A playlist that a user follows, and since when."""

    playlist_id: UUID
    followed_at: datetime


_user = sa.bindparam("user", type_=Id)
_one = sa.and_(C.playlist_id == sa.bindparam("playlist", type_=Id), C.user_id == _user)
_follow = sa.and_(F.playlist_id == sa.bindparam("playlist", type_=Id), F.user_id == _user)
_ADD: Statement[None] = Statement(
    sa.text(
        "INSERT INTO playlist_collaborators (playlist_id, user_id, permission, added_at) "
        "VALUES (:playlist, :user, :permission, :at) ON CONFLICT (playlist_id, user_id) DO NOTHING"
    ).bindparams(
        sa.bindparam("playlist", type_=Id),
        sa.bindparam("user", type_=Id),
        sa.bindparam("permission", type_=sa.Text),
        sa.bindparam("at", type_=C.added_at.type),
    )
)
_LIST = Statement(
    sa.select(C.user_id.label("id"), users.c.username, C.permission, C.added_at)
    .select_from(playlist_collaborators.join(users, users.c.id == C.user_id))
    .where(C.playlist_id == sa.bindparam("playlist", type_=Id), users.c.suspended_at.is_(None))
    .order_by(C.added_at, C.user_id),
    Collaborator,
)
_COUNT = Statement(sa.select(sa.func.count()).where(C.playlist_id == sa.bindparam("playlist", type_=Id)), int)
_FIND = Statement(sa.select(C.permission).where(_one), str)
_SET: Statement[None] = Statement(
    sa.update(playlist_collaborators)
    .where(_one)
    .values(permission=sa.bindparam("new_permission", type_=sa.Text))
)
_REMOVE: Statement[None] = Statement(sa.delete(playlist_collaborators).where(_one))
_WORK = Statement(
    sa.select(C.playlist_id, C.permission, C.added_at).where(C.user_id == _user).order_by(C.playlist_id), Work
)
_REMOVE_WORK: Statement[None] = Statement(sa.delete(playlist_collaborators).where(C.user_id == _user))

_FOLLOW: Statement[None] = Statement(
    sa.text(
        "INSERT INTO playlist_follows (playlist_id, user_id, created_at) VALUES (:playlist, :user, :at) "
        "ON CONFLICT (playlist_id, user_id) DO NOTHING"
    ).bindparams(
        sa.bindparam("playlist", type_=Id),
        sa.bindparam("user", type_=Id),
        sa.bindparam("at", type_=F.created_at.type),
    )
)
_UNFOLLOW: Statement[None] = Statement(sa.delete(playlist_follows).where(_follow))
_FOLLOWS = Statement(sa.select(F.user_id).where(_follow), UUID)
_FOLLOWED = Statement(
    sa.select(F.playlist_id, F.created_at.label("followed_at"))
    .where(F.user_id == _user)
    .order_by(F.created_at, F.playlist_id),
    Followed,
)
_UNFOLLOW_ALL = Statement(
    sa.delete(playlist_follows).where(F.user_id == _user).returning(F.playlist_id), UUID
)
_followers = F.playlist_id == sa.bindparam("playlist", type_=Id)
_some = sa.select(F.user_id).where(_followers).limit(sa.bindparam("limit", type_=sa.BigInteger))
_FORGET: Statement[None] = Statement(sa.delete(playlist_follows).where(_followers, F.user_id.in_(_some)))

_owner = sa.bindparam("owner", type_=Id)


def _of(owner: str) -> "sa.Select[UUID]":
    return sa.select(playlists.c.id).where(playlists.c.user_id == sa.bindparam(owner, type_=Id))


_BINDING = Statement(
    sa.union(
        *(
            sa.select(row.playlist_id).where(
                row.user_id == sa.bindparam(user, type_=Id), row.playlist_id.in_(_of(owner))
            )
            for row in (C, F)
            for user, owner in (("one", "other"), ("other", "one"))
        )
    ),
    UUID,
)
_PART_WORK: Statement[None] = Statement(
    sa.delete(playlist_collaborators).where(C.user_id == _user, C.playlist_id.in_(_of("owner")))
)
_PART_FOLLOWS = Statement(
    sa.delete(playlist_follows)
    .where(F.user_id == _user, F.playlist_id.in_(_of("owner")))
    .returning(F.playlist_id),
    UUID,
)
_parted = sa.union_all(
    sa.select(blocks.c.blocked_id).where(blocks.c.blocker_id == _owner),
    sa.select(blocks.c.blocker_id).where(blocks.c.blocked_id == _owner),
)
_REMOVE_BLOCKED: Statement[None] = Statement(
    sa.delete(playlist_collaborators).where(
        C.playlist_id == sa.bindparam("playlist", type_=Id), C.user_id.in_(_parted)
    )
)
_UNFOLLOW_BLOCKED: Statement[None] = Statement(
    sa.delete(playlist_follows).where(_followers, F.user_id.in_(_parted))
)


async def add(tx: Tx, playlist_id: UUID, user_id: UUID, permission: str) -> bool:
    """Let somebody work on a playlist; whether they did not before."""
    at = clock.now()
    return await tx.run(_ADD, playlist=playlist_id, user=user_id, permission=permission, at=at) == 1


async def list_collaborators(tx: Tx, playlist_id: UUID) -> list[Collaborator]:
    """All who work on a playlist but for the suspended, the first one first."""
    return await tx.all(_LIST, playlist=playlist_id)


async def count(tx: Tx, playlist_id: UUID) -> int:
    """How many work on a playlist."""
    return await tx.first(_COUNT, playlist=playlist_id) or 0


async def find_permission(tx: Tx, playlist_id: UUID, user_id: UUID) -> str | None:
    """How much a collaborator may; None for somebody who is none."""
    return await tx.first(_FIND, playlist=playlist_id, user=user_id)


async def set_permission(tx: Tx, playlist_id: UUID, user_id: UUID, permission: str) -> bool:
    """Let a collaborator do so much; whether they are one."""
    return await tx.run(_SET, playlist=playlist_id, user=user_id, new_permission=permission) == 1


async def remove(tx: Tx, playlist_id: UUID, user_id: UUID) -> bool:
    """Let somebody work on a playlist no longer; whether they did."""
    return await tx.run(_REMOVE, playlist=playlist_id, user=user_id) == 1


async def list_work(tx: Tx, user_id: UUID) -> list[Work]:
    """The playlists that somebody works on."""
    return await tx.all(_WORK, user=user_id)


async def remove_work(tx: Tx, user_id: UUID) -> None:
    """Let somebody work on nothing any longer."""
    await tx.run(_REMOVE_WORK, user=user_id)


async def follow(tx: Tx, playlist_id: UUID, user_id: UUID) -> bool:
    """Write down that somebody follows a playlist; whether that is new."""
    return await tx.run(_FOLLOW, playlist=playlist_id, user=user_id, at=clock.now()) == 1


async def follows(tx: Tx, playlist_id: UUID, user_id: UUID) -> bool:
    """Whether somebody follows a playlist."""
    return await tx.first(_FOLLOWS, playlist=playlist_id, user=user_id) is not None


async def unfollow(tx: Tx, playlist_id: UUID, user_id: UUID) -> bool:
    """Strike that off; whether there was anything."""
    return await tx.run(_UNFOLLOW, playlist=playlist_id, user=user_id) == 1


async def list_followed(tx: Tx, user_id: UUID) -> list[Followed]:
    """The playlists that somebody follows, the first one first."""
    return await tx.all(_FOLLOWED, user=user_id)


async def unfollow_all(tx: Tx, user_id: UUID) -> list[UUID]:
    """Let somebody follow nothing any longer; what they followed."""
    return await tx.all(_UNFOLLOW_ALL, user=user_id)


async def forget_followers(tx: Tx, playlist_id: UUID, most: int) -> int:
    """Remove so many followers of a playlist that is gone; how many there were."""
    return await tx.run(_FORGET, playlist=playlist_id, limit=most)


async def list_binding(tx: Tx, one: UUID, other: UUID) -> list[UUID]:
    """The playlists of either of these two that the other works on or follows."""
    return await tx.all(_BINDING, one=one, other=other)


async def part(tx: Tx, user_id: UUID, owner_id: UUID) -> list[UUID]:
    """Let somebody work on and follow no playlist of this owner any longer; those that they followed."""
    await tx.run(_PART_WORK, user=user_id, owner=owner_id)
    return await tx.all(_PART_FOLLOWS, user=user_id, owner=owner_id)


async def remove_blocked_work(tx: Tx, playlist_id: UUID, owner_id: UUID) -> None:
    """Let nobody work on a playlist who has blocked this user, or whom they have blocked."""
    await tx.run(_REMOVE_BLOCKED, playlist=playlist_id, owner=owner_id)


async def unfollow_blocked(tx: Tx, playlist_id: UUID, owner_id: UUID) -> int:
    """Let nobody follow it who has blocked this user, or whom they have blocked; how many did."""
    return await tx.run(_UNFOLLOW_BLOCKED, playlist=playlist_id, owner=owner_id)
