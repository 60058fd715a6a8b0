"""How far the processing of a track is, written down now and then."""

from uuid import UUID

from veza.core.db import Database
from veza.rooms.tracks import store

PROGRESS_STEP = 5


class TrackGone(Exception):
    """The track was deleted while it was processed."""


class OnProgress:
    """Writes progress down, but not each percent of it."""

    def __init__(self, database: Database, track_id: UUID) -> None:
        self._database = database
        self._track_id = track_id
        self._told = 0

    async def __call__(self, percent: int) -> None:
        """Hear how far the work is; 100 is said only when everything is stored. Raises :class:`TrackGone`."""
        if percent < self._told + PROGRESS_STEP or percent >= 100:  # noqa: PLR2004 - percent
            return
        self._told = percent
        async with self._database.write() as tx:
            moved = await store.progress(tx, self._track_id, percent)
            # A later attempt moves nothing until it is further than the one before.
            if not moved and await store.find(tx, self._track_id) is None:
                raise TrackGone
