"""What tracks have to do with their being sold, told by the marketplace, which they do not know.

A track that is for sale is downloaded by its owner and its buyers only, and heard by whoever has signed in.
An original that was sold is kept, whatever becomes of the track and of its owner's account.
"""

from collections.abc import Iterable
from uuid import UUID

import msgspec

from veza.access.actor import Actor
from veza.core.db import Tx
from veza.core.errors import Unauthenticated
from veza.media import COVER_SIZES, FORMATS
from veza.rooms.tracks import sales_store, store
from veza.rooms.tracks.jobs import cover_key, original_key
from veza.rooms.tracks.sales_store import Live
from veza.rooms.tracks.schemas import Particulars, Track


class Original(msgspec.Struct, frozen=True):
    """The uploaded bytes of a track: where they lie, and how they are given out; ``size`` in bytes."""

    key: str
    filename: str
    mime: str
    size: int


def original_of(track: Track) -> Original:
    """The original of a track that is ready."""
    name = f"{track.artist} - {track.title}.{track.format}"
    return Original(original_key(track.id), name, FORMATS[track.format].mime, track.file_size)


async def hold(tx: Tx, track_ids: Iterable[UUID]) -> dict[UUID, Track]:
    """Those of these tracks that there are, whoever asks; nobody else changes them until ``tx`` is over."""
    found = {}
    for track_id in sorted(track_ids):
        track = await store.lock(tx, track_id)
        if track is not None:
            found[track_id] = track
    return found


async def mark(tx: Tx, track_id: UUID, *, for_sale: bool) -> None:
    """Say whether a track, which is held, is for sale."""
    await sales_store.mark(tx, track_id, for_sale=for_sale)


async def add_buyer(tx: Tx, user_id: UUID, product_id: UUID, track_ids: Iterable[UUID]) -> None:
    """Somebody has bought these tracks by this product."""
    await sales_store.add_buyer(tx, user_id, product_id, sorted(track_ids))


async def drop_buyer(tx: Tx, user_id: UUID, product_id: UUID | None = None) -> None:
    """Somebody has given this product back; or everything, since they are about to be gone."""
    await sales_store.drop_buyer(tx, user_id, product_id)


async def keep(tx: Tx, keys: Iterable[str]) -> None:
    """From now on these files stay, although what they are of may go; what that is, is written down."""
    wanted = set(keys)
    live = await _live(tx, wanted)
    await sales_store.keep(tx, {key: live.get(key) for key in wanted})


async def list_particulars(tx: Tx, keys: Iterable[str]) -> dict[str, Particulars]:
    """What is known of these originals: of a track that is gone, what was known when it was last sold."""
    wanted = set(keys)
    found = await _live(tx, wanted)
    gone = sorted(wanted - found.keys())
    kept = await sales_store.list_some_kept(tx, gone) if gone else []
    return found | {one.key: one.particulars for one in kept if one.particulars is not None}


async def _live(tx: Tx, keys: set[str]) -> dict[str, Particulars]:
    ids = sorted(track_id for key in keys if (track_id := _track_of(key)) is not None)
    rows = await sales_store.list_live(tx, ids) if ids else []
    return {original_key(row.id): _particulars(row) for row in rows}


def _track_of(key: str) -> UUID | None:
    """Whose original this is."""
    try:
        track_id = UUID(key.split("/")[1])
    except (ValueError, IndexError):
        return None
    return track_id if key == original_key(track_id) else None


def _particulars(row: Live) -> Particulars:
    own = f"{row.folder}/{COVER_SIZES[-1]}.jpg" if row.folder else cover_key(row.id, COVER_SIZES[-1])
    same = {name: getattr(row, name) for name in Particulars.__struct_fields__ if name != "cover"}
    return Particulars(**same, cover=own if row.has_cover else None)


async def hold_kept(tx: Tx, key: str) -> None:
    """Nobody else lets a file that is kept go, or finds that it is needed no longer, until ``tx`` is over."""
    await sales_store.hold_kept(tx, key)


async def release(tx: Tx, keys: Iterable[str]) -> None:
    """Nobody needs these files any more for having bought them."""
    await sales_store.release(tx, sorted(set(keys)))


async def list_kept(tx: Tx, after: str, most: int) -> list[str]:
    """The next files that stay because they were sold, in the order of their keys."""
    return await sales_store.list_kept(tx, after, most)


async def is_kept(tx: Tx, key: str) -> bool:
    """Whether a file stays because it was sold."""
    return bool(await sales_store.list_some_kept(tx, [key]))


async def is_buyer(tx: Tx, actor: Actor, track: Track) -> bool:
    """Whether ``actor`` has bought the track."""
    return actor.id is not None and await sales_store.is_buyer(tx, track.id, actor.id)


def require_hearing(actor: Actor, track: Track) -> None:
    """What is for sale is heard with a token or a signed address. Raises :class:`Unauthenticated`."""
    if track.for_sale and not (actor.signed_in or actor.is_system):
        raise Unauthenticated
