"""What is proposed, and why, in one sentence. A reason names a thing only while whoever reads it sees it."""

from collections.abc import Sequence
from uuid import UUID

import msgspec

from veza.access.actor import Actor
from veza.core.db import Tx
from veza.rooms.playlists import service as playlists
from veza.rooms.recommendations.model import Model
from veza.rooms.recommendations.ranking import Ranked
from veza.rooms.recommendations.taste import Taste
from veza.rooms.tracks import service as tracks

LIKED = "Because you like “{}”."
HEARD = "Because you listened to “{}”."
FOLLOWED = "Because you follow “{}”."
TASTE = "Because of what you listen to."
OF_FOLLOWED = "By somebody you follow."
POPULAR = "Popular right now."
NEW = "New here."
SAME_PEOPLE = "Heard by the same people."
SAME_PLAYLISTS = "Often in the same playlists."
SAME_ARTIST = "By the same artist."
SAME_GENRE = "In the same genre."


class Proposal(msgspec.Struct, frozen=True):
    """A thing that may be shown, and why; perhaps because of another one, which the reason then names."""

    thing_id: UUID
    reason: str
    because: UUID | None = None


def ranked_proposal(model: Model, taste: Taste, one: Ranked) -> Proposal:
    """What fits somebody's taste, because of what of theirs."""
    thing_id = model.id_of(one.number)
    because = model.id_of(one.because) if one.because is not None else None
    if because in taste.playlists:
        return Proposal(thing_id, FOLLOWED if because in taste.followed else TASTE, because)
    if because in taste.tracks:
        return Proposal(thing_id, LIKED if because in taste.liked else HEARD, because)
    return Proposal(thing_id, TASTE)


async def sentences(tx: Tx, actor: Actor, proposals: Sequence[Proposal]) -> list[str]:
    """The reason of each, as ``actor`` may read it."""
    named = list(dict.fromkeys(one.because for one in proposals if one.because is not None))
    titles = {track.id: track.title for track in await tracks.list_by_ids(tx, named, actor)}
    for playlist in await playlists.list_by_ids(tx, actor, [one for one in named if one not in titles]):
        titles[playlist.id] = playlist.title
    return [_sentence(one, titles) for one in proposals]


def _sentence(proposal: Proposal, titles: dict[UUID, str]) -> str:
    if proposal.because is None:
        return proposal.reason
    title = titles.get(proposal.because)
    return proposal.reason.format(title) if title is not None else TASTE
