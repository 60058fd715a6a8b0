"""SQL about which files the tracks have, for all of them."""

from typing import Any
from uuid import UUID

import msgspec
import sqlalchemy as sa

from veza.core.db import Id, Statement, Tx
from veza.rooms.tracks.sales_store import Kept
from veza.rooms.tracks.tables import covers, kept_files, renditions, tracks

T, R, K = tracks.c, renditions.c, kept_files.c


class Filed(msgspec.Struct, frozen=True):
    """What tells which files a track has; ``folder`` is where an uploaded cover lies."""

    id: UUID
    status: str
    file_size: int
    sha256: str
    has_cover: bool
    folder: str | None
    encoded: bool


class Encoded(msgspec.Struct, frozen=True):
    """A rendition's file."""

    track_id: UUID
    name: str
    key: str
    size: int


_after: sa.BindParameter[Any] = sa.bindparam("after")
_count: sa.BindParameter[Any] = sa.bindparam("count")
_TRACKS = Statement(
    sa.select(
        *(T.id, T.status, T.file_size, T.sha256, T.has_cover, covers.c.folder),
        sa.exists().where(R.track_id == T.id).label("encoded"),
    )
    .select_from(tracks.outerjoin(covers, covers.c.track_id == T.id))
    .where(T.id > _after)
    .order_by(T.id)
    .limit(_count),
    Filed,
    heavy=True,
)
_RENDITIONS = Statement(
    sa.select(R.track_id, R.name, R.key, R.size)
    .where(
        sa.tuple_(R.track_id, R.name)
        > sa.tuple_(sa.bindparam("after", type_=Id), sa.bindparam("name", type_=sa.Text))
    )
    .order_by(R.track_id, R.name)
    .limit(_count),
    Encoded,
    heavy=True,
)
_KEPT = Statement(
    sa.select(K.key, K.particulars).where(K.key > _after).order_by(K.key).limit(_count), Kept, heavy=True
)


async def list_filed(view: Tx, after: UUID, most: int) -> list[Filed]:
    """So many tracks after this one, in order."""
    return await view.all(_TRACKS, after=after, count=most)


async def list_encoded(view: Tx, after: UUID, name: str, most: int) -> list[Encoded]:
    """So many renditions after this one, in order."""
    return await view.all(_RENDITIONS, after=after, name=name, count=most)


async def list_kept(view: Tx, after: str, most: int) -> list[Kept]:
    """So many files that stay because they were sold, after this one, in order."""
    return await view.all(_KEPT, after=after, count=most)
