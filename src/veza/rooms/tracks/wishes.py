"""What is wished for of a track that is still encoded: pieces that somebody has jumped to.

A wish is written into the row that says what can be heard already, so that the worker finds it wherever it
is; a wish that is fulfilled goes with the next writing. Whose it was, and whether they still wait, nobody
asks: what it costs is bounded.
"""

from uuid import UUID

import msgspec

from veza.core.db import Tx
from veza.rooms.tracks import files_store, store
from veza.rooms.tracks.schemas import Early, EarlyRendition, Wish

# What is so near, in pieces, comes in its turn as soon.
NEAR = 8
# Of one track; the latest are kept.
MOST = 4


async def wish(tx: Tx, track_id: UUID, rendition: str, piece: int) -> None:
    """Write down that somebody waits for this piece, if it is far from where the rendition is."""
    track = await store.lock(tx, track_id)
    early = await files_store.find_early(tx, track_id) if track else None
    wanted = Wish(rendition, piece)
    if early is None or not is_far(early.renditions, wanted):
        return
    others = [one for one in open_wishes(early) if one != wanted]
    wishes = [*others[-(MOST - 1) :], wanted]
    await files_store.set_early(tx, track_id, msgspec.structs.replace(early, wishes=wishes))


def is_far(renditions: dict[str, EarlyRendition], wanted: Wish) -> bool:
    """Whether a piece is neither there nor soon to come in its turn."""
    found = renditions.get(wanted.rendition)
    if found is None:
        return False
    return wanted.piece >= found.reached + NEAR and found.find(wanted.piece) is None


def open_wishes(early: Early) -> list[Wish]:
    """Those that are not fulfilled, the latest last."""
    return [one for one in early.wishes if is_far(early.renditions, one)]
