"""All SQL about files that were imported."""

from collections.abc import Mapping, Sequence
from uuid import UUID

import msgspec
import sqlalchemy as sa

from veza.core.db import Id, Statement, Tx, any_of
from veza.rooms.tracks.tables import imported_files, tracks

F = imported_files.c


class Known(msgspec.Struct, frozen=True):
    """A track that has this content."""

    sha256: str
    id: UUID


_MARKS = Statement(
    sa.select(F.mark).where(F.user_id == sa.bindparam("user_id"), any_of(F.mark, "marks")), str
)
_SAME = Statement(
    sa.select(tracks.c.sha256, tracks.c.id)
    .where(tracks.c.user_id == sa.bindparam("user_id"), any_of(tracks.c.sha256, "digests"))
    .order_by(tracks.c.id.desc()),
    Known,
)
_ANY = Statement(sa.select(tracks.c.id).limit(1), UUID)
# A track that was deleted in this moment takes nothing with it.
_REMEMBER: Statement[None] = Statement(
    sa.text(
        "INSERT INTO imported_files (user_id, mark, track_id) SELECT :user_id, :mark, tracks.id FROM tracks "
        "WHERE tracks.id = :track_id ON CONFLICT DO NOTHING"
    ).bindparams(
        sa.bindparam("user_id", type_=Id),
        sa.bindparam("mark", type_=sa.Text),
        sa.bindparam("track_id", type_=Id),
    )
)


async def marks(tx: Tx, user_id: UUID, asked: Sequence[str]) -> set[str]:
    """Which of these files were imported for the user, and are still in their library."""
    return set(await tx.all(_MARKS, user_id=user_id, marks=asked))


async def same_content(tx: Tx, user_id: UUID, digests: Sequence[str]) -> dict[str, UUID]:
    """Which of these contents the user has, and as which track."""
    return {known.sha256: known.id for known in await tx.all(_SAME, user_id=user_id, digests=digests)}


async def remember(tx: Tx, user_id: UUID, tracks_of: Mapping[str, UUID]) -> None:
    """Keep which track each mark's file became."""
    rows = [{"user_id": user_id, "mark": mark, "track_id": track} for mark, track in tracks_of.items()]
    await tx.run_many(_REMEMBER, rows)


async def find_any(tx: Tx) -> UUID | None:
    """Some track, if there is one."""
    return await tx.first(_ANY)
