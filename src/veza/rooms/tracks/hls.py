"""HLS of tracks: which renditions there are, and where each of their pieces is."""

from uuid import UUID

import msgspec

from veza.access.actor import Actor
from veza.core.db import Tx
from veza.media import FRAGMENT_SECONDS, Variant, master_playlist, media_playlist, peak_and_average
from veza.rooms.tracks import files_store, sales, service, store
from veza.rooms.tracks.errors import RenditionNotFound, TrackNotReady
from veza.rooms.tracks.schemas import Early, EarlyRendition, Track

LOSSLESS = "flac"
# Until it is measured: the densest segment beside the average, and what an MP4 adds to the coder's rate.
_PEAK, _AROUND = 1.5, 1.03


class Piece(msgspec.Struct, frozen=True):
    """Where the bytes of a piece are; ``public`` if strangers may have them."""

    key: str
    offset: int
    size: int
    etag: str
    public: bool


async def master(tx: Tx, actor: Actor, track_id: UUID, query: str, *, lossless: bool = False) -> str:
    """The choices there are for a track; ``query`` goes along to all that is below.

    Without loss only for whoever may download the track. Raises
    :class:`veza.rooms.tracks.errors.TrackNotFound`, :class:`TrackNotReady`.
    """
    track, early = await _look(tx, actor, track_id)
    if early is not None:
        return master_playlist(_planned(early), query)
    wanted = lossless and await service.may_download(tx, actor, track)
    variants = [
        Variant(found.name, found.codec, *peak_and_average(found.layout))
        for found in await files_store.list_cut(tx, track_id)
        if wanted or found.name != LOSSLESS
    ]
    if track.status != "ready":
        raise TrackNotReady.at(track.status)
    if not variants:
        raise await _lacking(tx, track)
    # Who asks for no loss wants it first; the others stand from the best down.
    variants.sort(key=lambda one: one.name != LOSSLESS)
    return master_playlist(variants, query)


async def playlist(tx: Tx, actor: Actor, track_id: UUID, name: str, query: str) -> str:
    """The segments of one rendition: all of them, those still to be encoded among them.

    Raises TrackNotFound, :class:`TrackNotReady`, :class:`RenditionNotFound`, DownloadNotAllowed.
    """
    track, early = await _find(tx, actor, track_id, name)
    if early is not None:
        planned = _among(early, name)
        return media_playlist(planned.timing.rate, _ticks(planned), query)
    found = await _find_cut(tx, track, name)
    return media_playlist(found.layout.rate, found.layout.ticks, query)


async def find_piece(tx: Tx, actor: Actor, track_id: UUID, name: str, number: int) -> Piece | None:
    """A piece of a rendition; None if it is still to be encoded.

    Raises what :func:`playlist` raises.
    """
    track, early = await _find(tx, actor, track_id, name)
    tag = f"{track_id.hex}-{name}-{number}"
    if early is not None:
        planned = _among(early, name)
        if number > len(_ticks(planned)):
            raise RenditionNotFound("There is no such part of this rendition.")
        part = planned.find(number)
        if part is None:
            return None
        within = number - part.first
        offset, size = part.offset + sum(part.sizes[:within]), part.sizes[within]
        return Piece(part.key, offset, size, f"{tag}-{size}{'a' * part.ahead}", public=False)
    found = await _find_cut(tx, track, name)
    place = found.layout.find(number)
    if place is None:
        raise RenditionNotFound("There is no such part of this rendition.")
    return Piece(found.key, *place, f"{tag}-{place[1]}", public=track.listed and not track.for_sale)


async def _find(tx: Tx, actor: Actor, track_id: UUID, name: str) -> tuple[Track, Early | None]:
    track, early = await _look(tx, actor, track_id)
    if name == LOSSLESS:
        await service.require_download(tx, actor, track)
    return track, early


async def _look(tx: Tx, actor: Actor, track_id: UUID) -> tuple[Track, Early | None]:
    """The track, and while it is processed what can be heard of it."""
    track = await service.get_visible(tx, actor, track_id)
    sales.require_hearing(actor, track)
    if track.status != "processing":
        return track, None
    early = await files_store.find_early(tx, track_id)
    if early is None:
        # Between the two it may have become ready, or been deleted: few players come again after a 409.
        track = await service.get_visible(tx, actor, track_id)
        if track.status == "processing":
            raise TrackNotReady.at(track.status)
    return track, early


async def _find_cut(tx: Tx, track: Track, name: str) -> files_store.CutRendition:
    if track.status != "ready":
        raise TrackNotReady.at(track.status)
    found = await files_store.find_cut(tx, track.id, name)
    if found is None:
        raise await _lacking(tx, track)
    return found


async def _lacking(tx: Tx, track: Track) -> TrackNotReady | RenditionNotFound:
    """What to say of a ready track that lacks a rendition: an imported one may still get it."""
    return RenditionNotFound() if await store.rendition_keys(tx, track.id) else TrackNotReady.at(track.status)


def _planned(early: Early) -> list[Variant]:
    rates = {name: one.bitrate * _AROUND for name, one in sorted(early.renditions.items())}
    return [
        Variant(name, early.renditions[name].codec, int(rate * _PEAK), int(rate))
        for name, rate in rates.items()
    ]


def _among(early: Early, name: str) -> EarlyRendition:
    if name not in early.renditions:
        raise RenditionNotFound
    return early.renditions[name]


def _ticks(planned: EarlyRendition) -> list[int]:
    return planned.timing.plan(planned.samples, FRAGMENT_SECONDS)
