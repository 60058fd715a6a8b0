"""What this room holds about somebody, for the export of their data and the end of their account."""

from uuid import UUID

from veza.core.db import Tx
from veza.rooms.accounts.holdings import Holding
from veza.rooms.tracks import service, store
from veza.rooms.tracks.schemas import Track


async def _export(tx: Tx, user_id: UUID) -> list[Track]:
    found = [await store.find(tx, track_id) for track_id in await store.ids_of(tx, user_id)]
    return [track for track in found if track is not None]


HOLDING = Holding("tracks", _export, service.remove_user_tracks)
