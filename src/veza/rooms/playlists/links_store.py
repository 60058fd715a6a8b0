"""All SQL about the links that show a playlist to whoever has them."""

from datetime import datetime
from uuid import UUID

import msgspec
import sqlalchemy as sa

from veza.core import clock
from veza.core.db import Id, Statement, Tx
from veza.core.ids import new_id
from veza.rooms.playlists.schemas import ShareLink
from veza.rooms.playlists.tables import playlist_links

L = playlist_links.c
_in_one = L.playlist_id == sa.bindparam("playlist", type_=Id)
_alive = L.expires_at > sa.bindparam("now", type_=L.expires_at.type)
_ADD: Statement[None] = Statement(sa.insert(playlist_links))
_LIST = Statement(
    sa.select(*(L[name] for name in ShareLink.__struct_fields__))
    .where(_in_one, _alive)
    .order_by(L.created_at, L.id),
    ShareLink,
)
_FIND = Statement(
    sa.select(L.playlist_id).where(L.digest == sa.bindparam("digest", type_=sa.LargeBinary), _alive), UUID
)
_REMOVE: Statement[None] = Statement(sa.delete(playlist_links).where(_in_one, L.id == sa.bindparam("id")))
_REMOVE_ALL: Statement[None] = Statement(sa.delete(playlist_links).where(_in_one))
_PURGE: Statement[None] = Statement(
    sa.delete(playlist_links).where(L.expires_at <= sa.bindparam("now", type_=L.expires_at.type))
)


async def add(tx: Tx, playlist_id: UUID, digest: bytes, created_by: UUID, expires_at: datetime) -> ShareLink:
    """Keep a link, by the digest of its token."""
    link = ShareLink(new_id(), created_by, clock.now(), expires_at)
    await tx.run(_ADD, playlist_id=playlist_id, digest=digest, **msgspec.structs.asdict(link))
    return link


async def list_links(tx: Tx, playlist_id: UUID) -> list[ShareLink]:
    """The links to a playlist that are good, the first one first."""
    return await tx.all(_LIST, playlist=playlist_id, now=clock.now())


async def find(tx: Tx, digest: bytes) -> UUID | None:
    """The playlist that a good link shows."""
    return await tx.first(_FIND, digest=digest, now=clock.now())


async def remove(tx: Tx, playlist_id: UUID, link_id: UUID) -> bool:
    """Remove a link; whether there was one."""
    return await tx.run(_REMOVE, playlist=playlist_id, id=link_id) == 1


async def remove_all(tx: Tx, playlist_id: UUID) -> int:
    """Remove all links to a playlist; how many there were."""
    return await tx.run(_REMOVE_ALL, playlist=playlist_id)


async def purge(tx: Tx) -> None:
    """Forget the links that are good no longer."""
    await tx.run(_PURGE, now=clock.now())
