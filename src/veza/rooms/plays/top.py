"""The best: what of an artist's is heard most in a period, and who hears most of them."""

from uuid import UUID

from veza.core.db import Tx
from veza.rooms.plays import top_store as store
from veza.rooms.plays.top_store import Candidate, Fan, PlayedTrack

# How many tracks of an artist may be looked at for the best of a period.
_SEARCHED = 300


async def top_tracks(tx: Tx, artist_id: UUID, first: int, last: int, most: int) -> list[PlayedTrack]:
    """What of an artist's listed tracks was heard most on these days of UTC.

    Nobody hears a track more often in a period than in all time: by ``play_count``, one after the other, the
    search is over when no next one can be among the best; or after :data:`_SEARCHED`, where all are heard
    alike. Plays of the artist's own, which that count has not, move a track among those that it finds.
    """
    best: list[Candidate] = []
    after, more = 0, 2 * most
    while after < _SEARCHED:
        found = await store.candidates(tx, artist_id, first, last, most=more, after=after)
        best = sorted(best + [one for one in found if one.plays], key=_plays_of, reverse=True)[:most]
        over = len(best) == most and best[-1].plays >= found[-1].play_count if found else True
        if over or len(found) < more:
            break
        after, more = after + more, 2 * more
    ids = [one.track_id for one in best]
    played = {one.track_id: one for one in await store.played_tracks(tx, ids, first, last)}
    return [played[one] for one in ids]


def _plays_of(track: Candidate) -> int:
    return track.plays


async def top_fans(tx: Tx, artist_id: UUID, most: int) -> list[Fan]:
    """Who of all time hears most of an artist."""
    return await store.top_fans(tx, artist_id, most)
