"""SQL about which tracks are for sale, who has bought them, and which originals are kept for that."""

from collections.abc import Mapping, Sequence
from uuid import UUID

import msgspec
import sqlalchemy as sa

from veza.core.db import Id, Json, Statement, Tx, any_of
from veza.rooms.tracks.schemas import Audio, Particulars
from veza.rooms.tracks.tables import covers, kept_files, track_buyers, tracks

B = track_buyers.c
K = kept_files.c


class Kept(msgspec.Struct, frozen=True):
    """A file that was sold, and what it is if it is a track's original."""

    key: str
    particulars: Particulars | None


class Live(msgspec.Struct, frozen=True):
    """What there is of a track that is ready; ``folder`` is where an uploaded cover lies."""

    id: UUID
    title: str
    artist: str
    album: str | None
    genre: str | None
    year: int | None
    sha256: str
    duration: float
    format: str
    audio: Audio
    has_cover: bool
    folder: str | None


_MARK: Statement[None] = Statement(
    sa.update(tracks)
    .where(tracks.c.id == sa.bindparam("track_id"), tracks.c.for_sale != sa.bindparam("new_for_sale"))
    .values(for_sale=sa.bindparam("new_for_sale"))
)
_ADD_BUYER: Statement[None] = Statement(
    sa.text(
        "INSERT INTO track_buyers (user_id, track_id, product_id) VALUES (:user, :track, :product) "
        "ON CONFLICT (user_id, track_id, product_id) DO NOTHING"
    ).bindparams(
        sa.bindparam("user", type_=Id), sa.bindparam("track", type_=Id), sa.bindparam("product", type_=Id)
    )
)
_user = B.user_id == sa.bindparam("user")
_DROP_BUYER: Statement[None] = Statement(
    sa.delete(track_buyers).where(_user, B.product_id == sa.bindparam("product"))
)
_DROP_ALL: Statement[None] = Statement(sa.delete(track_buyers).where(_user))
_IS_BUYER = Statement(sa.select(B.user_id).where(_user, B.track_id == sa.bindparam("track")).limit(1), UUID)
_KEEP: Statement[None] = Statement(
    sa.text(
        "INSERT INTO kept_files (key, particulars) VALUES (:key, :particulars) ON CONFLICT (key) "
        "DO UPDATE SET particulars = COALESCE(excluded.particulars, kept_files.particulars)"
    ).bindparams(sa.bindparam("key", type_=sa.Text), sa.bindparam("particulars", type_=Json(Particulars)))
)
_HOLD_KEPT = Statement(sa.select(K.key).where(K.key == sa.bindparam("key")).with_for_update(), str)
_RELEASE: Statement[None] = Statement(sa.delete(kept_files).where(any_of(K.key, "keys")))
_LIST_KEPT = Statement(
    sa.select(K.key).where(K.key > sa.bindparam("after")).order_by(K.key).limit(sa.bindparam("count")), str
)
_KEPT = Statement(sa.select(K.key, K.particulars).where(any_of(K.key, "keys")), Kept)
_LIVE = Statement(
    sa.select(*(tracks.c[name] for name in Live.__struct_fields__ if name != "folder"), covers.c.folder)
    .select_from(tracks.outerjoin(covers, covers.c.track_id == tracks.c.id))
    .where(any_of(tracks.c.id, "ids"), tracks.c.status == "ready"),
    Live,
)


async def mark(tx: Tx, track_id: UUID, *, for_sale: bool) -> None:
    """Say whether a track that is locked is for sale."""
    await tx.run(_MARK, track_id=track_id, new_for_sale=for_sale)


async def add_buyer(tx: Tx, user_id: UUID, product_id: UUID, track_ids: Sequence[UUID]) -> None:
    """Write down who bought these tracks by what."""
    rows = [{"user": user_id, "track": track_id, "product": product_id} for track_id in track_ids]
    await tx.run_many(_ADD_BUYER, rows)


async def drop_buyer(tx: Tx, user_id: UUID, product_id: UUID | None) -> None:
    """Forget what somebody bought by a product, or by any."""
    if product_id is None:
        await tx.run(_DROP_ALL, user=user_id)
    else:
        await tx.run(_DROP_BUYER, user=user_id, product=product_id)


async def is_buyer(tx: Tx, track_id: UUID, user_id: UUID) -> bool:
    """Whether somebody has bought a track."""
    return await tx.first(_IS_BUYER, track=track_id, user=user_id) is not None


async def keep(tx: Tx, files: Mapping[str, Particulars | None]) -> None:
    """Have these files stay; who keeps the same waits in one order."""
    rows = [{"key": key, "particulars": files[key]} for key in sorted(files)]
    await tx.run_each(_KEEP, rows)


async def hold_kept(tx: Tx, key: str) -> None:
    """Lock what says that a file is to stay."""
    await tx.first(_HOLD_KEPT, key=key)


async def release(tx: Tx, keys: Sequence[str]) -> None:
    """Let these files go."""
    await tx.run(_RELEASE, keys=keys)


async def list_kept(tx: Tx, after: str, most: int) -> list[str]:
    """The next files that are to stay."""
    return await tx.all(_LIST_KEPT, after=after, count=most)


async def list_some_kept(tx: Tx, keys: Sequence[str]) -> list[Kept]:
    """Those of these files that are to stay."""
    return await tx.all(_KEPT, keys=keys)


async def list_live(tx: Tx, track_ids: Sequence[UUID]) -> list[Live]:
    """Those of these tracks that are there and ready."""
    return await tx.all(_LIVE, ids=track_ids)
