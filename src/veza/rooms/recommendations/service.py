"""Which tracks are recommended to whom: what is near to what they like, of that only what they may see now.

A model is an hour old or more. So it only proposes, by ids; whether a thing is there, and seen by whoever
asks, is asked of its own room with each answer.
"""

from collections.abc import AsyncIterator, Iterator, Sequence
from typing import TypeVar
from uuid import UUID

import msgspec

from veza.access.actor import GUEST, Actor, Member
from veza.core.db import Tx
from veza.core.pages import Page
from veza.core.text import fold
from veza.rooms.recommendations import taste_store
from veza.rooms.recommendations.model import Kind, Model
from veza.rooms.recommendations.ranking import rank
from veza.rooms.recommendations.reasons import (
    NEW,
    OF_FOLLOWED,
    POPULAR,
    SAME_ARTIST,
    SAME_GENRE,
    SAME_PEOPLE,
    SAME_PLAYLISTS,
    Proposal,
    ranked_proposal,
    sentences,
)
from veza.rooms.recommendations.schemas import RecommendedTrack
from veza.rooms.recommendations.shelf import Shelf
from veza.rooms.recommendations.taste import Taste, taste_of
from veza.rooms.tracks import service as tracks
from veza.rooms.tracks.schemas import Track, TrackSummary

T = TypeVar("T")

# A list is filled up with the first of what is popular, and of what is new.
FILL = Page(1, 100)


async def recommend_tracks(tx: Tx, actor: Member, shelf: Shelf, limit: int) -> list[RecommendedTrack]:
    """Tracks of others that ``actor`` neither heard nor likes, the best first."""
    model = await shelf.present()
    taste = await taste_of(tx, actor)
    chosen: dict[UUID, tuple[Proposal, TrackSummary]] = {}
    async for some in _proposals(tx, model, taste, limit):
        wanted = {
            one.thing_id: one
            for one in some
            if one.thing_id not in chosen and one.thing_id not in taste.tracks
        }
        for track in await _unknown(tx, actor, list(wanted)):
            chosen[track.id] = wanted[track.id], track
        if len(chosen) >= limit:
            break
    best = list(chosen.values())[:limit]
    reasons = await sentences(tx, actor, [proposal for proposal, _ in best])
    return [_with_reason(track, reason) for (_, track), reason in zip(best, reasons, strict=True)]


async def _proposals(
    tx: Tx, model: Model | None, taste: Taste, limit: int
) -> AsyncIterator[Sequence[Proposal]]:
    """What fits best; then what those have whom they follow, what is popular of late or ever, what is new."""
    if model is not None:
        for some in parts(rank(model, taste.seeds(model), Kind.TRACK, most(limit)), limit):
            yield [ranked_proposal(model, taste, one) for one in some]
    yield [Proposal(track_id, OF_FOLLOWED) for track_id in taste.of_followed]
    if model is not None:
        for hot in parts(model.charts(Kind.TRACK, most(limit)), limit):
            yield [Proposal(model.id_of(number), POPULAR) for number in hot]
    popular = await tracks.list_tracks(tx, GUEST, FILL, sort_by="popularity")
    yield [Proposal(track.id, POPULAR) for track in popular.tracks]
    new = await tracks.list_tracks(tx, GUEST, FILL)
    yield [Proposal(track.id, NEW) for track in new.tracks]


async def _unknown(tx: Tx, actor: Member, ids: Sequence[UUID]) -> list[TrackSummary]:
    """Those that ``actor`` sees as everybody does, that are not theirs, and that they do not know yet."""
    seen = [track for track in await tracks.list_by_ids(tx, ids, actor) if track.user_id != actor.id]
    known = await taste_store.known_tracks(tx, actor.id, [track.id for track in seen])
    return [track for track in seen if track.id not in known]


def _with_reason(track: TrackSummary, reason: str) -> RecommendedTrack:
    return RecommendedTrack(**msgspec.structs.asdict(track), reason=reason)


def most(limit: int) -> int:
    """How many are proposed of what fits, and of the charts: some are known already, or gone."""
    return 4 * limit + 60


def parts(things: Sequence[T], limit: int) -> Iterator[Sequence[T]]:
    """So many as are looked at together, then the next: mostly the first are enough, and each costs."""
    size = min(2 * limit + 10, 100)
    for first in range(0, len(things), size):
        yield things[first : first + size]


async def similar_tracks(
    tx: Tx, actor: Actor, shelf: Shelf, track_id: UUID, limit: int
) -> list[RecommendedTrack]:
    """Tracks that everybody sees and that go with one that ``actor`` may see.

    Raises :class:`veza.rooms.tracks.errors.TrackNotFound`.
    """
    model = await shelf.present()
    track = await tracks.get_visible(tx, actor, track_id)
    chosen: dict[UUID, RecommendedTrack] = {}
    async for some in _similar(tx, model, track):
        reasons = {one.thing_id: one.reason for one in some if one.thing_id != track.id}
        for other in await tracks.list_by_ids(tx, list(reasons), actor):
            chosen.setdefault(other.id, _with_reason(other, reasons[other.id]))
        if len(chosen) >= limit:
            break
    return list(chosen.values())[:limit]


async def _similar(tx: Tx, model: Model | None, track: Track) -> AsyncIterator[Sequence[Proposal]]:
    """What the same people hear; then of the same artist and genre the most popular."""
    number = model.find(Kind.TRACK, track.id) if model is not None else None
    if model is not None and number is not None:
        yield [
            Proposal(model.id_of(other), SAME_PLAYLISTS if by_playlists else SAME_PEOPLE)
            for other, _, by_playlists in model.neighbours(number, Kind.TRACK)
        ]
    artist = fold(track.artist)
    theirs = await tracks.list_tracks(tx, GUEST, FILL, user_id=track.user_id, sort_by="popularity")
    yield [Proposal(other.id, SAME_ARTIST) for other in theirs.tracks if fold(other.artist) == artist]
    if track.genre and tracks.genre_key(track.genre):
        alike = await tracks.list_tracks(tx, GUEST, FILL, genre=track.genre, sort_by="popularity")
        yield [Proposal(other.id, SAME_GENRE) for other in alike.tracks]
