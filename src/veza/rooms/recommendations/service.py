"""What is recommended to whom: what is near to what they like, of that only what they may see now.

A model is an hour old or more. So it only proposes, by ids; whether a thing is there and seen by everybody is
asked of its own room with each answer.
"""

from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from uuid import UUID

import msgspec

from veza.access.actor import GUEST, Actor, Member
from veza.core.db import Tx
from veza.core.pages import Page
from veza.core.text import fold
from veza.rooms.recommendations import taste_store
from veza.rooms.recommendations.model import Kind, Model
from veza.rooms.recommendations.ranking import Ranked, rank
from veza.rooms.recommendations.schemas import RecommendedTrack
from veza.rooms.recommendations.shelf import Shelf
from veza.rooms.recommendations.taste import Taste, taste_of
from veza.rooms.tracks import service as tracks
from veza.rooms.tracks.schemas import SortBy, Track, TrackSummary

# Things looked at together; beyond these so many times what is asked for is ranked.
_TOGETHER = 100
_SPARE = 4

NEAR_LIKED = "Because you like “{}”."
NEAR_HEARD = "Because you listened to “{}”."
NEAR = "Because of what you listen to."
POPULAR = "Popular right now."
NEW = "New here."
SAME_PEOPLE = "Heard by the same people."
SAME_PLAYLISTS = "Often in the same playlists."
SAME_ARTIST = "By the same artist."
SAME_GENRE = "In the same genre."


class Proposal(msgspec.Struct, frozen=True):
    """A track that may be shown, and why; perhaps because of another one, which the reason would name."""

    track_id: UUID
    reason: str
    because: UUID | None = None


async def recommend_tracks(tx: Tx, actor: Member, shelf: Shelf, limit: int) -> list[RecommendedTrack]:
    """Tracks of others that ``actor`` neither heard nor likes, the best first."""
    model = await shelf.present()
    taste = await taste_of(tx, actor)
    chosen: dict[UUID, tuple[Proposal, TrackSummary]] = {}
    async for some in _proposals(tx, model, taste, limit):
        wanted = [one for one in some if one.track_id not in chosen and one.track_id not in taste.tracks]
        for proposal, track in await _unknown(tx, actor, wanted):
            chosen[track.id] = proposal, track
        if len(chosen) >= limit:
            break
    return await _explained(tx, list(chosen.values())[:limit])


async def _proposals(
    tx: Tx, model: Model | None, taste: Taste, limit: int
) -> AsyncIterator[Sequence[Proposal]]:
    """What fits best; then what is popular of late, then what ever was, then what is new."""
    if model is not None:
        ranked = rank(model, taste.seeds(model), Kind.TRACK, limit * _SPARE + _TOGETHER)
        for some in _parts([_near(model, taste, one) for one in ranked]):
            yield some
        charts = model.charts(Kind.TRACK, 10 * _TOGETHER)
        for some in _parts([Proposal(model.id_of(number), POPULAR) for number in charts]):
            yield some
    for sort_by, reason in (("popularity", POPULAR), ("created_at", NEW)):
        listed = await tracks.list_tracks(tx, GUEST, Page(1, _TOGETHER), sort_by=_sort(sort_by))
        yield [Proposal(track.id, reason) for track in listed.tracks]


def _sort(name: str) -> SortBy:
    return "popularity" if name == "popularity" else "created_at"


def _near(model: Model, taste: Taste, one: Ranked) -> Proposal:
    because = model.id_of(one.because) if one.because is not None else None
    reason = NEAR_LIKED if because in taste.liked else NEAR_HEARD
    return Proposal(model.id_of(one.number), reason, because)


async def _unknown(
    tx: Tx, actor: Member, proposals: Sequence[Proposal]
) -> list[tuple[Proposal, TrackSummary]]:
    """Those that everybody sees, that are not the actor's, and that they do not know yet."""
    seen = [track for track in await _seen(tx, actor, proposals) if track.user_id != actor.id]
    known = await taste_store.known_among(tx, actor.id, [track.id for track in seen])
    reasons = {one.track_id: one for one in proposals}
    return [(reasons[track.id], track) for track in seen if track.id not in known]


async def _seen(tx: Tx, actor: Actor, proposals: Iterable[Proposal]) -> list[TrackSummary]:
    """Those that everybody sees, in their order."""
    del actor
    return await tracks.list_by_ids(tx, [one.track_id for one in proposals])


async def _explained(tx: Tx, chosen: Sequence[tuple[Proposal, TrackSummary]]) -> list[RecommendedTrack]:
    """With their reasons; a track is named in one only while everybody sees it."""
    named = list(dict.fromkeys(one.because for one, _ in chosen if one.because is not None))
    titles = {track.id: track.title for track in await tracks.list_by_ids(tx, named)}
    return [_with_reason(track, _reason(proposal, titles)) for proposal, track in chosen]


def _reason(proposal: Proposal, titles: dict[UUID, str]) -> str:
    if proposal.because is None:
        return proposal.reason
    title = titles.get(proposal.because)
    return proposal.reason.format(title) if title is not None else NEAR


def _with_reason(track: TrackSummary, reason: str) -> RecommendedTrack:
    return RecommendedTrack(**msgspec.structs.asdict(track), reason=reason)


def _parts(proposals: Sequence[Proposal]) -> Iterator[Sequence[Proposal]]:
    for first in range(0, len(proposals), _TOGETHER):
        yield proposals[first : first + _TOGETHER]


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
        reasons = {one.track_id: one.reason for one in some if one.track_id != track.id}
        for other in await _seen(tx, actor, [one for one in some if one.track_id in reasons]):
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
    page = Page(1, _TOGETHER)
    theirs = await tracks.list_tracks(tx, GUEST, page, user_id=track.user_id, sort_by="popularity")
    artist = fold(track.artist)
    yield [Proposal(other.id, SAME_ARTIST) for other in theirs.tracks if fold(other.artist) == artist]
    if track.genre and tracks.genre_key(track.genre):
        alike = await tracks.list_tracks(tx, GUEST, page, genre=track.genre, sort_by="popularity")
        yield [Proposal(other.id, SAME_GENRE) for other in alike.tracks]
