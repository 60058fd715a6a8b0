"""From all that was gathered to a model: what counts how much, what is near what, and what is popular."""

from datetime import datetime

import numpy as np

from veza.core.db.types import to_micros
from veza.rooms.recommendations.gathering import Gathered, Haves, joined
from veza.rooms.recommendations.learning import MOST_THINGS, Baskets, Numbers, Weights, learn
from veza.rooms.recommendations.model import Kind
from veza.rooms.recommendations.writing import Learned

# What it says of somebody that they heard a track once, and with each time that they heard it twice as often;
# never quite as much as that they like it.
HEARD, HEARD_TWICE, HEARD_MOST, LIKED = 0.4, 0.15, 0.85, 1.0
# After so many seconds what was heard counts half for what is popular; so long, too, a track is half as new.
HALF = 14 * 86_400
# How many are in the charts: enough for whoever has heard most of them.
IN_CHARTS = 500


def train(gathered: Gathered, now: datetime) -> Learned:
    """Everything that a model holds."""
    tracks, moment = len(gathered.tracks), to_micros(now) // 1_000_000
    has = _merged(joined([_heard(gathered.heard), _liked(gathered.liked)]))
    baskets = Baskets(
        basket=has.who, thing=has.thing, weight=has.much, at=has.at,
        people=len(gathered.people), tracks=tracks, things=tracks,
    )  # fmt: skip
    return Learned(
        tracks=tracks,
        playlists=0,
        ids=gathered.tracks.ids(),
        near=learn(baskets),
        charts={
            Kind.TRACK: _charts(has, gathered.born, moment, tracks),
            Kind.PLAYLIST: np.zeros(0, np.int64),
        },
        learned_at=now,
    )


def _heard(heard: Haves) -> Haves:
    often = np.minimum(HEARD + HEARD_TWICE * np.log2(np.maximum(heard.much, 1)), HEARD_MOST)
    return Haves(heard.who, heard.thing, often.astype(np.float32), heard.at)


def _liked(liked: Haves) -> Haves:
    return Haves(liked.who, liked.thing, np.full(len(liked.who), LIKED, np.float32), liked.at)


def _merged(haves: Haves) -> Haves:
    """No pair twice: what says most of it, and the latest moment."""
    key = haves.who.astype(np.int64) * MOST_THINGS + haves.thing
    order = np.argsort(key, kind="stable")
    key = key[order]
    if not len(key):
        return haves
    starts = np.flatnonzero(np.concatenate(([True], key[1:] != key[:-1])))
    return Haves(
        (key[starts] // MOST_THINGS).astype(np.int32),
        (key[starts] % MOST_THINGS).astype(np.int32),
        np.maximum.reduceat(haves.much[order], starts),
        np.maximum.reduceat(haves.at[order], starts),
    )


def _charts(has: Haves, born: Numbers, moment: int, tracks: int) -> Numbers:
    """What many like of late; of two alike the one that is newer."""
    recent = np.bincount(has.thing, has.much * _half_lives(moment - has.at), tracks)
    heat = recent * (1 + _half_lives(moment - born))
    order = np.lexsort((np.arange(tracks), -born, -heat))[:IN_CHARTS]
    found: Numbers = order[heat[order] > 0]
    return found


def _half_lives(age: Numbers) -> Weights:
    """From 1 for what is of this moment to 0 for what is long ago."""
    return np.exp2(-np.maximum(age, 0) / HALF).astype(np.float32)
