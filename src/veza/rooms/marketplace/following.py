"""What the marketplace does when something happens elsewhere, in the very transaction in which it happens."""

from veza.core.db import Tx
from veza.rooms.marketplace import products
from veza.rooms.tracks.events import TrackDeleted, TrackFailed
from veza.rooms.uploads.events import FileDeleted


async def follow_track(tx: Tx, event: TrackDeleted | TrackFailed) -> None:
    """What a track was in that is gone or was none is on sale no longer; its buyers keep it."""
    await products.withdraw_track(tx, event.track_id)


async def follow_file(tx: Tx, event: FileDeleted) -> None:
    """The same of an upload."""
    await products.withdraw_upload(tx, event.upload_id)
