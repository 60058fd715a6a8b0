"""Which playlists are recommended to whom: those that hold what they like, or what is near to it."""

from collections.abc import AsyncIterator, Sequence
from uuid import UUID

import msgspec

from veza.access.actor import GUEST, Member
from veza.core.db import Tx
from veza.rooms.playlists import service as playlists
from veza.rooms.playlists.schemas import PlaylistSummary
from veza.rooms.recommendations import taste_store
from veza.rooms.recommendations.model import Kind, Model
from veza.rooms.recommendations.ranking import rank_playlists
from veza.rooms.recommendations.reasons import NEW, POPULAR, Proposal, ranked_proposal, sentences
from veza.rooms.recommendations.schemas import RecommendedPlaylist
from veza.rooms.recommendations.service import FILL, most, parts
from veza.rooms.recommendations.shelf import Shelf
from veza.rooms.recommendations.taste import Taste, taste_of


async def recommend_playlists(tx: Tx, actor: Member, shelf: Shelf, limit: int) -> list[RecommendedPlaylist]:
    """Public playlists of others that ``actor`` neither works on nor follows, the best first."""
    model = await shelf.present()
    taste = await taste_of(tx, actor)
    chosen: dict[UUID, tuple[Proposal, PlaylistSummary]] = {}
    async for some in _proposals(tx, model, taste, limit):
        wanted = {one.thing_id: one for one in some if one.thing_id not in chosen}
        for playlist in await _unknown(tx, actor, list(wanted)):
            chosen[playlist.id] = wanted[playlist.id], playlist
        if len(chosen) >= limit:
            break
    best = list(chosen.values())[:limit]
    reasons = await sentences(tx, actor, [proposal for proposal, _ in best])
    return [
        RecommendedPlaylist(**msgspec.structs.asdict(playlist), reason=reason)
        for (_, playlist), reason in zip(best, reasons, strict=True)
    ]


async def _proposals(
    tx: Tx, model: Model | None, taste: Taste, limit: int
) -> AsyncIterator[Sequence[Proposal]]:
    """What fits best; then what is popular of late; then what is new."""
    if model is not None:
        for some in parts(rank_playlists(model, taste.seeds(model), most(limit)), limit):
            yield [ranked_proposal(model, taste, one) for one in some]
        for hot in parts(model.charts(Kind.PLAYLIST, most(limit)), limit):
            yield [Proposal(model.id_of(number), POPULAR) for number in hot]
    new = await playlists.list_playlists(tx, GUEST, FILL)
    yield [Proposal(playlist.id, NEW) for playlist in new.playlists]


async def _unknown(tx: Tx, actor: Member, ids: Sequence[UUID]) -> list[PlaylistSummary]:
    """The public ones with something to hear in them, neither the actor's nor known to them already."""
    seen = [
        playlist
        for playlist in await playlists.list_by_ids(tx, actor, ids)
        if playlist.user_id != actor.id and playlist.track_count
    ]
    known = await taste_store.known_playlists(tx, actor.id, [playlist.id for playlist in seen])
    return [playlist for playlist in seen if playlist.id not in known]
