"""SQL about what lies in the storage for tracks: pieces of renditions, early ones, covers."""

from uuid import UUID

import msgspec
import sqlalchemy as sa

from veza.core.db import Id, Json, Statement, Tx
from veza.media import Layout
from veza.rooms.tracks.schemas import Early
from veza.rooms.tracks.tables import covers, early, renditions

R = renditions.c


class CutRendition(msgspec.Struct, frozen=True):
    """A rendition whose pieces are known."""

    name: str
    key: str
    codec: str
    layout: Layout


class _EarlyRow(msgspec.Struct, frozen=True):
    pieces: Early


_CUT = sa.select(R.name, R.key, R.codec, R.layout).where(
    R.track_id == sa.bindparam("track_id"), R.layout.is_not(None)
)
_ALL_CUT = Statement(_CUT.order_by(R.name), CutRendition)
_ONE_CUT = Statement(_CUT.where(R.name == sa.bindparam("name")), CutRendition)
_HAS_CUT = Statement(_CUT.with_only_columns(R.name).limit(1), str)
_EARLY = Statement(sa.select(early.c.pieces).where(early.c.track_id == sa.bindparam("track_id")), _EarlyRow)
_HAS_EARLY = Statement(sa.select(early.c.attempt).where(early.c.track_id == sa.bindparam("track_id")), int)
_KEEP_EARLY: Statement[None] = Statement(
    sa.text(
        "INSERT INTO early (track_id, attempt, pieces) VALUES (:track_id, :attempt, :pieces) "
        "ON CONFLICT (track_id) DO UPDATE SET attempt = excluded.attempt, pieces = excluded.pieces "
        "WHERE early.attempt <= excluded.attempt"
    ).bindparams(
        sa.bindparam("track_id", type_=Id),
        sa.bindparam("attempt", type_=sa.Integer),
        sa.bindparam("pieces", type_=Json(Early)),
    )
)
_SET_EARLY: Statement[None] = Statement(
    sa.update(early)
    .where(early.c.track_id == sa.bindparam("track_id"))
    .values(pieces=sa.bindparam("pieces", type_=Json(Early)))
)
_DROP_EARLY: Statement[None] = Statement(sa.delete(early).where(early.c.track_id == sa.bindparam("track_id")))
_COVER = Statement(sa.select(covers.c.folder).where(covers.c.track_id == sa.bindparam("track_id")), str)
_ADD_COVER: Statement[None] = Statement(sa.insert(covers))
_DROP_COVER: Statement[None] = Statement(
    sa.delete(covers).where(covers.c.track_id == sa.bindparam("track_id"))
)


async def list_cut(tx: Tx, track_id: UUID) -> list[CutRendition]:
    """Every rendition of a track whose pieces are known."""
    return await tx.all(_ALL_CUT, track_id=track_id)


async def find_cut(tx: Tx, track_id: UUID, name: str) -> CutRendition | None:
    """One of them."""
    return await tx.first(_ONE_CUT, track_id=track_id, name=name)


async def has_cut(tx: Tx, track_id: UUID) -> bool:
    """Whether there is any."""
    return await tx.first(_HAS_CUT, track_id=track_id) is not None


async def find_early(tx: Tx, track_id: UUID) -> Early | None:
    """What can be heard of a track that is still processed."""
    row = await tx.first(_EARLY, track_id=track_id)
    return row.pieces if row else None


async def early_keys(tx: Tx, track_id: UUID) -> set[str]:
    """The keys of what holds it."""
    found = await find_early(tx, track_id)
    return {part.key for one in found.renditions.values() for part in one.parts} if found else set()


async def has_early(tx: Tx, track_id: UUID) -> bool:
    """Whether anything can be heard of it."""
    return await tx.first(_HAS_EARLY, track_id=track_id) is not None


async def keep_early(tx: Tx, track_id: UUID, attempt: int, pieces: Early) -> None:
    """Write down what can be heard, unless a later attempt has."""
    await tx.run(_KEEP_EARLY, track_id=track_id, attempt=attempt, pieces=pieces)


async def set_early(tx: Tx, track_id: UUID, pieces: Early) -> None:
    """Write down something else, if anything is. The track must be locked."""
    await tx.run(_SET_EARLY, track_id=track_id, pieces=pieces)


async def drop_early(tx: Tx, track_id: UUID) -> bool:
    """Forget it; whether there was something."""
    return bool(await tx.run(_DROP_EARLY, track_id=track_id))


async def cover_folder(tx: Tx, track_id: UUID) -> str | None:
    """Where the cover lies that somebody uploaded for a track."""
    return await tx.first(_COVER, track_id=track_id)


async def set_cover_folder(tx: Tx, track_id: UUID, folder: str | None) -> None:
    """Name another place, or none. The track must be locked."""
    await tx.run(_DROP_COVER, track_id=track_id)
    if folder is not None:
        await tx.run(_ADD_COVER, track_id=track_id, folder=folder)
