"""From all that was gathered to a model: what counts how much, what is near what, and what is popular."""

from datetime import datetime

import numpy as np

from veza.core.db.types import to_micros
from veza.rooms.recommendations.gathering import Gathered, Haves, joined
from veza.rooms.recommendations.learning import MOST_THINGS, Baskets, Numbers, Weights, learn
from veza.rooms.recommendations.model import Kind
from veza.rooms.recommendations.writing import Learned

# What it says of somebody that they heard a track once, and with each time that they heard it twice as often;
# never quite as much as that they like it, or that they follow a playlist.
HEARD, HEARD_TWICE, HEARD_MOST, LIKED = 0.4, 0.15, 0.85, 1.0
# So much more it says if they follow whoever made it.
OF_FOLLOWED = 1.25
# And what it says of a playlist that a track is in it.
HELD = 0.7
# After so many seconds what was heard counts half for what is popular; so long, too, a thing is half as new.
HALF = 14 * 86_400
# How many are in the charts: enough for whoever has heard most of them.
IN_CHARTS = 500
# Later than everything else in its basket.
_LAST = 1 << 40


def train(gathered: Gathered, now: datetime) -> Learned:
    """Everything that a model holds."""
    tracks, playlists = len(gathered.tracks.ids), len(gathered.playlists.ids)
    moment = to_micros(now) // 1_000_000
    heard = _of_followed(_merged(joined([_heard(gathered.heard), _worth(gathered.liked, LIKED)])), gathered)
    followed = _worth(gathered.followed, LIKED)
    hot = _heat(heard, moment, tracks)
    return Learned(
        tracks=tracks,
        playlists=playlists,
        ids=gathered.tracks.ids.ids() + gathered.playlists.ids.ids(),
        near=learn(_baskets(gathered, heard, followed)),
        charts={
            Kind.TRACK: _charts(hot, gathered.tracks.born, moment),
            Kind.PLAYLIST: _charts(
                _heat(followed, moment, playlists) + _heat_within(gathered.held, hot, playlists),
                gathered.playlists.born,
                moment,
            )
            + tracks,
        },
        learned_at=now,
    )


def _heard(heard: Haves) -> Haves:
    often = np.minimum(HEARD + HEARD_TWICE * np.log2(np.maximum(heard.much, 1)), HEARD_MOST)
    return Haves(heard.who, heard.thing, often.astype(np.float32), heard.at)


def _worth(haves: Haves, much: float) -> Haves:
    return Haves(haves.who, haves.thing, np.full(len(haves.who), much, np.float32), haves.at)


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


def _of_followed(haves: Haves, gathered: Gathered) -> Haves:
    """What somebody has of whom they follow says more of them."""
    who, whom = gathered.friends
    people = len(gathered.people)
    friends = np.sort(who * people + whom)
    if not len(friends):
        return haves
    pairs = haves.who.astype(np.int64) * people + gathered.tracks.owner[haves.thing]
    place = np.minimum(np.searchsorted(friends, pairs), len(friends) - 1)
    more = np.where(friends[place] == pairs, OF_FOLLOWED, 1.0)
    return Haves(haves.who, haves.thing, np.minimum(haves.much * more, 1).astype(np.float32), haves.at)


def _baskets(gathered: Gathered, heard: Haves, followed: Haves) -> Baskets:
    """One for each person, and one for each playlist, which is itself in its own."""
    people, tracks, playlists = len(gathered.people), len(gathered.tracks.ids), len(gathered.playlists.ids)
    every = np.arange(playlists, dtype=np.int32)
    held = _worth(gathered.held, HELD)
    all_ = joined(
        [
            heard,
            Haves(followed.who, followed.thing + tracks, followed.much, followed.at),
            Haves(held.who + people, held.thing, held.much, held.at),
            Haves(every + people, every + tracks, np.ones(playlists, np.float32), np.full(playlists, _LAST)),
        ]
    )
    return Baskets(
        basket=all_.who, thing=all_.thing, weight=all_.much, at=all_.at,
        people=people, tracks=tracks, things=tracks + playlists,
    )  # fmt: skip


def _heat(has: Haves, moment: int, things: int) -> Weights:
    """How much each thing is liked of late."""
    return np.bincount(has.thing, has.much * _half_lives(moment - has.at), things).astype(np.float32)


def _heat_within(held: Haves, hot: Weights, playlists: int) -> Weights:
    """How hot the tracks of a playlist are, between 0 and 1: a little for what nobody follows yet."""
    sums = np.bincount(held.who, hot[held.thing], playlists)
    counts = np.bincount(held.who, minlength=playlists)
    return (sums / (counts + 1) / max(float(hot.max(initial=0)), 1.0)).astype(np.float32)


def _charts(heat: Weights, born: Numbers, moment: int) -> Numbers:
    """The numbers of the hottest; what is new counts up to twice, and of two alike the newer comes first."""
    heat = heat * (1 + _half_lives(moment - born))
    order = np.lexsort((np.arange(len(heat)), -born, -heat))[:IN_CHARTS]
    found: Numbers = order[heat[order] > 0]
    return found


def _half_lives(age: Numbers) -> Weights:
    """From 1 for what is of this moment to 0 for what is long ago."""
    return np.exp2(-np.maximum(age, 0) / HALF).astype(np.float32)
