"""What counts as a play, and what is known of all of them.

A play is kept and counted once: the same listener and track within half a minute is the same play, which is
then as long as the longest that was told. The owner's own plays are in the statistics, which are of all
plays, but not in ``play_count``, by which the charts are sorted.
"""

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec

from veza.access.actor import Actor, Member
from veza.core import clock
from veza.core.db import Tx
from veza.core.errors import Detail, InvalidToken, ValidationFailed, VezaError
from veza.core.ids import new_id
from veza.core.jobs import NoPayload, enqueue
from veza.rooms.accounts import service as accounts
from veza.rooms.plays import store, sums_store
from veza.rooms.plays.kinds import ADD_UP, ADD_UP_AFTER
from veza.rooms.plays.schemas import PlayDraft, Stats
from veza.rooms.plays.store import Counted, Day
from veza.rooms.tracks import counts
from veza.rooms.tracks import service as tracks
from veza.rooms.tracks.counts import Heard, Totals

# A player's clock and its buffers may run on: what it tells may be so much longer than the track.
SLACK, MORE_MS = 1.1, 1_000
WHOLE = 1_000_000


class Play(msgspec.Struct, frozen=True):
    """Who listened to what, and what their player told."""

    listener: Member
    track_id: UUID
    told: PlayDraft
    country: str | None = None


async def record(tx: Tx, actor: Member, track_id: UUID, told: PlayDraft, country: str | None = None) -> UUID:
    """Keep one play; its id, or that of the play which it repeats.

    Raises :class:`veza.rooms.tracks.errors.TrackNotFound`, ``TrackNotReady``, and
    :class:`veza.core.errors.ValidationFailed` for what is longer than the track.
    """
    (outcome,) = await record_all(tx, [Play(actor, track_id, told, country)])
    if isinstance(outcome, VezaError):
        raise outcome
    return outcome


async def record_all(tx: Tx, plays: Sequence[Play]) -> list[UUID | VezaError]:
    """Keep plays together; for each its id, or what :func:`record` would raise for it alone."""
    # Users, then tracks, then listeners, then sums, each in one order: nobody waits for somebody who waits.
    people = await accounts.stay(tx, {play.listener.id for play in plays})
    tracks_ = await counts.hold(tx, {play.track_id for play in plays})
    outcomes: dict[int, UUID | VezaError] = {}
    heard: list[_Listening] = []
    for turn, play in sorted(enumerate(plays), key=_order):
        try:
            if play.listener.id not in people:
                raise InvalidToken
            track = counts.check_audible(play.listener, tracks_.get(play.track_id))
            heard.append(_Listening(turn, play, track, new_id(), *_measure(track, play.told.duration)))
        except VezaError as error:
            outcomes[turn] = error
    book = _Book(clock.now())
    for listening, play_id in zip(heard, await book.enter(tx, heard), strict=True):
        outcomes[listening.turn] = play_id
    await book.close(tx)
    return [outcomes[turn] for turn in range(len(plays))]


def _order(turn: tuple[int, Play]) -> tuple[int, int]:
    return turn[1].track_id.int, turn[1].listener.id.int


class _Listening(msgspec.Struct, frozen=True):
    """A play that may be kept: the how manieth it is, and what it adds."""

    turn: int
    play: Play
    track: Heard
    id: UUID
    heard_ms: int
    part: int


class _Book:
    """What a transaction adds, all at one moment: rows and sums, written once at its end."""

    def __init__(self, at: datetime) -> None:
        self.at, self.day = at, store.day_of(at)
        self.rows: dict[UUID, dict[str, Any]] = {}
        self.fresh: list[dict[str, Any]] = []
        self.totals: dict[UUID, Totals] = defaultdict(Totals)
        self.days: dict[tuple[UUID, int], Day] = defaultdict(Day)

    async def enter(self, tx: Tx, heard: Sequence[_Listening]) -> list[UUID]:
        """Count each, or add it to the one that it repeats; their ids."""
        found = await store.count(
            tx, ((one.track.id, one.play.listener.id, one.id, one.heard_ms) for one in heard), self.at
        )
        return [
            self._add(one, counted) if (counted := found.get(one.id)) else await self._repeat(tx, one)
            for one in heard
        ]

    def _add(self, one: _Listening, counted: Counted) -> UUID:
        play, track, told = one.play, one.track, one.play.told
        device = told.device or None
        self.rows[one.id] = {
            "listener_id": counted.id, "id": one.id, "at": self.at, "heard_ms": one.heard_ms,
            "part": one.part, "device": device,
        }  # fmt: skip
        self.fresh.append({
            "id": one.id, "listener_id": counted.id, "at": self.at, "plays": 1, "heard_ms": one.heard_ms,
            "part": one.part, "part_before": None, "device": device, "source": told.source,
            "country": play.country, "track_id": track.id,
        })  # fmt: skip
        totals, day = self._hear(track.id, self.day, one.heard_ms, one.part)
        totals.plays += 1
        totals.listeners += counted.plays == 1
        totals.charted += play.listener.id != track.user_id
        day.plays += 1
        return one.id

    async def _repeat(self, tx: Tx, one: _Listening) -> UUID:
        track, heard_ms, part = one.track, one.heard_ms, one.part
        first = await store.last(tx, track.id, one.play.listener.id)
        assert first is not None  # it was in the way of the one that repeats it
        if heard_ms > first.last_ms:
            # As it was kept, and not as it would be now: the track may have another length since.
            more, before = heard_ms - first.last_ms, first.part
            await store.lengthen(tx, first, heard_ms, part)
            row = self.rows.get(first.last_play)
            if row is not None:  # of this very transaction, and not yet written
                before = row["part"]
                row |= {"heard_ms": heard_ms, "part": part}
            assert before is not None  # it is among the rows, or written
            self._hear(track.id, store.day_of(first.last_at), more, part - before)
            self.fresh.append({
                "id": one.id, "listener_id": first.id, "at": first.last_at, "plays": 0, "heard_ms": more,
                "part": part, "part_before": before, "device": None, "source": None, "country": None,
                "track_id": track.id,
            })  # fmt: skip
        return first.last_play

    def _hear(self, track_id: UUID, day: int, heard_ms: int, part: int) -> tuple[Totals, Day]:
        sums = self.totals[track_id], self.days[track_id, day]
        for one in sums:
            one.heard_ms += heard_ms
            one.parts += part
        return sums

    async def close(self, tx: Tx) -> None:
        if self.rows:
            await store.add(tx, list(self.rows.values()))
        if self.fresh:
            await enqueue(tx, ADD_UP, NoPayload(), delay=ADD_UP_AFTER, unique_key=ADD_UP.name)
            await sums_store.add_fresh(tx, self.fresh)
        await counts.add_plays(tx, self.totals)
        await store.add_days(tx, self.days)


def _measure(track: Heard, seconds: float) -> tuple[int, int]:
    """Milliseconds heard, and which part of the track that is, in millionths."""
    most_ms = track.duration * 1000 * SLACK + MORE_MS
    # Bounded before it is rounded: a thousand times what a float holds may be no number any more.
    heard_ms = round(min(seconds * 1000, most_ms + 1))
    if heard_ms > most_ms:
        said = f"The track has only {track.duration:.1f} seconds."
        raise ValidationFailed(details=[Detail("duration", said, "TOO_LONG")])
    return heard_ms, _part(track, heard_ms)


def _part(track: Heard, heard_ms: int) -> int:
    """Which part of the track so many milliseconds are, in millionths; never more than the whole."""
    length_ms = round(track.duration * 1000)
    return min(heard_ms * WHOLE // length_ms, WHOLE) if length_ms else WHOLE


async def get_stats(tx: Tx, actor: Actor, track_id: UUID) -> Stats:
    """The statistics of a track that ``actor`` may see."""
    await tracks.get_visible(tx, actor, track_id)
    found = await counts.totals(tx, track_id)
    plays = found.plays or 1
    return Stats(
        total_plays=found.plays,
        unique_listeners=found.listeners,
        average_duration=round(found.heard_ms / plays / 1000, 3),
        completion_rate=round(found.parts / plays / WHOLE * 100, 2),
    )
