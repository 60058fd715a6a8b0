"""What the demo's people did with a song in the last month: they heard it, liked it and talked about it.

All of it goes through the services that everybody's acts go through, with the clock set back to the moment of
each; one transaction for one song, so that a song has all of it or none.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import timedelta
from functools import partial
from uuid import UUID

import msgspec
import numpy as np

from veza.access.actor import Member
from veza.core import clock
from veza.core.db import Database, Tx
from veza.demo.songs import Song
from veza.demo.talk import TALK, Remark
from veza.rooms.comments import service as comments
from veza.rooms.comments.schemas import CommentDraft
from veza.rooms.likes import service as likes
from veza.rooms.plays import service as plays
from veza.rooms.plays.schemas import PlayDraft
from veza.rooms.tracks import counts
from veza.rooms.tracks.schemas import TrackSummary

SPAN = timedelta(days=30)
_DEVICES = ("phone", "phone", "browser", "desktop", "car", "speaker")
# Of the most popular song, and of one that nobody has found yet.
_MOST_PLAYS, _FEWEST_PLAYS = 140, 12
_HEARD_WHOLE, _BY_THE_ARTIST = 0.6, 0.04


class _Act(msgspec.Struct, frozen=True):
    """Something that somebody did, so long ago."""

    ago: timedelta
    do: Callable[[Tx], Awaitable[None]]


async def live(database: Database, people: Mapping[str, Member], song: Song, track: TrackSummary) -> bool:
    """Let the month pass for one song, which is there as ``track``; whether it had not passed already."""
    acts = sorted(_acts(people, song, track), key=lambda act: act.ago, reverse=True)
    async with database.write() as tx:
        if (await counts.totals(tx, track.id)).plays:
            return False
        for act in acts:
            with clock.shifted(-act.ago):
                await act.do(tx)
    return True


def _acts(people: Mapping[str, Member], song: Song, track: TrackSummary) -> Sequence[_Act]:
    dice, artist = np.random.default_rng(song.seed), people[song.artist]
    fans = [person for name, person in people.items() if name != song.artist]
    fame = fame_of(song)
    # Each song has those who come back to it.
    taste = dice.dirichlet(np.full(len(fans), 0.8))

    def sometime() -> timedelta:
        return timedelta(minutes=5) + (SPAN - timedelta(minutes=10)) * float(dice.random())

    def hear() -> _Act:
        by_the_artist = dice.random() < _BY_THE_ARTIST
        listener = artist if by_the_artist else fans[int(dice.choice(len(fans), p=taste))]
        part = 1.0 if dice.random() < _HEARD_WHOLE else float(dice.random())
        told = PlayDraft(round(track.duration * part, 1), _DEVICES[int(dice.integers(len(_DEVICES)))])
        return _Act(sometime(), partial(_hear, listener, track.id, told))

    acts = [hear() for _ in range(round(_FEWEST_PLAYS + (_MOST_PLAYS - _FEWEST_PLAYS) * fame))]
    acts += [
        _Act(sometime(), partial(_like, fan, track.id)) for fan in fans if dice.random() < 0.15 + 0.75 * fame
    ]
    for remark in TALK.get(song.title, ()):
        ago, said = sometime(), _Thread(people[remark.who], artist, track, remark)
        acts.append(_Act(ago, said.begin))
        if remark.answer:
            acts.append(_Act(ago * float(dice.uniform(0.6, 0.98)), said.answer))
    return acts


def fame_of(song: Song) -> float:
    """How popular the song is, from 1 down to 0."""
    rank = list(TALK).index(song.title) if song.title in TALK else len(TALK)
    return float((1 - rank / len(TALK)) ** 2)


async def _hear(listener: Member, track_id: UUID, told: PlayDraft, tx: Tx) -> None:
    await plays.record(tx, listener, track_id, told)


async def _like(fan: Member, track_id: UUID, tx: Tx) -> None:
    await likes.like(tx, fan, track_id)


class _Thread:
    """One remark, and what the artist answers to it."""

    def __init__(self, author: Member, artist: Member, track: TrackSummary, remark: Remark) -> None:
        self._author, self._artist, self._track, self._remark = author, artist, track, remark
        self._first: UUID | None = None

    async def begin(self, tx: Tx) -> None:
        at = None if self._remark.at is None else round(self._remark.at * self._track.duration, 1)
        draft = CommentDraft(self._remark.words, at)
        self._first = (await comments.post(tx, self._author, self._track.id, draft)).id

    async def answer(self, tx: Tx) -> None:
        draft = CommentDraft(self._remark.answer, parent_id=self._first)
        await comments.post(tx, self._artist, self._track.id, draft)
