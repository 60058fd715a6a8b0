"""The waveform of a track, as peaks.js and wavesurfer.js read it."""

import asyncio
from typing import Literal
from uuid import UUID

import msgspec

from veza.access.actor import Actor
from veza.core.db import Tx
from veza.core.http import Bytes
from veza.core.storage import NoSuchFile, Storage
from veza.media import Peaks
from veza.rooms.tracks import service, store
from veza.rooms.tracks.errors import TrackNotReady
from veza.rooms.tracks.jobs import peaks_key
from veza.rooms.tracks.schemas import Track

Format = Literal["json", "dat"]
# Pairs of an answer: more than an hour at full fineness. Six hours of them would be eight megabytes of JSON.
MOST_POINTS = 200_000
_MOST_BYTES = 8 * 1024**2


async def get(
    tx: Tx, actor: Actor, storage: Storage, track_id: UUID, points: int | None, form: Format
) -> Bytes:
    """The peaks of a track in at most ``points`` pairs (lowest, highest), as JSON or as a file of ``.dat``.

    Raises :class:`veza.rooms.tracks.errors.TrackNotFound`, :class:`TrackNotReady`.
    """
    track = await service.get_visible(tx, actor, track_id)
    if track.status != "ready":
        raise TrackNotReady.at(track.status)
    stored = await _read(tx, storage, track)
    render = _dat if form == "dat" else _json
    return await asyncio.to_thread(render, stored, min(points or MOST_POINTS, MOST_POINTS))


async def _read(tx: Tx, storage: Storage, track: Track) -> bytes:
    """The peaks as they are stored; an imported track has them with its renditions."""
    try:
        return await storage.get_bytes(peaks_key(track.id), _MOST_BYTES)
    except NoSuchFile:
        if await store.rendition_keys(tx, track.id):
            raise
        raise TrackNotReady.at(track.status) from None


def _json(stored: bytes, points: int) -> Bytes:
    return Bytes(msgspec.json.encode(Peaks.from_dat(stored).to_json(points)))


def _dat(stored: bytes, points: int) -> Bytes:
    return Bytes(Peaks.from_dat(stored).coarser(points).to_dat(), mime="application/octet-stream")
