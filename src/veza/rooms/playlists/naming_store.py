"""SQL about which covers there are, for all playlists."""

from uuid import UUID

import msgspec
import sqlalchemy as sa

from veza.core.db import Statement, Tx
from veza.rooms.playlists.tables import playlists

P = playlists.c


class Covered(msgspec.Struct, frozen=True):
    """A playlist, and the folders of its covers: the uploaded one's, and the made one's."""

    id: UUID
    cover: str | None
    mosaic: str | None


_COVERED = Statement(
    sa.select(P.id, P.cover, P.mosaic)
    .where(sa.or_(P.cover.is_not(None), P.mosaic.is_not(None)), P.id > sa.bindparam("after"))
    .order_by(P.id)
    .limit(sa.bindparam("count")),
    Covered,
    heavy=True,
)


async def list_covered(view: Tx, after: UUID, most: int) -> list[Covered]:
    """So many playlists with a cover after this one, in order."""
    return await view.all(_COVERED, after=after, count=most)
